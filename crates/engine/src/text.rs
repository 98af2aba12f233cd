//! One pattern against one text, whole or cut.
//!
//! Of a cut text only the beginning is known (made of whole chars). What it
//! decides, for a pattern `p` and a beginning `b`:
//!
//! | test | true | false | unknown |
//! |---|---|---|---|
//! | `contains` | `b` holds `p` | never | else |
//! | `startswith` | `b` starts with `p` | neither starts with the other | `p` starts with `b` and is longer |
//! | `endswith` | `p` is empty | never | else |
//! | `==` | never | `p` does not start with `b` | else |
//! | `!=` | `p` does not start with `b` | never | else |
//! | `glob` | it ends in `*` and matches `b` | its chars before the first `*` do not fit | else |
//! | `matches` | a match ends before the end of `b` | never | else |

use crate::fold::Folder;
use crate::glob::Glob;
use crate::regexes::LazyRegex;
use crate::truth::Truth;
use memchr::memmem::{Finder, FinderBuilder};
use picket_lang::ir::TextMatch;
use std::sync::Arc;

/// A text and whether it is all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight<'t> {
    /// The text or its known beginning.
    pub text: &'t str,
    /// The rest was cut off.
    pub cut: bool,
}

/// A prepared pattern.
#[derive(Debug, Clone)]
pub struct Matcher {
    kind: Kind,
    ignore_case: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Equals(Box<str>),
    Differs(Box<str>),
    Contains(Box<Finder<'static>>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Glob(Box<Glob>),
    Regex(Arc<LazyRegex>),
}

impl Matcher {
    /// Prepares a pattern of a text test; regexes of the same pattern are
    /// better shared: see [`Matcher::regex`].
    pub fn new(how: TextMatch, pattern: &str, ignore_case: bool) -> Matcher {
        let kind = match how {
            TextMatch::Equals => Kind::Equals(pattern.into()),
            TextMatch::Contains => {
                let finder = FinderBuilder::new().build_forward(pattern.as_bytes());
                Kind::Contains(Box::new(finder.into_owned()))
            }
            TextMatch::StartsWith => Kind::StartsWith(pattern.into()),
            TextMatch::EndsWith => Kind::EndsWith(pattern.into()),
            TextMatch::Glob => Kind::Glob(Box::new(Glob::new(pattern, ignore_case))),
            TextMatch::Regex => Kind::Regex(Arc::new(LazyRegex::new(pattern, ignore_case))),
        };
        Matcher { kind, ignore_case }
    }

    /// `!=` with a constant.
    pub fn differs(constant: &str, ignore_case: bool) -> Matcher {
        Matcher {
            kind: Kind::Differs(constant.into()),
            ignore_case,
        }
    }

    /// A regex that other matchers may share.
    pub fn regex(regex: Arc<LazyRegex>) -> Matcher {
        Matcher {
            kind: Kind::Regex(regex),
            ignore_case: false,
        }
    }

    /// Whether it holds of the text, as far as that can be seen.
    pub fn test(&self, sight: Sight<'_>, folder: &mut Folder) -> Truth {
        // Regexes fold for themselves.
        let fold = self.ignore_case && !matches!(self.kind, Kind::Regex(_));
        let text = if fold {
            folder.fold(sight.text)
        } else {
            sight.text
        };
        if sight.cut {
            self.on_beginning(text)
        } else {
            self.on_whole(text)
        }
    }

    /// A rough order of cost, to ask cheap patterns first.
    pub(crate) fn cost(&self) -> u32 {
        match self.kind {
            Kind::Equals(_) | Kind::Differs(_) | Kind::StartsWith(_) | Kind::EndsWith(_) => 1,
            Kind::Contains(_) => 10,
            Kind::Glob(_) => 50,
            Kind::Regex(_) => 200,
        }
    }

