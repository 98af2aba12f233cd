//! Rules under one blocking policy, none of which matches the load.

use crate::rules;
use std::fmt::Write;

/// Rules on connections and on DNS questions beside those on processes, each.
pub const NETWORK: usize = 50;

/// `count` rules on processes, and [`NETWORK`] on connections and on questions.
pub fn yaml(count: usize, blocks: bool) -> String {
    let mut text = rules::yaml(count);
    for number in 0..NETWORK {
        let connect = match number % 3 {
            0 => format!("dst_endpoint.ip == \"198.51.100.{number}\""),
            1 => format!(
                "dst_endpoint.ip in (\"203.0.113.{number}/32\") and dst_endpoint.port in (4444, {number})"
            ),
            _ => format!("actor.process.name == \"miner{number}\" and dst_endpoint.port == 3333"),
        };
        let question = match number % 3 {
            0 => format!("query.hostname endswith \".bad{number}.test\""),
            1 => format!("query.hostname in (\"c2-{number}.test\", \"drop-{number}.test\")"),
            _ => format!("query.hostname matches r\"^[a-f0-9]{{16}}\\.x{number}\\.test$\""),
        };
        for (class, condition) in [("network.connect", connect), ("dns.query", question)] {
            let id = class.replace('.', "-");
            let _ = writeln!(
                text,
                "  - id: {id}-{number}\n    title: Bench rule\n    event: {class}\n    severity: low\n    condition: '{condition}'"
            );
        }
    }
    if blocks {
        text.push_str("policies:\n  - {id: bench, trigger: {severity: low}, action: block}\n");
    }
    text
}

/// One rule that matches the victim, under a policy that blocks: decided in the
/// kernel, or (a container is what user space finds out) not.
pub fn victim(path: &str, in_kernel: bool) -> String {
    let more = if in_kernel {
        ""
    } else {
        " and not container.uid == \"none\""
    };
    format!(
        "rules:\n  - id: victim\n    title: Victim\n    event: process.exec\n    severity: high\n    \
         condition: 'process.path == \"{path}\"{more}'\n\
         policies:\n  - {{id: bench, trigger: {{rules: [victim]}}, action: block}}\n"
    )
}
