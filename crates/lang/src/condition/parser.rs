//! Tokens to a syntax tree. After a mistake the parser goes on at the next
//! `and`, `or` or closing parenthesis, so that every mistake is told at once.

use crate::condition::ast::{Constant, Expr, Form, Literal, Name, Operands, Predicate};
use crate::condition::lexer::lex;
use crate::condition::operator::Op;
use crate::condition::token::{Kind, Token};
use crate::diagnostics::{Problem, nearest};
use std::ops::Range;

/// A mistake in a condition, with bytes of its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flaw {
    pub(crate) problem: Problem,
    pub(crate) span: Range<usize>,
    /// Another place, and what it has to do with it.
    pub(crate) also: Option<(Range<usize>, &'static str)>,
    pub(crate) help: Option<String>,
}

impl Flaw {
    pub(super) fn new(problem: Problem, span: Range<usize>) -> Flaw {
        Flaw {
            problem,
            span,
            also: None,
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Flaw {
        self.help = Some(help.into());
        self
    }

    pub(super) fn add_help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }
}

/// Parses a condition. With flaws, the tree holds [`Expr::Flawed`] in their
/// places and the rest can still be checked.
pub(crate) fn parse(text: &str, what: &'static str, max_depth: usize) -> (Expr, Vec<Flaw>) {
    if text.trim().is_empty() {
        let flaw = Flaw::new(Problem::EmptyCondition { what }, 0..text.len());
        return (Expr::Flawed, vec![flaw]);
    }
    let (tokens, flaws) = lex(text);
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        flaws,
        depth: 0,
        max_depth,
        too_deep: false,
    };
    let expr = parser.or();
    // `or` stops at the end or at a parenthesis that closes nothing.
    while parser.peek() == &Kind::Close {
        parser.expected("`and`, `or` or the end");
        parser.next();
        if matches!(parser.peek(), Kind::And | Kind::Or) {
            parser.next();
        }
        if !matches!(parser.peek(), Kind::End | Kind::Close) {
            parser.or();
        }
    }
    (expr, parser.flaws)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    flaws: Vec<Flaw>,
    depth: usize,
    max_depth: usize,
    too_deep: bool,
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        self.tokens
            .get(self.at)
            .map_or(&Kind::End, |token| &token.kind)
    }

    fn peek_after(&self) -> &Kind {
        self.tokens
            .get(self.at + 1)
            .map_or(&Kind::End, |token| &token.kind)
    }

    fn span(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens
            .get(self.at)
            .map_or(end..end, |token| token.span.clone())
    }

    /// Where the token before the present one ends.
    fn end_of_last(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(0, |token| token.span.end)
    }

    fn next(&mut self) -> Token {
        let token = Token {
            kind: self.peek().clone(),
            span: self.span(),
        };
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn flaw(&mut self, problem: Problem, span: Range<usize>) {
        self.flaws.push(Flaw::new(problem, span));
    }

    fn flaw_with_help(&mut self, problem: Problem, span: Range<usize>, help: impl Into<String>) {
        self.flaws.push(Flaw::new(problem, span).help(help));
    }

    /// Reports what stands here instead, unless that has been reported already.
    fn expected(&mut self, expected: &'static str) {
        if self.peek() != &Kind::Flawed {
            let found = self.peek().describe();
            self.flaw(Problem::Expected { expected, found }, self.span());
        }
    }

    /// Goes on to the next place where a predicate may end.
    fn recover(&mut self) -> Expr {
        let mut open = 0usize;
        loop {
            match self.peek() {
                Kind::End => break,
                Kind::And | Kind::Or | Kind::Close if open == 0 => break,
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                _ => {}
            }
            self.next();
        }
        Expr::Flawed
    }

    fn or(&mut self) -> Expr {
        let mut parts = vec![self.and()];
        while self.peek() == &Kind::Or {
            self.next();
            parts.push(self.and());
        }
        single_or(parts, Expr::Or)
    }

    fn and(&mut self) -> Expr {
        let mut parts = vec![self.unary()];
        while self.peek() == &Kind::And {
            self.next();
            parts.push(self.unary());
        }
        single_or(parts, Expr::And)
    }

    fn unary(&mut self) -> Expr {
        let mut nots = 0;
        while self.peek() == &Kind::Not {
            self.next();
            nots += 1;
        }
        if nots + self.depth > self.max_depth {
            return self.deep();
        }
        self.depth += nots;
        let inner = self.primary();
        self.depth -= nots;
        (0..nots).fold(inner, |inner, _| Expr::Not(Box::new(inner)))
    }

    fn primary(&mut self) -> Expr {
        let expr = match self.peek() {
            Kind::Open => {
                let open = self.next().span;
                let Some(inner) = self.nested() else {
                    return Expr::Flawed;
                };
                self.close(open);
                inner
            }
            Kind::Any => self.any(),
            Kind::Word(_) => self.predicate(),
            Kind::Op(Op::Exists) if matches!(self.peek_after(), Kind::Word(_)) => {
                self.prefix_exists()
            }
            _ => {
                self.expected("a field, a macro, `not`, `any` or `(`");
                // What cannot begin anything is passed over, with what belongs to it.
                return self.recover();
            }
        };
        match self.peek() {
            Kind::And | Kind::Or | Kind::Close | Kind::End => expr,
            _ => {
                self.expected("`and`, `or` or the end");
                self.recover();
                expr
            }
        }
    }

    /// An expression one level deeper.
    fn nested(&mut self) -> Option<Expr> {
        if self.depth >= self.max_depth {
            self.deep();
            return None;
        }
        self.depth += 1;
        let inner = self.or();
        self.depth -= 1;
        Some(inner)
    }

    /// Reports once that it nests too deep, and reads no further.
    fn deep(&mut self) -> Expr {
        if !self.too_deep {
            self.too_deep = true;
            let limit = self.max_depth;
            self.flaw(Problem::ConditionTooDeep { limit }, self.span());
        }
        self.at = self.tokens.len();
        Expr::Flawed
    }

    fn close(&mut self, open: Range<usize>) {
        match self.peek() {
            Kind::Close => {
                self.next();
            }
            _ if self.too_deep => {}
            // That the condition ends too early has been said already.
            Kind::End
                if self
                    .flaws
                    .last()
                    .is_some_and(|flaw| flaw.span == self.span()) => {}
            _ => self.flaw(Problem::UnclosedParenthesis, open),
        }
    }

    fn any(&mut self) -> Expr {
        self.next();
        let Kind::Word(list) = self.peek().clone() else {
            self.expected("a list of processes such as `process.ancestors`");
            return self.recover();
        };
        let list = Name {
            text: list,
            span: self.next().span,
        };
        if self.peek() != &Kind::Open {
            self.expected("`(` with a condition on the list's processes");
            return self.recover();
        }
        let open = self.next().span;
        let Some(body) = self.nested() else {
            return Expr::Flawed;
        };
        self.close(open);
        Expr::Any {
            list,
            body: Box::new(body),
        }
    }

    fn prefix_exists(&mut self) -> Expr {
        let op_span = self.next().span;
        let Token {
            kind: Kind::Word(name),
            span,
        } = self.next()
        else {
            return Expr::Flawed;
        };
        let help = format!("write `{name} exists`");
        let problem = Problem::WrongOrder {
            word: "exists",
            side: "after",
        };
        self.flaw_with_help(problem, op_span.clone(), help);
        Expr::Predicate(Predicate {
            span: op_span.start..span.end,
            field: Name { text: name, span },
            op: Op::Exists,
            operands: Operands {
                form: Form::None,
                constants: Vec::new(),
                span: op_span.clone(),
            },
            op_span,
        })
    }

    fn predicate(&mut self) -> Expr {
        let Token {
            kind: Kind::Word(text),
            span,
        } = self.next()
        else {
            return Expr::Flawed;
        };
        let field = Name { text, span };
        let mut negated = false;
        if self.peek() == &Kind::Not && matches!(self.peek_after(), Kind::Op(_)) {
            let span = self.next().span;
            let help = format!(
                "write `not {} {}`",
                field.text,
                self.peek().spelling().unwrap_or("")
            );
            self.flaw_with_help(
                Problem::WrongOrder {
                    word: "not",
                    side: "before",
                },
                span,
                help,
            );
            negated = true;
        }
        let op = match self.peek().clone() {
            Kind::Op(op) => op,
            Kind::Word(found) => {
                self.unknown_operator(found);
                return self.recover();
            }
            Kind::Flawed => return self.recover(),
            _ => return Expr::Bare(field),
        };
        let op_span = self.next().span;
        let Some(operands) = self.operands(op) else {
            return self.recover();
        };
        let predicate = Expr::Predicate(Predicate {
            span: field.span.start..self.end_of_last(),
            field,
            op,
            op_span,
            operands,
        });
        if negated {
            Expr::Not(Box::new(predicate))
        } else {
            predicate
        }
    }

    fn unknown_operator(&mut self, found: String) {
        let right = match found.to_lowercase().as_str() {
            "is" | "equals" | "eq" => Some("=="),
            "ne" | "isnot" => Some("!="),
            "lt" => Some("<"),
            "le" => Some("<="),
            "gt" => Some(">"),
            "ge" => Some(">="),
            "pmatch" => Some("startswith"),
            "like" | "fnmatch" | "wildcard" => Some("glob"),
            "ilike" => Some("iglob"),
            "regex" | "regexp" | "re" | "rx" | "match" => Some("matches"),
            "has" | "includes" => Some("contains"),
            "prefix" | "begins" | "beginswith" => Some("startswith"),
            "suffix" => Some("endswith"),
            _ => nearest(&found, Op::words()),
        };
        let help = match right {
            Some(right) => format!("did you mean `{right}`?"),
            None => {
                let words: Vec<_> = Op::words().collect();
                format!("the operators are == != < <= > >= {}", words.join(" "))
            }
        };
        let span = self.span();
        self.flaw_with_help(Problem::UnknownOperator { found }, span, help);
    }

    fn operands(&mut self, op: Op) -> Option<Operands> {
        let start = self.span().start;
        if op == Op::Exists {
            let end = self.end_of_last();
            return Some(Operands {
                form: Form::None,
                constants: Vec::new(),
                span: end..end,
            });
        }
        let form = match self.peek() {
            Kind::AnyOf => Form::AnyOf,
            Kind::AllOf => Form::AllOf,
            Kind::Open => Form::Set,
            _ => Form::One,
        };
        if matches!(form, Form::AnyOf | Form::AllOf) {
            self.next();
        }
        let constants = if self.peek() == &Kind::Open {
            self.constants()?
        } else {
            vec![self.constant()?]
        };
        Some(Operands {
            form,
            constants,
            span: start..self.end_of_last(),
        })
    }

    /// `( constant, … )`, a comma after the last allowed.
    fn constants(&mut self) -> Option<Vec<Constant>> {
        let open = self.next().span;
        let mut constants = Vec::new();
        loop {
            if self.peek() == &Kind::Close && !constants.is_empty() {
                break;
            }
            constants.push(self.constant()?);
            match self.peek() {
                Kind::Comma => {
                    self.next();
                }
                Kind::Close => {}
                Kind::End => {
                    self.flaw(Problem::UnclosedParenthesis, open);
                    return None;
                }
                _ => {
                    self.expected("`,` or `)`");
                    self.recover();
                    if self.peek() == &Kind::Close {
                        break;
                    }
                    return None;
                }
            }
        }
        self.next();
        Some(constants)
    }

    fn constant(&mut self) -> Option<Constant> {
        let span = self.span();
        let value = match self.peek().clone() {
            Kind::Text(text) => Literal::Text(text),
            Kind::Integer(number) => Literal::Integer(number),
            Kind::Range(from, to) => Literal::Range(from, to),
            Kind::Address(address) => Literal::Address(address),
            Kind::Boolean(value) => Literal::Boolean(value),
            Kind::List(name) => Literal::List(name),
            Kind::Flawed => Literal::Flawed,
            Kind::Word(word) => {
                let help = format!(
                    "write {}, or `${word}` for a list",
                    crate::condition::quote(&word)
                );
                self.flaw_with_help(Problem::NotQuoted { text: word }, span.clone(), help);
                Literal::Flawed
            }
            _ => {
                self.expected(
                    "a constant: a string in double quotes, a number, true, false or `$list`",
                );
                return None;
            }
        };
        self.next();
        Some(Constant { value, span })
    }
}

fn single_or(mut parts: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.pop().unwrap_or(Expr::Flawed),
        _ => join(parts),
    }
}
