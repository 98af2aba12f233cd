//! Prometheus' text format.

use std::fmt::{Display, Write};

/// What is counted up, and what goes up and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever more, but for a restart.
    Counter,
    /// As it is now.
    Gauge,
}

/// A text being made, family by family.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// One family of it.
pub struct Family<'e> {
    name: &'static str,
    out: &'e mut String,
}

impl Exposition {
    /// Begins a family. Its samples follow at once: the format wants them together.
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
        Family {
            name,
            out: &mut self.0,
        }
    }

    /// A family of one sample without labels.
    pub fn one(&mut self, kind: Kind, name: &'static str, help: &str, value: impl Display) {
        self.family(kind, name, help).sample(&[], value);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// A sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.out.push_str(self.name);
        for (at, (name, value)) in labels.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{name}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
        self
    }

    /// A sample for each, under one label.
    pub fn each<K: AsRef<str>, V: Display>(
        &mut self,
        label: &str,
        values: impl IntoIterator<Item = (K, V)>,
    ) {
        for (name, value) in values {
            self.sample(&[(label, name.as_ref())], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut out = Exposition::default();
        out.family(Kind::Counter, "picket_x_total", "Xs")
            .sample(&[("rule", "a\"b\\c\nd"), ("how", "")], 3);
        out.one(Kind::Gauge, "picket_y", "Ys", 0.5);
        assert_eq!(
            out.finish(),
            "# HELP picket_x_total Xs.\n# TYPE picket_x_total counter\n\
             picket_x_total{rule=\"a\\\"b\\\\c\\nd\",how=\"\"} 3\n\
             # HELP picket_y Ys.\n# TYPE picket_y gauge\npicket_y 0.5\n"
        );
    }
}