    /// What it takes, in bytes, without a built regex.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Matcher>()
            + match &self.kind {
                Kind::Contains(finder) => size_of_val(&**finder) + finder.needle().len(),
                Kind::Glob(glob) => size_of::<Glob>() + glob.parts().len() * 32,
                Kind::Regex(regex) => size_of::<LazyRegex>() + regex.pattern().len(),
                Kind::Equals(own)
                | Kind::Differs(own)
                | Kind::StartsWith(own)
                | Kind::EndsWith(own) => own.len(),
            }
    }

    fn on_whole(&self, text: &str) -> Truth {
        let bytes = text.as_bytes();
        match &self.kind {
            Kind::Equals(own) => (**own == *text).into(),
            Kind::Differs(own) => (**own != *text).into(),
            Kind::Contains(finder) => finder.find(bytes).is_some().into(),
            Kind::StartsWith(own) => bytes.starts_with(own.as_bytes()).into(),
            Kind::EndsWith(own) => bytes.ends_with(own.as_bytes()).into(),
            Kind::Glob(glob) => glob.is_match_folded(text).into(),
            Kind::Regex(regex) => regex.on_whole(text),
        }
    }

    fn on_beginning(&self, text: &str) -> Truth {
        let true_or_unknown = |holds| if holds { Truth::True } else { Truth::Unknown };
        match &self.kind {
            Kind::Equals(own) if own.starts_with(text) => Truth::Unknown,
            Kind::Equals(_) => Truth::False,
            Kind::Differs(own) => true_or_unknown(!own.starts_with(text)),
            Kind::Contains(finder) => true_or_unknown(finder.find(text.as_bytes()).is_some()),
            Kind::StartsWith(own) if text.starts_with(&**own) => Truth::True,
            Kind::StartsWith(own) if own.starts_with(text) => Truth::Unknown,
            Kind::StartsWith(_) => Truth::False,
            Kind::EndsWith(own) => true_or_unknown(own.is_empty()),
            Kind::Glob(glob) => glob.on_beginning(text),
            Kind::Regex(regex) => regex.on_beginning(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Truth::{False, True, Unknown};

    fn cut(how: TextMatch, pattern: &str) -> Truth {
        let sight = Sight {
            text: "curl http",
            cut: true,
        };
        Matcher::new(how, pattern, false).test(sight, &mut Folder::default())
    }

    #[test]
    fn a_beginning_decides_what_it_alone_can() {
        use TextMatch::*;
        for (how, pattern, expected) in [
            (Contains, "url", True),
            (Contains, "wget", Unknown),
            (StartsWith, "curl", True),
            (StartsWith, "curl https", Unknown),
            (StartsWith, "curl ftp", False),
            (EndsWith, "http", Unknown),
            (EndsWith, "", True),
            (Equals, "curl http", Unknown),
            (Equals, "curl http://x", Unknown),
            (Equals, "curl", False),
            (Equals, "wget http", False),
            (Glob, "curl*", True),
            (Glob, "wget*", False),
            (Glob, "*x", Unknown),
            (Regex, "curl ", True),
            (Regex, "http", Unknown),
        ] {
            assert_eq!(cut(how, pattern), expected, "{how:?} {pattern}");
        }
    }

    #[test]
    fn a_cut_text_may_differ_already() {
        let differs = |own| {
            let sight = Sight {
                text: "cur",
                cut: true,
            };
            Matcher::differs(own, false).test(sight, &mut Folder::default())
        };
        assert_eq!(differs("wget"), True);
        assert_eq!(differs("cu"), True);
        assert_eq!(differs("curl"), Unknown);
    }

    #[test]
    fn case_is_folded_where_asked() {
        let sight = Sight {
            text: "STRASSE ÄÖ",
            cut: false,
        };
        let test = |ignore_case| {
            Matcher::new(TextMatch::EndsWith, "äö", ignore_case).test(sight, &mut Folder::default())
        };
        assert_eq!(test(true), True);
        assert_eq!(test(false), False);
    }
}
