//! Every problem a rule file can have: code, level, message. Each stands once, here.

use crate::diagnostics::Level;
use std::fmt;

/// A problem's entry in the reference: what [`problems`](crate::problems) lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemInfo {
    /// Stable code, such as `PK0301`.
    pub code: &'static str,
    /// Error, warning or note.
    pub level: Level,
    /// What it means.
    pub doc: &'static str,
}

macro_rules! problems {
    ($(
        #[doc = $doc:literal]
        $code:literal $level:ident $name:ident $({ $($field:ident : $ty:ty),+ $(,)? })? => $message:literal;
    )+) => {
        /// What is wrong.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Problem { $( #[doc = $doc] $name $({ $($field: $ty),+ })? ),+ }

        impl Problem {
            pub(crate) fn info(&self) -> ProblemInfo {
                match self { $(
                    Problem::$name $({ $($field: _),+ })? => ProblemInfo {
                        code: $code, level: Level::$level, doc: $doc.trim_ascii(),
                    },
                )+ }
            }
        }

        impl fmt::Display for Problem {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $( Problem::$name $({ $($field),+ })? => write!(f, $message), )+ }
            }
        }

        /// Every problem, by code.
        pub(crate) const ALL: &[ProblemInfo] = &[ $(
            ProblemInfo { code: $code, level: Level::$level, doc: $doc.trim_ascii() },
        )+ ];
    };
}

