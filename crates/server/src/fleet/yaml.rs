//! A policy as rule files write it.

use picket_model::Policy;
use picket_model::policy::{Action, Budget};
use std::fmt::Write;
use std::time::Duration;

/// A rule file with these policies.
pub(super) fn policies<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> String {
    let mut text = "policies:\n".to_owned();
    for policy in policies {
        write(&mut text, policy);
    }
    text
}

fn write(text: &mut String, policy: &Policy) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "  - id: {}", quoted(&policy.id));
    let _ = writeln!(text, "    trigger:");
    let trigger = &policy.trigger;
    for (key, names) in [
        ("rules", &trigger.rules),
        ("tags", &trigger.tags),
        ("categories", &trigger.categories),
    ] {
        if !names.is_empty() {
            let _ = writeln!(text, "      {key}: {}", list(names));
        }
    }
    if let Some(severity) = trigger.severity {
        let _ = writeln!(text, "      severity: \">= {severity}\"");
    }
    if !policy.projects.is_empty() {
        let _ = writeln!(text, "    projects: {}", list(&policy.projects));
    }
    let _ = match policy.action {
        Action::Simulate => writeln!(text, "    action: simulate"),
        Action::Block(effects) => writeln!(
            text,
            "    action: {{kill: {}, deny: {}}}",
            effects.kill, effects.deny
        ),
    };
    if let Some(budget) = &policy.budget {
        let _ = writeln!(text, "    budget: {}", self::budget(budget));
    }
}

fn budget(budget: &Budget) -> String {
    let mut text = format!(
        "{{kills: {}, per: {}, on_exceed: simulate",
        budget.kills,
        duration(budget.per)
    );
    if let Some(pause) = budget.resume_after {
        let _ = write!(text, ", resume_after: {}", duration(pause));
    }
    text.push('}');
    text
}

/// Rule files' durations are whole seconds.
fn duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", names.join(", "))
}

/// JSON's quoting is YAML's double quoting too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_lang::{Limits, Source, check};

    #[test]
    fn a_policy_reads_as_it_was() {
        let written = r#"
rules:
  - {id: one, title: t, event: process.exec, severity: low, category: cryptominer, tags: [attack.t1], condition: 'process.memfd'}
policies:
  - {id: a.b, trigger: {rules: [one], tags: [attack.t1], severity: ">= high"}, action: block}
  - {id: c_d, trigger: {categories: [cryptominer]}, projects: [web, pay-ments], action: {kill: true, deny: false}, budget: {kills: 5, per: 90s, on_exceed: simulate, resume_after: 2h}}
  - {id: e, trigger: {severity: ">= low"}, action: simulate, budget: {kills: 1, per: 1d, on_exceed: simulate}}
"#;
        let read = |sources: &[Source]| {
            let checked = check(sources, &Limits::default());
            let errors = picket_lang::render_text(&checked.diagnostics, sources, false);
            assert!(!checked.has_errors(), "{errors}");
            checked.policies
        };
        let before = read(&[Source::new("a", written)]);
        assert!(before.len() == 3);
        let rules = written.split("policies:").next().unwrap();
        let again = read(&[Source::new("a", rules), Source::new("b", policies(&before))]);
        assert_eq!(before, again);
    }
}
