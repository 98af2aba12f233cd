//! Checked conditions as text that checks to the same again.

use crate::condition::{Case, Op, quote};
use crate::ir::{Expr, IpNetwork, Predicate, Test, TextTest};
use picket_model::field::FieldType;
use std::fmt::{self, Display, Formatter};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // The language has no word for these two; files cannot contain them.
            Expr::And(parts) if parts.is_empty() => f.write_str("true"),
            Expr::Or(parts) if parts.is_empty() => f.write_str("false"),
            Expr::And(parts) => joined(f, parts, " and ", |part| {
                matches!(part, Expr::And(_) | Expr::Or(_))
            }),
            Expr::Or(parts) => joined(f, parts, " or ", |part| matches!(part, Expr::Or(_))),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                grouped(f, inner, matches!(**inner, Expr::And(_) | Expr::Or(_)))
            }
            Expr::Predicate(predicate) => predicate.fmt(f),
            Expr::Any(list, body) => write!(f, "any {} ({body})", list.name()),
        }
    }
}

fn joined(
    f: &mut Formatter<'_>,
    parts: &[Expr],
    by: &str,
    in_parentheses: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(by)?;
        }
        grouped(f, part, in_parentheses(part))?;
    }
    Ok(())
}

fn grouped(f: &mut Formatter<'_>, expr: &Expr, in_parentheses: bool) -> fmt::Result {
    if in_parentheses {
        write!(f, "({expr})")
    } else {
        expr.fmt(f)
    }
}

impl Display for Predicate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Predicate { field, test, .. } = self;
        match test {
            Test::Bool(true) => write!(f, "{field}"),
            // Never true; constants of ports are ports.
            Test::Number(ranges) if ranges.is_empty() && field.ty() == FieldType::Port => {
                write!(f, "{field} < 0")
            }
            test => write!(f, "{field} {test}"),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Test::Exists => f.write_str("exists"),
            Test::Text(test) => test.fmt(f),
            Test::TextNot {
                value,
                ignore_case: false,
            } => write!(f, "!= {}", quote(value)),
            // Other formats have it; in this language it is `not … iequals`.
            Test::TextNot {
                value,
                ignore_case: true,
            } => write!(f, "!= {} (without case)", quote(value)),
            Test::Number(ranges) => match ranges.as_slice() {
                [] => write!(f, "< {}", i64::MIN),
                [range] if range.start() == range.end() => write!(f, "== {}", range.start()),
                [range] if *range.start() == i64::MIN => write!(f, "<= {}", range.end()),
                [range] if *range.end() == i64::MAX => write!(f, ">= {}", range.start()),
                ranges => list(f, "in", ranges, |f, range| {
                    match (range.start(), range.end()) {
                        (from, to) if from == to => write!(f, "{from}"),
                        (from, to) => write!(f, "{from}..{to}"),
                    }
                }),
            },
            Test::NumberNot(value) => write!(f, "!= {value}"),
            Test::Ip(networks) => match networks.as_slice() {
                [network] if network.is_single() => {
                    write!(f, "== {}", quote(&network.base.to_string()))
                }
                networks => list(f, "in", networks, |f, network| {
                    f.write_str(&quote(&network.to_string()))
                }),
            },
            Test::IpNot(address) => write!(f, "!= {}", quote(&address.to_string())),
            Test::Bool(value) => write!(f, "== {value}"),
        }
    }
}

impl Display for TextTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let case = if self.ignore_case {
            Case::Ignore
        } else {
            Case::Regard
        };
        let plain_equals = self.how == crate::ir::TextMatch::Equals && !self.ignore_case;
        let op = if plain_equals {
            Op::Equal
        } else {
            Op::Text(self.how, case)
        };
        let pattern = |f: &mut Formatter<'_>, pattern: &String| f.write_str(&quote(pattern));
        match self.patterns.as_slice() {
            [single] => {
                write!(f, "{} ", op.name())?;
                pattern(f, single)
            }
            patterns if plain_equals && !self.all => list(f, Op::In.name(), patterns, pattern),
            patterns => {
                let quantifier = if self.all { "allof" } else { "anyof" };
                list(f, &format!("{} {quantifier}", op.name()), patterns, pattern)
            }
        }
    }
}

fn list<T>(
    f: &mut Formatter<'_>,
    op: &str,
    items: &[T],
    item: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{op} (")?;
    for (at, value) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        item(f, value)?;
    }
    f.write_str(")")
}

impl IpNetwork {
    /// True for a network of one address.
    pub fn is_single(&self) -> bool {
        self.prefix == if self.base.is_ipv4() { 32 } else { 128 }
    }
}

/// `10.0.0.0/8`; a single address without its prefix.
impl Display for IpNetwork {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            return self.base.fmt(f);
        }
        write!(f, "{}/{}", self.base, self.prefix)
    }
}
