//! Templates of messages: values filled in, within limits.

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// Steps that a template may take: enough for long lists, and an end.
const FUEL: u64 = 50_000;
/// Bytes of what comes out, at most.
const MAX_OUT: usize = 64 << 10;

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    // Nothing is HTML here; in JSON the filter `tojson` writes values.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// Says what is wrong with a template's form.
pub(super) fn check(text: &str) -> Result<(), String> {
    let environment = environment();
    let checked = environment.template_from_str(text);
    checked.map(|_| ()).map_err(told)
}

/// Fills in.
pub(super) fn render(text: &str, values: &Value) -> Result<String, String> {
    let rendered = environment().render_str(text, values).map_err(told)?;
    if rendered.len() > MAX_OUT {
        return Err(format!("what comes out is longer than {MAX_OUT} bytes"));
    }
    Ok(rendered)
}

fn told(why: minijinja::Error) -> String {
    match why.line() {
        Some(line) => format!("line {line}: {why}"),
        None => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_filled_in_and_json_is_escaped() {
        let values = json!({"issue": {"title": "a \"b\"\n"}});
        let out = render("{\"t\": {{ issue.title | tojson }}}", &values).unwrap();
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(out["t"], "a \"b\"\n");
        assert_eq!(
            render("<{{ issue.title }}>", &values).unwrap(),
            "<a \"b\"\n>"
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let why = render("{{ issue.titel.x }}", &json!({"issue": {}})).unwrap_err();
        assert!(why.contains("line 1"), "{why}");
        assert!(check("{{ issue.title").is_err());
    }

    #[test]
    fn a_template_comes_to_an_end() {
        let long = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render(long, &json!({})).is_err());
        let wide = "{% for a in range(9000) %}0123456789{% endfor %}";
        let why = render(wide, &json!({})).unwrap_err();
        assert!(why.contains("longer"), "{why}");
    }
}
