//! Gathering a page: from findings, versions and what sensors say of the rules.

use super::page::{Evidence, Gap, RuleShare, Warning};
use super::tally::{Tally, tally};
use crate::api::App;
use crate::api::problem::Problem;
use crate::api::projects::Names;
use crate::api::values::{Time, most};
use crate::auth::Scope;
use picket_store::{
    Definition, EvidenceFilter, EvidenceOf, Kind, Micros, Stage, StoreError, Uuid, limits,
};

/// What happened longer ago speaks of another time.
pub(super) const LOOK_BACK: Micros = 30 * 24 * 3_600_000_000;
/// A day has its cron jobs and its people; less says little.
const LITTLE: Micros = 24 * 3_600_000_000;
/// Sensors with a gap that are shown, and rules of which they are looked for.
const GAPS: usize = 50;
const RULES: usize = 50;
/// Modes of a rule on a sensor that are less than a block, or than seeing all.
const WEAK: [&str; 3] = [
    "cannot_be_enforced",
    "cannot_be_evaluated",
    "evaluated_in_part",
];

/// From when until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub from: Micros,
    pub until: Micros,
}

/// Everything that is known of one definition, as far as one may see who asks.
pub(super) async fn gather(
    app: &App,
    definition: &Definition,
    scope: Scope,
    window: Window,
    now: Micros,
) -> Result<Evidence, Problem> {
    let of = match definition.kind {
        Kind::Rule => EvidenceOf::Rule(definition.name.clone()),
        _ => EvidenceOf::Policy(definition.name.clone()),
    };
    let projects = scope.projects();
    let filter = EvidenceFilter {
        of,
        from: window.from,
        until: window.until,
        projects: projects.clone(),
    };
    let found = app
        .store
        .judged_findings(&filter, limits::MAX_EVIDENCE)
        .await?;
    let cut = found.len() >= limits::MAX_EVIDENCE as usize;
    let tally = tokio::task::spawn_blocking(move || tally(&found, cut))
        .await
        .map_err(Problem::internal)?;
    let rules = rules(app, definition, &tally).await?;
    let (gaps, more) = gaps(app, &rules).await?;
    let warnings = warnings(definition, &tally, &rules, gaps.len(), more, window, now);
    let names = Names::read(app).await?;
    Ok(Evidence {
        kind: definition.kind.name().to_owned(),
        name: definition.name.clone(),
        version: definition.version,
        stage: definition.content.stage.into(),
        since: Time(definition.changed_at),
        made_at: Time(now),
        from: Time(window.from),
        until: Time(window.until),
        projects: projects.map(|ids| ids.iter().map(|id| names.of(*id)).collect()),
        actions: tally.actions,
        first: tally.first.map(Time),
        last: tally.last.map(Time),
        per_hour: tally.per_hour,
        hosts: tally.hosts,
        processes: tally.processes,
        users: tally.users,
        images: tally.images,
        rules,
        samples: tally.samples,
        gaps,
        warnings,
    })
}

/// The rules that set it off, as they stand now; of a rule, itself.
async fn rules(
    app: &App,
    definition: &Definition,
    tally: &Tally,
) -> Result<Vec<RuleShare>, Problem> {
    let mut counts: Vec<(String, u64)> = tally.rules.clone().into_iter().collect();
    if definition.kind == Kind::Rule && counts.is_empty() {
        counts.push((definition.name.clone(), 0));
    }
    counts.sort_by(|(one, a), (other, b)| b.cmp(a).then(one.cmp(other)));
    counts.truncate(RULES);
    let mut rules = Vec::with_capacity(counts.len());
    for (rule, count) in counts {
        let known = match app.store.definition_named(Kind::Rule, &rule).await {
            Ok(known) => Some(known),
            Err(StoreError::NotFound { .. }) => None,
            Err(why) => return Err(why.into()),
        };
        rules.push(RuleShare {
            rule,
            count,
            version: known.as_ref().map(|known| known.version),
            since: known.map(|known| Time(known.changed_at)),
        });
    }
    Ok(rules)
}

/// Sensors that do less for these rules than a block does; whether there are more.
async fn gaps(app: &App, rules: &[RuleShare]) -> Result<(Vec<Gap>, bool), Problem> {
    let mut gaps = Vec::new();
    for rule in rules {
        for mode in WEAK {
            let page = app
                .store
                .sensors_with_rule(&rule.rule, Some(mode), None, most()?)
                .await?;
            for one in page.items {
                if gaps.len() == GAPS {
                    return Ok((gaps, true));
                }
                gaps.push(Gap {
                    sensor: one.sensor.to_string(),
                    rule: one.status.rule,
                    mode: one.status.mode,
                    detail: one.status.detail,
                });
            }
        }
    }
    Ok((gaps, false))
}

fn warnings(
    definition: &Definition,
    tally: &Tally,
    rules: &[RuleShare],
    gaps: usize,
    more_gaps: bool,
    window: Window,
    now: Micros,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, detail: String| {
        warnings.push(Warning {
            code: code.to_owned(),
            detail,
        });
    };
    let actions = &tally.actions;
    if definition.content.stage != Stage::Simulate {
        warn(
            "not_simulated",
            format!(
                "it is at {}, not at simulate",
                definition.content.stage.name()
            ),
        );
    }
    let stands = now.saturating_sub(definition.changed_at).max(0);
    if stands < LITTLE {
        let hours = stands / 3_600_000_000;
        warn(
            "short",
            format!("this version has stood for {hours} hours: less than a day's work was seen"),
        );
    }
    if window.from < definition.changed_at {
        warn(
            "other_version",
            "what happened before this version stood is counted too".to_owned(),
        );
    }
    if actions.would_kill == 0 {
        warn(
            "no_evidence",
            "nothing would have been killed: this speaks neither for it nor against it".to_owned(),
        );
    }
    if !tally.critical.is_empty() {
        let names = tally.critical.join(", ");
        warn(
            "critical_process",
            format!("a host needs what would have been killed: {names}"),
        );
    }
    for rule in rules {
        let changed = rule.since.zip(tally.first);
        if let Some((since, first)) = changed
            && first < since.0
        {
            warn(
                "rule_changed",
                format!("{} was changed after the first of these", rule.rule),
            );
        }
    }
    if actions.withheld > 0 {
        warn(
            "withheld",
            format!(
                "{} were or would be withheld: protected, out of scope or over budget",
                actions.withheld
            ),
        );
    }
    if gaps > 0 {
        let more = if more_gaps { "more than " } else { "" };
        warn(
            "gaps",
            format!("{more}{gaps} times a sensor does less for a rule than a block does"),
        );
    }
    if actions.cut {
        let most = limits::MAX_EVIDENCE;
        warn("cut", format!("the newest {most} alone were looked at"));
    }
    warnings
}

/// The window that is looked at if none is asked for: as long as this version stands.
pub(super) fn usual(definition: &Definition, now: Micros) -> Window {
    Window {
        from: definition.changed_at.max(now - LOOK_BACK),
        // What a sensor's clock puts a little ahead is there too.
        until: now + 3_600_000_000,
    }
}

/// Whether a page that shows these projects alone (none: all) shows everything that
/// what is for those projects (none: every sensor) may do.
pub(super) fn shows_all(shown: Option<&[Uuid]>, projects: &[Uuid]) -> bool {
    shown.is_none_or(|shown| {
        !projects.is_empty() && projects.iter().all(|project| shown.contains(project))
    })
}
