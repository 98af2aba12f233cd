//! Text to tokens. What cannot be read is reported and becomes the token that
//! was probably meant, so that one slip is one diagnostic.

use crate::condition::literal::{parse_number, parse_range, unescape};
use crate::condition::operator::Op;
use crate::condition::parser::Flaw;
use crate::condition::token::{Kind, Token};
use crate::diagnostics::Problem;
use std::net::IpAddr;

/// The tokens of a condition, `End` last, and what is wrong with them.
pub(super) fn lex(text: &str) -> (Vec<Token>, Vec<Flaw>) {
    let mut lexer = Lexer {
        text,
        at: 0,
        flaws: Vec::new(),
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let kind = lexer.token();
        let last = kind == Kind::End;
        tokens.push(Token {
            kind,
            span: start..lexer.at,
        });
        if last {
            return (tokens, lexer.flaws);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    flaws: Vec<Flaw>,
}

/// What separates words that are not strings.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"' | '\'')
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let taken = rest[..length].to_owned();
        self.at += length;
        taken
    }

    fn flaw(&mut self, start: usize, problem: Problem) -> &mut Flaw {
        let at = self.flaws.len();
        self.flaws.push(Flaw::new(problem, start..self.at));
        &mut self.flaws[at]
    }

    fn token(&mut self) -> Kind {
        let Some(c) = self.rest().chars().next() else {
            return Kind::End;
        };
        match c {
            '(' => self.single(Kind::Open),
            ')' => self.single(Kind::Close),
            ',' => self.single(Kind::Comma),
            '"' => self.string(),
            'r' if self.rest().starts_with("r\"") => self.raw_string(),
            '\'' => self.single_quoted(),
            '$' => self.list(),
            '%' => self.placeholder(),
            '=' | '!' | '<' | '>' | '&' | '|' | '~' => self.symbol(),
            c if c.is_ascii_digit() || c == ':' => self.number(),
            '-' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            c if c.is_alphabetic() || c == '_' => self.word(),
            '/' | '*' | '.' | '\\' | '?' => self.unquoted(),
            _ => {
                let start = self.at;
                self.at += c.len_utf8();
                self.flaw(start, Problem::BadCharacter { character: c });
                Kind::Flawed
            }
        }
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn string(&mut self) -> Kind {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while end < bytes.len() && bytes[end] != b'"' {
            // The byte after a backslash does not close the string.
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= bytes.len() {
            return self.unclosed();
        }
        self.at = end + 1;
        let inside = &self.text[start + 1..end];
        let mut value = String::with_capacity(inside.len());
        match unescape(inside, &mut |c, _| value.push(c)) {
            Ok(()) => Kind::Text(value),
            Err(bad) => {
                let span = start + 1 + bad.span.start..start + 1 + bad.span.end;
                let span = span.start
                    ..(span.end..=end)
                        .find(|&at| self.text.is_char_boundary(at))
                        .unwrap_or(end);
                let escape = self.text[span.clone()].to_owned();
                self.flaws.push(
                    Flaw::new(Problem::BadEscape { escape }, span).help(
                        r#"strings have JSON's escapes (\" \\ \/ \b \f \n \r \t \uXXXX); a raw string r"…" has none"#,
                    ),
                );
                Kind::Flawed
            }
        }
    }

    fn raw_string(&mut self) -> Kind {
        let start = self.at;
        match self.text[start + 2..].find('"') {
            Some(length) => {
                self.at = start + 2 + length + 1;
                Kind::Text(self.text[start + 2..start + 2 + length].to_owned())
            }
            None => self.unclosed(),
        }
    }

    /// The rest of the condition is inside the quotes: nothing after is read.
    fn unclosed(&mut self) -> Kind {
        let start = self.at;
        self.at = start + self.rest().chars().next().map_or(0, char::len_utf8);
        self.flaw(start, Problem::UnclosedString);
        self.at = self.text.len();
        Kind::Flawed
    }

    fn single_quoted(&mut self) -> Kind {
        let start = self.at;
        let inside = &self.text[start + 1..];
        let Some(length) = inside.find('\'') else {
            return self.unclosed();
        };
        let value = inside[..length].to_owned();
        self.at = start + length + 2;
        self.not_quoted(start, value)
    }

    fn unquoted(&mut self) -> Kind {
        let start = self.at;
        let word = self.take_while(|c| !ends_word(c));
        self.not_quoted(start, word)
    }

    fn not_quoted(&mut self, start: usize, value: String) -> Kind {
        let quoted = crate::condition::quote(&value);
        self.flaw(
            start,
            Problem::NotQuoted {
                text: value.clone(),
            },
        )
        .add_help(format!("write {quoted}"));
        Kind::Text(value)
    }

    fn list(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        let name = self.take_while(is_name_part);
        if name.is_empty() {
            self.flaw(start, Problem::BadCharacter { character: '$' })
                .add_help("a list is written `$name`");
            return Kind::Flawed;
        }
        Kind::List(name)
    }

    fn placeholder(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        let name = self.take_while(is_name_part);
        if name.is_empty() {
            self.flaw(start, Problem::BadCharacter { character: '%' });
            return Kind::Flawed;
        }
        self.at += usize::from(self.rest().starts_with('%'));
        let text = self.text[start..self.at].to_owned();
        self.flaw(start, Problem::Placeholder { text })
            .add_help(format!(
                "define `{name}` under `lists:` and write `${name}`"
            ));
        Kind::Flawed
    }

    fn symbol(&mut self) -> Kind {
        let start = self.at;
        let symbol = self.take_while(|c| matches!(c, '=' | '!' | '<' | '>' | '&' | '|' | '~'));
        if let Some(op) = Op::from_name(&symbol) {
            return Kind::Op(op);
        }
        let meant = match symbol.as_str() {
            "=" | "===" => Kind::Op(Op::Equal),
            "<>" | "!==" | "=!" => Kind::Op(Op::NotEqual),
            "=<" => Kind::Op(Op::LessOrEqual),
            "=>" => Kind::Op(Op::GreaterOrEqual),
            "~" | "=~" | "~=" => Op::from_name("matches").map_or(Kind::Flawed, Kind::Op),
            "&" | "&&" => Kind::And,
            "|" | "||" => Kind::Or,
            "!" => Kind::Not,
            _ => {
                self.flaw(start, Problem::UnknownOperator { found: symbol });
                return Kind::Flawed;
            }
        };
        self.misspelt(start, symbol, meant)
    }

    fn misspelt(&mut self, start: usize, found: String, meant: Kind) -> Kind {
        let right = meant.spelling().unwrap_or_default();
        self.flaw(start, Problem::Misspelt { found, right });
        meant
    }

    /// A number, a range or an address without quotes.
    fn number(&mut self) -> Kind {
        let start = self.at;
        let word = self.take_while(|c| !ends_word(c));
        self.number_or_address(&word).unwrap_or_else(|| {
            self.flaw(start, Problem::BadNumber { text: word })
                .add_help("numbers are decimal, 0x… or 0o…, ranges `8000..8999`, networks `10.0.0.0/8`; anything else is a string in double quotes");
            Kind::Flawed
        })
    }

    fn number_or_address(&self, word: &str) -> Option<Kind> {
        if let Some(number) = parse_number(word) {
            return Some(Kind::Integer(number));
        }
        if let Some((from, to)) = parse_range(word) {
            return Some(Kind::Range(from, to));
        }
        let address = word.split_once('/').map_or(word, |(address, _)| address);
        address.parse::<IpAddr>().ok()?;
        Some(Kind::Address(word.to_owned()))
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        let mut word = self.take_while(is_name_part);
        // Dots join names: `process.name`.
        while self.rest().starts_with('.') && self.rest()[1..].starts_with(is_name_part) {
            self.at += 1;
            word.push('.');
            word += &self.take_while(is_name_part);
        }
        // `fe80::/10` begins like a name.
        if self.rest().starts_with(':') {
            let begin = self.at;
            let tail = self.take_while(|c| !ends_word(c));
            if let Some(address) = self.number_or_address(&(word.clone() + &tail)) {
                return address;
            }
            self.at = begin;
        }
        if let Some(keyword) = Kind::keyword(&word) {
            return keyword;
        }
        match Kind::keyword(&word.to_lowercase()) {
            Some(meant) => self.misspelt(start, word, meant),
            None => Kind::Word(word),
        }
    }
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}
