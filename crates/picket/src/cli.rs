//! The command line.

use crate::commands::control::{arm, disarm, stats, status};
use crate::commands::remote::{
    action, apply, diff, exception, export, findings, graph, issue, playbook, promote, try_rules,
};
use crate::commands::{
    completion, config_check, explain, man, match_events, rules_check, rules_convert, rules_test,
    server,
};
use crate::live::{doctor, record, replay, sensor, up};
use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Runtime defence for Linux: sees what happens on a host, matches it against
/// rules, and answers.
#[derive(Debug, Parser)]
#[command(
    name = "picket",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 fine, 1 the answer is no, 2 usage or input error.\n\
        Data goes to stdout, everything else to stderr.\n\n\
        Example: see what the built-in rules find on this host\n  sudo picket up"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this host: the sensor with the built-in rules, and the server with its API
    #[command(after_help = "Example:\n  sudo picket up --data /var/lib/picket")]
    Up(up::Args),
    /// Watch this host; findings go to stdout
    #[command(
        after_help = "Examples:\n  sudo picket sensor --rules rules/ > findings.jsonl\n  \
            sudo picket sensor --rules site.yaml --enforce-in /sys/fs/cgroup/shop --format text\n\n\
            SIGHUP and changed files reload the rules; SIGTERM and Ctrl-C stop it."
    )]
    Sensor(sensor::Args),
    /// Show what is in force on this host: policies, budgets, how rules are enforced
    #[command(
        after_help = "Exit code 0 if a sensor runs, 1 if not.\n\nExamples:\n  sudo picket status\n  \
            sudo picket status --format json | jq '.enforcement[] | select(.blocks)'"
    )]
    Status(status::Args),
    /// Show what the running sensor has counted, and what each rule costs
    #[command(
        after_help = "Examples:\n  sudo picket stats\n  sudo picket stats --watch 5\n  \
            sudo picket stats --format json | jq '.rules[] | select(.over_budget) | .rule'"
    )]
    Stats(stats::Args),
    /// Lift every block on this host at once, whether a sensor runs or not
    #[command(
        after_help = "What policies blocked they only simulate, in sensors that start later too, until \
            `picket arm`.\nExit code 0 if something was lifted, 1 if nothing was armed.\n\n\
            Example:\n  sudo picket disarm --reason 'the shop is down, ticket 4711'"
    )]
    Disarm(disarm::Args),
    /// Put blocks back in force, or give policies their used-up budget back
    #[command(
        after_help = "Exit code 0 if something was put back, 1 if no block had been lifted.\n\n\
            Examples:\n  sudo picket arm\n  sudo picket arm stop-web-shells"
    )]
    Arm(arm::Args),
    /// Write what happens on this host to a file
    #[command(
        after_help = "Examples:\n  sudo picket record -o host.picket --duration 60\n  \
            sudo picket record -o events.jsonl --format json"
    )]
    Record(record::Args),
    /// Take a recording through the whole pipeline again
    #[command(after_help = "Example:\n  picket replay host.picket --rules rules/")]
    Replay(replay::Args),
    /// Tell what this kernel lets the sensor see and stop
    #[command(after_help = "Exit code 0 if every event class is seen, 1 if not.\n\n\
            Example:\n  sudo picket doctor")]
    Doctor(doctor::Args),
    /// Work with rule files
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket rules check rules/"
    )]
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Match recorded events against rules: OCSF events in, Detection Findings out
    #[command(
        name = "match",
        after_help = "Examples:\n  picket match --rules rules/ events.jsonl > findings.jsonl\n  \
            jq -c '.evidences[0]' findings.jsonl | picket match --rules new.yaml --format text"
    )]
    Match(match_events::Args),
    /// Tell which predicate made a rule match an event or not
    #[command(
        after_help = "Exit code 0 if the rule matches (one of) the events, 1 if not.\n\n\
            Example:\n  picket explain --rule web-shell --rules rules/ event.json"
    )]
    Explain(explain::Args),
    /// Run the control plane
    #[command(
        after_help = "Examples:\n  picket server --config /etc/picket/server.toml\n  \
            picket server backup --config /etc/picket/server.toml -o picket.tar"
    )]
    Server(server::Args),
    /// Work with the server's configuration
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket config check /etc/picket/server.toml"
    )]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make a server's rules, policies and lists those of a folder
    #[command(
        after_help = "Exit code 0, or 1 if the files are wrong: then nothing is changed.\n\n\
            Examples:\n  picket apply -f rules/ --dry-run --token-file ~/.picket-token\n  \
            picket apply -f rules/ --stage simulate --prune --reason 'commit 1f00aa'"
    )]
    Apply(apply::Args),
    /// Show what `picket apply` would change
    #[command(
        after_help = "Exit code 0 if nothing differs, 1 if something does.\n\n\
            Example:\n  picket diff -f rules/ --token-file ~/.picket-token"
    )]
    Diff(diff::Args),
    /// Write a server's rules, policies and lists as files
    #[command(after_help = "Example:\n  picket export -o rules/ --token-file ~/.picket-token")]
    Export(export::Args),
    /// Ask a server's security graph: nodes, neighbours, paths, blast radius
    #[command(
        arg_required_else_help = true,
        after_help = "A node is named by its id, or by KIND=KEY; `search` tells both. Tabs part the columns.\n\n\
            Example:\n  picket graph path rule=web-shell ip=198.51.100.7 --token-file ~/.picket-token"
    )]
    Graph {
        #[command(subcommand)]
        command: graph::Command,
    },
    /// Findings that a server has
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket findings export --severity high -o findings.jsonl --token-file ~/.picket-token"
    )]
    Findings {
        #[command(subcommand)]
        command: findings::Command,
    },
    /// See what rules leave alone, propose and preview exceptions, quiet what floods
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket exception noisy --token-file ~/.picket-token"
    )]
    Exception {
        #[command(subcommand)]
        command: exception::Command,
    },
    /// Write, try and let run what is done by itself about findings and issues
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket playbook runs --state waiting_approval --token-file ~/.picket-token"
    )]
    Playbook {
        #[command(subcommand)]
        command: playbook::Command,
    },
    /// Act on a host: kill a process tree, collect forensics, quarantine a file, cut it off
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket action isolate --sensor 019a… --lease 3600 --reason 'case 7' --token-file ~/.picket-token"
    )]
    Action {
        #[command(subcommand)]
        command: action::Command,
    },
    /// Work on issues: what findings opened for somebody to look at
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket issue list --overdue --token-file ~/.picket-token"
    )]
    Issue {
        #[command(subcommand)]
        command: issue::Command,
    },
    /// Take a response policy from simulate to block, on evidence
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket policy evidence stop-web-shells --token-file ~/.picket-token"
    )]
    Policy {
        #[command(subcommand)]
        command: promote::Command,
    },
    /// Take a rule from simulate to block, on evidence
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  picket rule evidence web-shell --token-file ~/.picket-token"
    )]
    Rule {
        #[command(subcommand)]
        command: promote::Command,
    },
    /// Write a shell's completion script to stdout
    #[command(after_help = "Example:\n  picket completion bash > /etc/bash_completion.d/picket")]
    Completion(completion::Args),
    /// Write the manual pages
    #[command(hide = true, after_help = "Example:\n  picket man /usr/share/man/man1")]
    Man(man::Args),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a configuration file: exit code 0, or 1 with what is wrong, and where
    #[command(after_help = "Example:\n  picket config check /etc/picket/server.toml")]
    Check(config_check::Args),
    /// Write every key, with its default, to stdout
    #[command(after_help = "Example:\n  picket config show-default > /etc/picket/server.toml")]
    ShowDefault,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Check rule files: exit code 0, or 1 with every diagnostic
    #[command(after_help = "Examples:\n  picket rules check rules/ site.yaml\n  \
            picket rules check --format json rules/ | jq '.[].message'")]
    Check(rules_check::Args),
    /// Run the tests inside rule files: exit code 1 if one fails
    #[command(after_help = "Example:\n  picket rules test rules/")]
    Test(rules_test::Args),
    /// Write rules of any format as native YAML to stdout
    #[command(after_help = "Example:\n  picket rules convert rules/web.yaml > canonical.yaml")]
    Convert(rules_convert::Args),
    /// Tell which of a server's findings, or which events of a recording, a rule file would match
    #[command(
        after_help = "Nothing is stored. Exit code 0 if it matches something, 1 if not.\n\n\
            Examples:\n  picket rules try web.yaml --token-file ~/.picket-token\n  \
            picket rules try web.yaml --events host.jsonl --token-file ~/.picket-token"
    )]
    Try(try_rules::Args),
}

