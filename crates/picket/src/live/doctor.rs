//! `picket doctor`: what this kernel lets the sensor see and stop.

use super::Format;
use crate::output;
use anyhow::Result;
use picket_model::policy::Effects;
use picket_model::{ClassSet, EventClass};
use picket_probe::capability::{self, Capability, State};
use picket_sensor::enforce::{Decision, Mode, Powers, Step, enforcement};
use serde_json::json;
use std::fmt::Write;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What one effect of a policy comes to here, on events of a class whose rule the
/// kernel decides.
struct Action {
    name: String,
    mode: Mode,
}

/// Runs it: exit code 0 if every event class is seen, 1 if one is not.
pub fn run(args: &Args) -> Result<ExitCode> {
    let capabilities = capability::probe();
    let actions = actions(&powers(&capabilities));
    match args.format {
        Format::Text => output::write(&text(&capabilities, &actions))?,
        Format::Json => output::write(&format!("{}\n", document(&capabilities, &actions)))?,
    }
    let all_seen = EventClass::ALL
        .iter()
        .all(|class| sees(&capabilities, *class));
    Ok(if all_seen {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn sees(capabilities: &[Capability], class: EventClass) -> bool {
    capabilities
        .iter()
        .any(|item| item.name == class.name() && item.state.is_ok())
}

fn works(capabilities: &[Capability], name: &str) -> bool {
    capabilities
        .iter()
        .any(|item| item.name == name && item.state.is_ok())
}

/// What was found out, as the sensor's enforcement takes it.
fn powers(capabilities: &[Capability]) -> Powers {
    let lsm = works(capabilities, capability::LSM);
    let unseen = EventClass::ALL
        .into_iter()
        .filter(|class| !sees(capabilities, *class));
    Powers {
        kills_in_cgroups: works(capabilities, capability::KILLS_IN_CGROUPS),
        refuses: if lsm {
            ClassSet::all()
        } else {
            ClassSet::EMPTY
        },
        pidfd: works(capabilities, capability::PIDFD),
        unseen: unseen.collect(),
    }
}

const EFFECTS: [(&str, Effects); 2] = [
    (
        "kill",
        Effects {
            kill: true,
            deny: false,
        },
    ),
    (
        "deny",
        Effects {
            kill: false,
            deny: true,
        },
    ),
];

fn actions(powers: &Powers) -> Vec<Action> {
    let of = |class: EventClass| {
        EFFECTS.into_iter().map(move |(name, effects)| Action {
            name: format!("{name} on {class}"),
            mode: enforcement(class, effects, Decision::WHOLE, powers),
        })
    };
    EventClass::ALL.into_iter().flat_map(of).collect()
}

impl Action {
    fn works(&self) -> bool {
        self.mode.usual.step != Step::CannotBeEnforced
    }
}

fn text(capabilities: &[Capability], actions: &[Action]) -> String {
    let mut text = String::from("What this kernel offers\n");
    for item in capabilities {
        let _ = writeln!(text, "  {item}");
    }
    text.push_str("What a policy that blocks does here, where the kernel decides its rule\n");
    for action in actions {
        let word = if action.works() { "ok " } else { "no " };
        let _ = writeln!(text, "  {word} {}: {}", action.name, action.mode);
    }
    text.push_str("`picket rules check` tells which rules the kernel cannot decide, `picket status` what is done about each\n");
    text
}

fn document(capabilities: &[Capability], actions: &[Action]) -> serde_json::Value {
    let items: Vec<_> = capabilities
        .iter()
        .map(|item| {
            let (detail, remedy) = match &item.state {
                State::Ok(detail) => (detail, None),
                State::No { reason, remedy } => (reason, Some(remedy)),
            };
            json!({"name": item.name, "gives": item.gives, "ok": item.state.is_ok(), "detail": detail, "remedy": remedy})
        })
        .collect();
    let actions: Vec<_> = actions
        .iter()
        .map(|action| {
            json!({
                "name": action.name,
                "ok": action.works(),
                "mode": action.mode.usual.step.name(),
                "detail": action.mode.to_string(),
            })
        })
        .collect();
    json!({"capabilities": items, "actions": actions})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(broken: &[&str]) -> Vec<Capability> {
        let classes = EventClass::ALL.iter().map(|class| class.name());
        let others = [
            capability::KILLS_IN_CGROUPS,
            capability::LSM,
            capability::PIDFD,
        ];
        classes
            .chain(others)
            .map(|name| Capability {
                name: name.to_owned(),
                gives: "something",
                state: if broken.contains(&name) {
                    State::No {
                        reason: "no".into(),
                        remedy: "none".into(),
                    }
                } else {
                    State::Ok(String::new())
                },
            })
            .collect()
    }

    fn line(broken: &[&str], name: &str) -> (bool, String) {
        let actions = actions(&powers(&capabilities(broken)));
        let action = actions.into_iter().find(|action| action.name == name);
        let action = action.unwrap();
        (action.works(), action.mode.to_string())
    }

    #[test]
    fn actions_follow_from_what_was_probed() {
        let lsm = capability::LSM;
        assert_eq!(
            line(&[], "deny on process.exec"),
            (true, "denied in kernel".into())
        );
        assert!(!line(&[lsm], "deny on file.delete").0);
        assert_eq!(
            line(&[lsm], "kill on file.delete"),
            (true, "killed in kernel".into())
        );
        assert_eq!(
            line(&[capability::KILLS_IN_CGROUPS], "kill on dns.query").1,
            "killed from user space: this kernel's cgroup hooks cannot end a process"
        );
        let neither = [capability::KILLS_IN_CGROUPS, capability::PIDFD];
        assert!(!line(&neither, "kill on dns.query").0);
        assert!(line(&neither, "kill on process.exec").0);
        assert!(!line(&["dns.query"], "deny on dns.query").0);
        assert!(line(&["dns.query"], "deny on network.connect").0);
    }
}
