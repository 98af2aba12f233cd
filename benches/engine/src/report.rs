//! The table, and the drawing of the cost curve.

use crate::figures::{Figures, SizeFigures, of_size};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;

/// The figures as Markdown.
pub fn table(figures: &Figures) -> String {
    let mut text = format!("## The rule engine\n\n{}", aims(figures));
    let mut line = |parts: &[String]| {
        let _ = writeln!(text, "| {} |", parts.join(" | "));
    };
    let cells = |first: &str, of: &dyn Fn(&SizeFigures) -> String| {
        let mut parts = vec![first.to_owned()];
        parts.extend(figures.sizes.iter().map(of));
        parts
    };
    line(&cells("figure", &|size| format!("{} rules", size.rules)));
    line(&cells("---", &|_| "---".to_owned()));
    line(&cells("reference (naive), ns an event", &|size| {
        format!("{:.0}", size.naive_ns)
    }));
    line(&cells("program, ns an event", &|size| {
        format!("{:.0}", size.program_ns)
    }));
    line(&cells(
        "the same if every command line were known",
        &|size| format!("{:.0}", size.known_ns),
    ));
    line(&cells("the same if every command line were new", &|size| {
        format!("{:.0}", size.new_ns)
    }));
    line(&cells("times faster than naive", &|size| {
        ratio(size.naive_ns, size.program_ns)
    }));
    for (number, peer) in figures.sizes[0].peers.iter().enumerate() {
        let of = |size: &SizeFigures| size.peers[number].each_ns;
        line(&cells(&format!("{}, ns an event", peer.name), &|size| {
            format!("{:.0}", of(size))
        }));
        line(&cells(
            &format!("times faster than {}", peer.name),
            &|size| ratio(of(size), size.program_ns),
        ));
        let left_out = |size: &SizeFigures| size.peers[number].left_out;
        if figures.sizes.iter().any(|size| left_out(size) > 0) {
            line(&cells(
                &format!("rules that {} was not given", peer.name),
                &|size| left_out(size).to_string(),
            ));
        }
    }
    let least = figures.sizes[0].program_ns;
    line(&cells("growth from 10 rules", &|size| {
        ratio(size.program_ns, least)
    }));
    line(&cells("candidate rules an event", &|size| {
        format!("{:.1}", size.candidates)
    }));
    line(&cells("compile, ms", &|size| {
        format!("{:.0}", size.compile_ms)
    }));
    line(&cells("memory of the tables, MB", &|size| {
        format!("{:.2}", size.memory as f64 / 1e6)
    }));
    line(&cells("matches compared with the reference", &|size| {
        size.checked.to_string()
    }));
    text.push('\n');
    let _ = writeln!(
        text,
        "An exec event with 1,000 rules takes {:.0} ns; a network or DNS event with 1,000 rules that speak of its actor {:.0} ns: {:.2} of it.\n",
        figures.exec_ns,
        figures.actor_ns,
        figures.actor_ns / figures.exec_ns
    );
    text += "Command lines stuffed with what 1,000 rules look for:\n\n";
    text +=
        "| bytes | naive, ns | program, ns | times faster | ns a byte |\n|---|---|---|---|---|\n";
    for hostile in &figures.hostile {
        let _ = writeln!(
            text,
            "| {}{} | {:.0} | {:.0} | {} | {:.1} |",
            hostile.bytes,
            if hostile.cut { ", cut off there" } else { "" },
            hostile.naive_ns,
            hostile.program_ns,
            ratio(hostile.naive_ns, hostile.program_ns),
            hostile.program_ns / hostile.bytes as f64
        );
    }
    text
}

/// What was aimed at, and what was reached.
fn aims(figures: &Figures) -> String {
    let each = |of: &dyn Fn(&SizeFigures) -> String| -> String {
        let cells: Vec<String> = figures.sizes.iter().map(of).collect();
        cells.join(", ")
    };
    let last_two = |of: &dyn Fn(&SizeFigures) -> String| -> String {
        let from = figures.sizes.len().saturating_sub(2);
        let cells: Vec<String> = figures.sizes[from..].iter().map(of).collect();
        cells.join(", ")
    };
    let first = &figures.sizes[0];
    let mut rows = vec![
        Row {
            known: each(&|size| ratio(size.naive_ns, size.known_ns)),
            ..Row::new(
                "beside naive (the reference) at 10, 100, 1,000, 10,000 rules",
                "1.5x, 8x, 70x, 1,000x",
                each(&|size| ratio(size.naive_ns, size.program_ns)),
            )
        },
        Row {
            known: last_two(&|size| ratio(size.known_ns, first.known_ns)),
            ..Row::new(
                "growth from 10 to 1,000 and 10,000 rules",
                "2.5x, 10x",
                last_two(&|size| ratio(size.program_ns, first.program_ns)),
            )
        },
    ];
    for (number, peer) in first.peers.iter().enumerate() {
        let faster = |size: &SizeFigures| ratio(size.peers[number].each_ns, size.program_ns);
        let known = |size: &SizeFigures| ratio(size.peers[number].each_ns, size.known_ns);
        let name = format!("beside {}", peer.name);
        rows.push(match peer.name {
            plain if plain.starts_with("plain") => Row {
                known: each(&known),
                ..Row::new(name, "", each(&faster))
            },
            other => {
                let is_rsigma = other.starts_with("rsigma");
                let aim = if is_rsigma { "15x, 100x" } else { "4x, 4x" };
                let name = format!("{name} at 1,000 and 10,000 rules");
                Row {
                    known: last_two(&known),
                    ..Row::new(name, aim, last_two(&faster))
                }
            }
        });
    }
    rows.push(Row::new(
        "a network or DNS event with 1,000 rules on its actor, of an exec event",
        "0.2",
        format!("{:.2}", figures.actor_ns / figures.exec_ns),
    ));
    let hostile = figures
        .hostile
        .iter()
        .find(|one| one.bytes == 4096 && !one.cut);
    if let Some(hostile) = hostile {
        rows.push(Row::new(
            "4 KiB stuffed with needles, 1,000 rules, beside naive",
            "15x",
            ratio(hostile.naive_ns, hostile.program_ns),
        ));
    }
    rows.push(Row::new(
        "compile 1,000 and 10,000 rules",
        "100 ms, 1.5 s",
        last_two(&|size| format!("{:.0} ms", size.compile_ms)),
    ));
    rows.push(Row::new(
        "memory of the program at 1,000 and 10,000 rules",
        "4 MB, 30 MB",
        last_two(&|size| format!("{:.1} MB", size.memory as f64 / 1e6)),
    ));
    let mut text = String::from(
        "| figure | aim | measured | if every command line were known |\n|---|---|---|---|\n",
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            row.figure, row.aim, row.measured, row.known
        );
    }
    text.push('\n');
    text
}

