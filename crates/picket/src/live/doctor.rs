//! `picket doctor`: what this kernel lets the sensor see and stop.

use super::Format;
use crate::output;
use anyhow::Result;
use picket_model::EventClass;
use picket_probe::capability::{self, Capability, State};
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

/// One action and how it is carried out here.
struct Action {
    name: String,
    works: bool,
    how: &'static str,
}

/// Runs it: exit code 0 if every event class is seen, 1 if one is not.
pub fn run(args: &Args) -> Result<ExitCode> {
    let capabilities = capability::probe();
    let actions = actions(&capabilities);
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

fn actions(capabilities: &[Capability]) -> Vec<Action> {
    let pidfd = works(capabilities, "pidfd");
    EventClass::ALL
        .into_iter()
        .flat_map(|class| {
            let kills = pidfd && sees(capabilities, class);
            [
                Action {
                    name: format!("kill on {class}"),
                    works: kills,
                    how: if kills {
                        "from user space (pidfd): the process dies after the operation was seen"
                    } else {
                        "needs the event class and pidfd"
                    },
                },
                Action {
                    name: format!("deny on {class}"),
                    works: false,
                    how: "this version does not decide in the kernel: a block kills, it does not refuse",
                },
            ]
        })
        .collect()
}

fn text(capabilities: &[Capability], actions: &[Action]) -> String {
    let mut text = String::from("What this kernel offers\n");
    for item in capabilities {
        let _ = writeln!(text, "  {item}");
    }
    text.push_str("What a blocking policy can do here\n");
    for action in actions {
        let word = if action.works { "ok " } else { "no " };
        let _ = writeln!(text, "  {word} {}: {}", action.name, action.how);
    }
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
        .map(|action| json!({"name": action.name, "ok": action.works, "detail": action.how}))
        .collect();
    json!({"capabilities": items, "actions": actions})
}
