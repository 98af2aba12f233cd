//! Response policies: which matches lead to which action.

use crate::rule::RuleInfo;
use crate::severity::Severity;
use std::time::Duration;

/// One response policy, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Unique name.
    pub id: String,
    /// Which matches it answers.
    pub trigger: Trigger,
    /// The projects it holds in; empty for every sensor.
    pub projects: Vec<String>,
    /// What it does.
    pub action: Action,
    /// Its blast radius on one sensor; none means no limit.
    pub budget: Option<Budget>,
}

impl Policy {
    /// Whether it acts and does not only simulate.
    pub fn blocks(&self) -> bool {
        matches!(self.action, Action::Block(_))
    }
}

/// Which matches a policy answers: those whose rule is named, or carries one of
/// the tags, or is of one of the categories, and is at least as severe as asked.
/// With no rule, tag or category, severity alone decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trigger {
    /// Rule ids.
    pub rules: Vec<String>,
    /// Tags, such as `attack.t1505.003`.
    pub tags: Vec<String>,
    /// Threat categories, such as `cryptominer` or `malicious_ioc.hash`.
    pub categories: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
}

impl Trigger {
    /// Whether a match of such a rule sets it off. A category also covers its
    /// sub-categories: `malicious_ioc` covers `malicious_ioc.ip`.
    pub fn selects(&self, rule: &RuleInfo) -> bool {
        let any_selector =
            !(self.rules.is_empty() && self.tags.is_empty() && self.categories.is_empty());
        let selected = self.rules.contains(&rule.id)
            || self.tags.iter().any(|tag| rule.tags.contains(tag))
            || rule.category.as_ref().is_some_and(|category| {
                self.categories
                    .iter()
                    .any(|wanted| covers(wanted, category))
            });
        let severe = self.severity.is_none_or(|least| rule.severity >= least);
        severe && (selected || (!any_selector && self.severity.is_some()))
    }
}

fn covers(wanted: &str, category: &str) -> bool {
    category
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What a policy does when it is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The whole decision, and a record instead of the last step.
    Simulate,
    /// Acts.
    Block(Effects),
}

impl Action {
    /// What it does, or would.
    pub const fn effects(self) -> Effects {
        match self {
            Action::Simulate => Effects::BLOCK,
            Action::Block(effects) => effects,
        }
    }
}

/// What a block does; `action: block` is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    /// Terminate the acting process.
    pub kill: bool,
    /// Refuse the operation, where the hook can.
    pub deny: bool,
}

impl Effects {
    /// What `action: block` means.
    pub const BLOCK: Effects = Effects {
        kill: true,
        deny: true,
    };
}

/// How many kills a policy may make on one sensor before it stops acting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Kills (or denials) allowed.
    pub kills: u32,
    /// In any window this long.
    pub per: Duration,
    /// What becomes of the policy when more are asked for.
    pub on_exceed: OnExceed,
    /// How long after that it is good again by itself; none: only when a person
    /// says so.
    pub resume_after: Option<Duration>,
}

impl Budget {
    /// The most actions a budget can count: a time is kept for each.
    pub const MOST_ACTIONS: u32 = 1024;
}

/// What an exhausted budget leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExceed {
    /// The policy simulates until its pause is over or a person arms it again.
    Simulate,
}