/// Parses the command line and does what it says.
pub fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Sensor(args) => sensor::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Disarm(args) => disarm::run(&args),
        Command::Arm(args) => arm::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Rules { command } => match command {
            RulesCommand::Check(args) => rules_check::run(&args),
            RulesCommand::Test(args) => rules_test::run(&args),
            RulesCommand::Convert(args) => rules_convert::run(&args),
            RulesCommand::Try(args) => try_rules::run(&args),
        },
        Command::Match(args) => match_events::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Server(args) => server::run(&args),
        Command::Config { command } => match command {
            ConfigCommand::Check(args) => config_check::run(&args),
            ConfigCommand::ShowDefault => config_check::show_default(),
        },
        Command::Apply(args) => apply::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Graph { command } => graph::run(&command),
        Command::Findings { command } => findings::run(&command),
        Command::Exception { command } => exception::run(&command),
        Command::Playbook { command } => playbook::run(&command),
        Command::Action { command } => action::run(&command),
        Command::Issue { command } => issue::run(&command),
        Command::Policy { command } => promote::run(promote::Subject::Policy, &command),
        Command::Rule { command } => promote::run(promote::Subject::Rule, &command),
        Command::Completion(args) => completion::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent_and_every_command_has_an_example() {
        Cli::command().debug_assert();
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(help.contains("Example"), "{}", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }
}
