//! One way, tried under each policy, and what came of it.

use crate::look::{Look, Place};
use crate::row::{Outcome, Row};
use crate::stage::{Grounds, Policy, Stage};
use crate::ways::Way;
use anyhow::{Context, Result, bail, ensure};
use picket_e2e::cause::Running;
use picket_e2e::{Finding, Said, wait};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;

const SIGKILL: i32 = 9;
/// How a shell tells it.
const KILLED: i64 = 128 + 9;
const EPERM: i64 = 1;
/// What a kernel says that has no such thing: EINVAL, ENOSYS, EPROTONOSUPPORT,
/// EOPNOTSUPP.
const NO_SUCH_WAY: [i64; 4] = [22, 38, 93, 95];

/// One way, done under every policy and not looked at yet.
pub struct Trial {
    way: Way,
    deeds: Vec<Deed>,
}

struct Deed {
    policy: Policy,
    place: Place,
    running: Running,
    said: Vec<Said>,
    effect: bool,
}

/// What came of one act.
#[derive(Debug)]
struct End {
    /// The policy's decision, if there was one; the one that acted, if one did.
    response: Option<Value>,
    /// The effect was seen.
    effect: bool,
    /// The process was killed.
    killed: bool,
    /// errno of its call; 0 where it said nothing.
    errno: i64,
}

impl Trial {
    /// Does it, under each policy. Whoever is not killed stays until [`Trial::row`].
    pub fn of(stage: &Stage, way: Way, number: usize) -> Result<Trial> {
        let mut deeds = Vec::new();
        for policy in Policy::ALL {
            let place = stage.place(&way, policy, number)?;
            let mut running = stage
                .act(&way, policy, &place)
                .with_context(|| format!("{}: {}", way.kind, way.name))?;
            let said = running.said_or_ended()?.into_iter().collect();
            deeds.push(Deed {
                policy,
                place,
                running,
                said,
                effect: false,
            });
        }
        Ok(Trial { way, deeds })
    }

    /// Looks at the effects, when everything has been decided and while it is in force:
    /// what TCP was refused, it sends again and again.
    pub fn look(&mut self, stage: &Stage) -> Result<()> {
        for deed in &mut self.deeds {
            deed.look(&self.way, stage.grounds())
                .with_context(|| format!("{}: {}", self.way.kind, self.way.name))?;
        }
        Ok(())
    }

    /// What came of it.
    pub fn row(self, findings: &[Finding]) -> Result<Row> {
        let Trial { way, deeds } = self;
        let mut ends = Vec::new();
        for deed in deeds {
            let policy = deed.policy;
            let end = deed
                .end(&way, findings)
                .with_context(|| format!("{}: {}, {}", way.kind, way.name, policy.name()))?;
            ends.push(end);
        }
        row(&way, &ends).with_context(|| format!("{}: {}\n{ends:#?}", way.kind, way.name))
    }
}

impl Deed {
    /// Whether the event is this deed's: its own process's, or its child's.
    fn is_of(&self, way: &Way, finding: &Finding) -> bool {
        let whose = if way.child {
            "process.parent_process.pid"
        } else if way.class == "process.exec" {
            "process.pid"
        } else {
            "actor.process.pid"
        };
        finding.event().number(whose) == Some(self.running.pid().into())
    }

    fn response(&self, way: &Way, findings: &[Finding]) -> Option<Value> {
        let rule = self.policy.rule(way.class);
        let mut responses = findings
            .iter()
            .filter(|finding| finding.rule() == rule && self.is_of(way, finding))
            .flat_map(Finding::responses);
        let first = responses.clone().next();
        responses
            .find(|response| response.text("outcome") == "acted")
            .or(first)
            .map(|response| response.0.clone())
    }

    fn errno(&self) -> i64 {
        let errno = self.said.iter().map(Said::errno).find(|errno| *errno != 0);
        errno.unwrap_or(0)
    }

    fn look(&mut self, way: &Way, grounds: &Grounds) -> Result<()> {
        let simulated = self.policy == Policy::Simulate;
        // What started says so; all that it says is read at its end.
        let certain = simulated && way.look != Look::Started;
        let possible = !NO_SUCH_WAY.contains(&self.errno());
        let Deed { place, said, .. } = self;
        let mut shows = || grounds.within(|| place.shows(said, grounds.resolvers()));
        self.effect = if certain && possible {
            wait::until("the effect", || Ok(shows()?.then_some(true)))?
        } else {
            shows()?
        };
        Ok(())
    }