problems! {
    // The file and its YAML.
    /// The file is not UTF-8 text, or holds control characters as binary files do.
    "PK0101" Error NotText { detail: &'static str } => "this is not a rule file: {detail}";
    /// The file is larger than a rule file may be.
    "PK0102" Error FileTooLarge { bytes: usize, limit: usize } => "the file has {bytes} bytes; a rule file may have {limit}";
    /// The YAML cannot be read; what follows in the file was not looked at.
    "PK0103" Error YamlSyntax { detail: String } => "YAML: {detail}";
    /// YAML values nest deeper than allowed.
    "PK0104" Error YamlTooDeep { limit: usize } => "YAML values nest deeper than {limit} levels";
    /// The file holds more YAML values than allowed, aliases expanded.
    "PK0105" Error YamlTooLarge { limit: usize } => "the file holds more than {limit} YAML values (aliases count as often as they are used)";
    /// A mapping has a key twice.
    "PK0106" Error DuplicateKey { key: String } => "the key `{key}` is given twice";
    /// A mapping has a key that means nothing there.
    "PK0107" Error UnknownKey { key: String, what: &'static str } => "{what} has no key `{key}`";
    /// A key that must be there is not.
    "PK0108" Error MissingKey { key: &'static str, what: &'static str } => "{what} needs the key `{key}`";
    /// A value is of the wrong kind: a list where a text belongs, a number for a name.
    "PK0109" Error WrongKind { what: &'static str, wanted: &'static str, found: &'static str } => "{what} must be {wanted}, not {found}";
    /// A YAML tag other than `!!str`.
    "PK0110" Error YamlTag { tag: String } => "the YAML tag `{tag}` is not supported";
    /// The file is a Sigma rule.
    "PK0111" Error SigmaRule => "Sigma rule: not supported by this version yet";
    /// The file holds Falco rules.
    "PK0112" Error FalcoRules => "Falco rules: not supported by this version yet";
    /// The file has more problems than are shown.
    "PK0113" Error MoreErrors { count: usize } => "and {count} more problems in this file";
    /// The file has more warnings than are shown.
    "PK0114" Warning MoreWarnings { count: usize } => "and {count} more warnings in this file";
    /// There are more rules than one set may have.
    "PK0115" Error TooManyRules { limit: usize } => "there are more than {limit} rules; this one and those after it are left out";

    // Keys of rules, lists and exceptions.
    /// An id is not made of letters, digits, `.`, `_` and `-`.
    "PK0201" Error BadId { what: &'static str, id: String } => "`{id}` cannot be {what}";
    /// Two rules, or two policies, have the same id.
    "PK0202" Error DuplicateId { what: &'static str, id: String } => "there are two {what} with the id `{id}`";
    /// `event` names a class that does not exist.
    "PK0203" Error UnknownClass { class: String } => "there is no event class `{class}`";
    /// A severity is not one of the five.
    "PK0204" Error UnknownSeverity { word: String } => "`{word}` is not a severity";
    /// A word is not one of those that may stand there.
    "PK0205" Error UnknownWord { what: &'static str, word: String } => "`{word}` is not {what}";
    /// A tag holds white space or control characters, or is too long.
    "PK0206" Error BadTag { tag: String } => "`{tag}` is not a tag";
    /// A date is neither a day nor an RFC 3339 time.
    "PK0207" Error BadDate { text: String } => "`{text}` is not a date";
    /// A text or list that must hold something is empty.
    "PK0208" Error Empty { what: &'static str } => "{what} is empty";
    /// A value is listed twice.
    "PK0209" Warning Repeated { what: &'static str, value: String } => "{what} names `{value}` twice";
    /// An exception's value tuple, or its `comps`, does not fit its `fields`.
    "PK0210" Error ExceptionArity { what: &'static str, wanted: usize, found: usize } => "{what} has {found} entries for {wanted} fields";
    /// Two exceptions of a rule have the same name.
    "PK0211" Error DuplicateException { name: String } => "the rule has two exceptions named `{name}`";
    /// An exception's time is over: it no longer holds anything back.
    "PK0212" Warning ExpiredException { name: String } => "the exception `{name}` has expired";
    /// A list has more items than allowed.
    "PK0213" Error ListTooLong { limit: usize } => "the list has more than {limit} items";

    // Names.
    /// There is no field of that name.
    "PK0301" Error UnknownField { name: String } => "there is no field `{name}`";
    /// The field exists, but not in the rule's event class.
    "PK0302" Error FieldNotInClass { field: String, class: String } => "`{class}` events have no field `{field}`";
    /// A bare name is neither a macro nor a field.
    "PK0303" Error UnknownName { name: String } => "`{name}` is neither a macro nor a field";
    /// There is no list of that name.
    "PK0304" Error UnknownList { name: String } => "there is no list `${name}`";
    /// A list or macro is defined twice.
    "PK0305" Error DuplicateDefinition { what: &'static str, name: String } => "the {what} `{name}` is defined twice";
    /// Macros use each other in a circle.
    "PK0306" Error MacroCycle { path: String } => "macros use each other in a circle: {path}";
    /// A macro or list has a name that it cannot have.
    "PK0307" Error BadName { what: &'static str, name: String, why: &'static str } => "a {what} cannot be named `{name}`: {why}";
    /// A macro about list elements stands outside `any`, or one about the event inside.
    "PK0308" Error MacroNotHere { name: String, why: &'static str } => "the macro `{name}` cannot stand here: it is about {why}";
    /// A macro uses a field that the rule's event class does not have.
    "PK0309" Error MacroNotInClass { name: String, field: String, class: String } => "the macro `{name}` uses `{field}`, which `{class}` events do not have";
    /// `any` is given something that is not a list of processes.
    "PK0310" Error NotProcessList { name: String } => "`{name}` is not a list of processes";
    /// A list of processes stands where a field belongs.
    "PK0311" Error ListAsField { name: String } => "`{name}` is a list of processes, not a field";
    /// A list or macro is used by no rule.
    "PK0312" Warning Unused { what: &'static str, name: String } => "the {what} `{name}` is not used";
    /// A field of the event stands inside `any`, where fields are those of the element.
    "PK0313" Error EventFieldInAny { name: String } => "`{name}` is a field of the event; inside `any` only fields of the list's processes can stand";
    /// A field of list elements stands outside `any`.
    "PK0314" Error ElementFieldOutside { name: String } => "`{name}` is a field of a process, and nothing says of which";

    // The condition's grammar.
    /// A character that has no meaning in conditions.
    "PK0401" Error BadCharacter { character: char } => "the character `{character}` has no meaning here";
    /// A string has no closing quote.
    "PK0402" Error UnclosedString => "this string has no closing quote";
    /// A backslash in a string is not followed by one of JSON's escapes.
    "PK0403" Error BadEscape { escape: String } => "`{escape}` is not an escape";
    /// Something else was expected.
    "PK0404" Error Expected { expected: &'static str, found: String } => "expected {expected}, found {found}";
    /// An operator as other languages spell it.
    "PK0405" Error Misspelt { found: String, right: &'static str } => "`{found}` is written `{right}` here";
    /// A word stands where an operator belongs.
    "PK0406" Error UnknownOperator { found: String } => "`{found}` is not an operator";
    /// A parenthesis is never closed.
    "PK0407" Error UnclosedParenthesis => "this parenthesis is never closed";
    /// A condition says nothing.
    "PK0408" Error EmptyCondition { what: &'static str } => "{what} is empty";
    /// A condition nests deeper than allowed.
    "PK0409" Error ConditionTooDeep { limit: usize } => "the condition nests deeper than {limit} levels";
    /// A condition is longer than allowed.
    "PK0410" Error ConditionTooLong { bytes: usize, limit: usize } => "the condition has {bytes} bytes; it may have {limit}";
    /// A condition has too many predicates once its macros are expanded.
    "PK0411" Error TooManyPredicates { limit: usize } => "with its macros expanded, the condition has more than {limit} predicates";
    /// An `any` stands inside another.
    "PK0412" Error NestedAny => "`any` cannot stand inside `any`";
    /// Something begins like a number, range or address and is none.
    "PK0413" Error BadNumber { text: String } => "`{text}` is neither a number nor a range nor an address";
    /// A string without quotes, or with single quotes.
    "PK0414" Error NotQuoted { text: String } => "the string `{text}` must stand in double quotes";
    /// `exists` or `not` stands on the wrong side of the field.
    "PK0415" Error WrongOrder { word: &'static str, side: &'static str } => "`{word}` stands {side} the field";
    /// `%name%`: a placeholder that nothing has filled in.
    "PK0416" Error Placeholder { text: String } => "the placeholder `{text}` stands for nothing";

    // Types.
    /// The operator does not work on the field's type.
    "PK0501" Error OperatorType { op: &'static str, field: String, ty: &'static str } => "`{op}` does not work on `{field}`, which is of type {ty}";
    /// The constant is not of the field's type.
    "PK0502" Error ConstantType { field: String, wanted: &'static str, found: &'static str } => "`{field}` is compared with {wanted}, not with {found}";
    /// The field never has that value.
    "PK0503" Error NeverThatValue { field: String, value: String } => "`{field}` is never `{value}`";
    /// A port is outside 0 to 65535.
    "PK0504" Error NotAPort { value: i64 } => "{value} is not a port: ports go from 0 to 65535";
    /// Not an IP address or network.
    "PK0505" Error BadAddress { text: String } => "`{text}` is not an IP address or network";
    /// A network's address has bits set behind its prefix.
    "PK0506" Error HostBits { text: String } => "`{text}` is not a network: it has bits set behind its prefix";
    /// A range ends before it begins.
    "PK0507" Error BackwardRange { from: i64, to: i64 } => "the range {from}..{to} ends before it begins";
    /// An operator that takes one constant is given several, or in the wrong form.
    "PK0508" Error OneConstant { op: &'static str } => "`{op}` takes one constant";
    /// `in` is not followed by a list.
    "PK0509" Error InNeedsList => "`in` needs a list";
    /// A field that is not a boolean stands alone.
    "PK0510" Error BareField { field: String, ty: &'static str } => "`{field}` cannot stand alone: it is of type {ty}";
    /// A regex cannot be read.
    "PK0511" Error RegexSyntax { detail: String } => "regex: {detail}";
    /// A regex asks for more than allowed.
    "PK0512" Error RegexLimit { detail: String } => "regex: {detail}";
    /// A glob cannot be read.
    "PK0513" Error BadGlob { detail: &'static str } => "glob: {detail}";
    /// No stretch of text must be there for the regex to match: it is tried on every event.
    "PK0514" Warning RegexWithoutLiteral => "nothing in this condition is certain and rare, so its regex is tried on every event";
    /// The empty text is contained in every text.
    "PK0515" Warning EmptyPattern { op: &'static str } => "`{op}` with an empty text holds for every text";
    /// Two predicates of an `and` exclude each other.
    "PK0516" Warning NeverBoth { field: String } => "these two tests of `{field}` never hold together";
    /// `allof` is given to numbers, addresses or booleans.
    "PK0517" Error AllOfNotText { field: String } => "`allof` works on text only, and `{field}` is not text";

    // Policies.
    /// A policy's trigger selects nothing.
    "PK0601" Error EmptyTrigger => "the trigger names no rule, tag, category or severity";
    /// A trigger, or an exception that stands apart, names a rule that is not there.
    "PK0602" Error UnknownRule { id: String } => "there is no rule `{id}`";
    /// No loaded rule has the category.
    "PK0603" Warning UnmatchedCategory { category: String } => "no rule here has the category `{category}`";
    /// No loaded rule has the tag.
    "PK0604" Warning UnmatchedTag { tag: String } => "no rule here has the tag `{tag}`";
    /// A duration is not a number with s, m, h or d.
    "PK0605" Error BadDuration { text: String } => "`{text}` is not a duration";
    /// A budget allows nothing.
    "PK0606" Error BadBudget { kills: i64 } => "a budget of {kills} kills is not a number from 1 to 1024";
    /// An action that neither kills nor denies.
    "PK0607" Error NoEffect => "this action does nothing";
    /// A policy that blocks rests on a rule that only the sensor can decide.
    "PK0608" Warning NotInKernel { policy: String, rule: String, why: String } => "`{policy}` blocks on rule `{rule}`, which the kernel cannot decide: {why}";
    /// A policy that blocks rests on a rule that the kernel decides in some events only.
    "PK0609" Note PartlyInKernel { policy: String, rule: String, why: String } => "`{policy}` blocks on rule `{rule}`, which the kernel cannot always decide: {why}";
    /// A budget's pause ends before its window does.
    "PK0610" Warning PauseInWindow { pause: u64, per: u64 } => "the pause of {pause} s ends within the window of {per} s";

    // Tests inside rules.
    /// A test's event has a key that no event of its class has.
    "PK0701" Error UnknownEventKey { key: String, class: String } => "`{class}` events have no `{key}`";
    /// A value in a test's event cannot be one of its field.
    "PK0702" Error EventValue { field: String, wanted: &'static str } => "`{field}` must be {wanted}";
    /// A test's class is not one of its rule's.
    "PK0703" Error TestClass { class: String } => "the rule does not look at `{class}` events";
    /// A key is given a value and named as unknown.
    "PK0704" Error KnownAndUnknown { field: String } => "`{field}` is given and named as unknown";
}