/// A figure beside its aim.
struct Row {
    figure: String,
    aim: &'static str,
    measured: String,
    known: String,
}

impl Row {
    fn new(figure: impl Into<String>, aim: &'static str, measured: String) -> Row {
        Row {
            figure: figure.into(),
            aim,
            measured,
            known: String::new(),
        }
    }
}

fn ratio(one: f64, other: f64) -> String {
    format!("{:.1}x", one / other)
}

/// Writes the section and its drawing.
pub fn write(figures: &Figures) -> Result<()> {
    let folder = Path::new("docs/performance");
    std::fs::create_dir_all(folder).context("docs/performance")?;
    let text = format!(
        "{INTRODUCTION}{}\n![cost of an event over the number of rules](engine-cost.svg)\n",
        table(figures)
    );
    std::fs::write(folder.join("engine.md"), text)?;
    std::fs::write(folder.join("engine-cost.svg"), drawing(figures)?)?;
    Ok(())
}

const INTRODUCTION: &str = "<!-- Made by `make bench` (benches/engine): do not edit. -->
Workload: 20,000 events (61% exec, 20% connect, 19% DNS) and 10,000 rules with the shapes of public
Sigma rules. Every figure is of one thread and of one run on one machine; ratios say more than
nanoseconds. Events are made 32 at a time and then evaluated, each process with an image of its own,
parents and ancestors shared, as the sensor does it. 1,000 events teach the compiler what is frequent.
The least of several rounds counts, and each round begins with empty caches: of the exec events 41%
have a command line that the round has not had before. Two rows show the same with none and with all
of them new. Before anything is timed its matches are compared with the reference's. Program memory
is that of the tables, without the rules' own text and without regexes, which are built when first
needed.

The *reference* (`crates/engine/src/naive.rs`) asks one rule after the other, cheap predicates first,
with prepared substring searches and regexes, and folds a text once for all rules. The *plain naive*
evaluator is the same code asked rule by rule, so that nothing is kept from one rule to the next.
rsigma-eval is given our events as they are, without JSON, and each event's category, by which it
leaves rules of other categories out; vectorscan is given one literal or regex of each rule, and what
it finds is asked of the reference.

";

/// Cost over number of rules, both logarithmic.
fn drawing(figures: &Figures) -> Result<String> {
    const WIDTH: f64 = 760.0;
    /// For the names of the curves.
    const RIGHT: f64 = 200.0;
    const HEIGHT: f64 = 360.0;
    let x = |rules: usize| 70.0 + ((rules as f64).log10() - 1.0) / 3.0 * (WIDTH - RIGHT - 70.0);
    let y = |ns: f64| HEIGHT - 40.0 - (ns.max(10.0).log10() - 1.0) / 6.0 * (HEIGHT - 70.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (ns, name) in [
        (1e1, "10 ns"),
        (1e2, "100 ns"),
        (1e3, "1 µs"),
        (1e4, "10 µs"),
        (1e5, "100 µs"),
        (1e6, "1 ms"),
        (1e7, "10 ms"),
    ] {
        let at = y(ns);
        let _ = writeln!(
            svg,
            "<line x1=\"70\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/><text x=\"62\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            WIDTH - RIGHT,
            at + 4.0
        );
    }
    for size in &figures.sizes {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(size.rules),
            HEIGHT - 20.0,
            size.rules
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">rules</text>",
        WIDTH / 2.0,
        HEIGHT - 4.0
    );
    let mut labels: Vec<(f64, &str, &str)> = Vec::new();
    let mut curve = |name: &'static str, color: &'static str, of: &dyn Fn(&SizeFigures) -> f64| {
        let points: Vec<String> = figures
            .sizes
            .iter()
            .map(|size| format!("{:.1},{:.1}", x(size.rules), y(of(size))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        labels.extend(figures.sizes.last().map(|last| (y(of(last)), name, color)));
    };
    curve("naive", "#b33", &|size| size.naive_ns);
    for (number, peer) in of_size(figures, 10)?.peers.iter().enumerate() {
        curve(peer.name, ["#c77", "#b80", "#666"][number % 3], &|size| {
            size.peers[number].each_ns
        });
    }
    curve("Picket", "#06c", &|size| size.program_ns);
    // Beside the ends of their curves, one under the other where those are close.
    labels.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut lowest = f64::NEG_INFINITY;
    for (at, name, color) in labels {
        let at = at.max(lowest + 14.0);
        lowest = at;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{name}</text>",
            WIDTH - RIGHT + 6.0,
            at + 4.0
        );
    }
    svg += "</svg>\n";
    Ok(svg)
}