    fn end(mut self, way: &Way, findings: &[Finding]) -> Result<End> {
        let response = self.response(way, findings);
        let told = |key: &str| response.as_ref().map(|response| response[key].clone());
        let acted = told("outcome") == Some("acted".into());
        let errno = self.errno();
        if acted && told("kill") == Some(true.into()) && !way.child {
            self.running.killed()?;
        }
        let ended = self.running.end()?;
        self.said.extend(ended.said);
        let child_killed = self.said.iter().any(|line| line.ret() == KILLED);
        let effect = match way.look {
            Look::Started => self.place.shows(&self.said, None)?,
            _ => self.effect,
        };
        Ok(End {
            response,
            effect,
            killed: ended.status.signal() == Some(SIGKILL) || (way.child && child_killed),
            errno,
        })
    }
}

impl End {
    fn text(&self, key: &str) -> &str {
        let response = self.response.as_ref();
        response
            .and_then(|response| response[key].as_str())
            .unwrap_or_default()
    }

    fn acted(&self) -> bool {
        self.text("outcome") == "acted"
    }

    /// What acted, as far as it is always the same.
    fn mechanisms(&self, way: &Way) -> Vec<String> {
        let list = self
            .response
            .as_ref()
            .and_then(|response| response["mechanisms"].as_array());
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|word| !way.interrupts || !word.ends_with("_kill"))
            .map(str::to_owned)
            .collect()
    }

    /// The response without what simulating and blocking differ in.
    fn decision(&self, way: &Way) -> Option<Value> {
        let mut response = self.response.clone()?;
        if let Some(members) = response.as_object_mut() {
            for key in [
                "policy",
                "mode",
                "outcome",
                "pid",
                "latency_ns",
                "operation_completed",
            ] {
                members.remove(key);
            }
            if way.interrupts {
                members["mechanisms"] = self.mechanisms(way).into();
            }
        }
        Some(response)
    }
}

fn row(way: &Way, ends: &[End]) -> Result<Row> {
    let [simulated, blocked, denied] = ends else {
        bail!("{} ends", ends.len());
    };
    let row = |block, by, deny| Row {
        kind: way.kind.to_owned(),
        way: way.name.to_owned(),
        block,
        by,
        deny,
    };
    ensure!(!simulated.killed, "a simulation killed");
    if !simulated.effect {
        ensure!(
            NO_SUCH_WAY.contains(&simulated.errno),
            "the way has no effect by itself"
        );
        return Ok(row(Outcome::Impossible, Vec::new(), Outcome::Impossible));
    }
    ensure!(
        simulated.decision(way) == blocked.decision(way),
        "simulate and block decide differently"
    );
    let block = block_outcome(way, blocked)?;
    if block != Outcome::NotCovered {
        ensure!(
            simulated.text("outcome") == "simulated",
            "nothing was simulated"
        );
    }
    Ok(row(
        block,
        blocked.mechanisms(way),
        deny_outcome(way, denied)?,
    ))
}

fn block_outcome(way: &Way, end: &End) -> Result<Outcome> {
    if !end.acted() {
        ensure!(end.response.is_none(), "neither acted nor passed over");
        ensure!(!end.killed && end.effect, "nobody says who stopped it");
        return Ok(Outcome::NotCovered);
    }
    let completed = end
        .response
        .as_ref()
        .map(|response| &response["operation_completed"]);
    let completed = completed.and_then(Value::as_bool);
    let denied = end.mechanisms(way).iter().any(|word| word == "kernel_deny");
    ensure!(end.text("mode") == "block", "acted, and did not block");
    ensure!(end.killed, "it was not killed");
    ensure!(
        !denied || completed == Some(false),
        "denied, and gone through"
    );
    ensure!(
        completed != Some(false) || !end.effect,
        "it took effect, and the finding denies it"
    );
    ensure!(
        completed != Some(true) || end.effect || way.look.is_fleeting() || way.steps,
        "it had no effect, and the finding says it had"
    );
    Ok(match completed {
        Some(false) => Outcome::Prevented,
        _ => Outcome::Killed,
    })
}

fn deny_outcome(way: &Way, end: &End) -> Result<Outcome> {
    ensure!(!end.killed, "a policy that only denies killed");
    if !end.acted() {
        ensure!(
            end.response.is_none() || end.text("reason") == "cannot_enforce",
            "nobody says why nothing was done"
        );
        ensure!(end.effect, "nobody says who denied it");
        return Ok(Outcome::NotCovered);
    }
    let completed = end
        .response
        .as_ref()
        .map(|response| &response["operation_completed"]);
    ensure!(
        end.mechanisms(way) == ["kernel_deny"],
        "denied by something else"
    );
    ensure!(
        completed == Some(&Value::Bool(false)),
        "denied, and gone through"
    );
    ensure!(
        !end.effect,
        "it took effect, and the finding says it was denied"
    );
    ensure!(
        way.silent || end.errno == EPERM,
        "the call did not fail with EPERM"
    );
    Ok(Outcome::Prevented)
}
