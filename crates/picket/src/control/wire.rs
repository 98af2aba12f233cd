//! What goes over the socket, and what `--format json` prints: one object a line.

use picket_sensor::disarm::Marker;
use picket_sensor::stats::Stats;
use serde::{Deserialize, Serialize};

/// Raised when a message changes its meaning; fields may be added without.
pub const VERSION: u32 = 1;

/// A message with its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// [`VERSION`] of who wrote it.
    pub version: u32,
    /// What it says.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Envelope<T> {
    /// In this version.
    pub fn new(body: T) -> Envelope<T> {
        Envelope {
            version: VERSION,
            body,
        }
    }
}

/// What a sensor can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// What is in force?
    Status,
    /// What was counted?
    Stats,
    /// Make these policies' budgets as good as new.
    ResetBudgets {
        /// Their ids.
        policies: Vec<String>,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Stats`].
    Stats(Box<Counted>),
    /// To [`Request::ResetBudgets`].
    BudgetsReset {
        /// The sensor's process id, as it sees itself.
        pid: u32,
        /// Those that it knows.
        policies: Vec<String>,
    },
    /// It does not do that.
    Refused {
        /// Why, for programs.
        code: Refusal,
        /// Why, for people.
        message: String,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The client is neither root nor the sensor's own user.
    NotAllowed,
    /// Too many clients at once, or the sensor does not get round to it.
    Busy,
    /// The line is longer than a request may be.
    TooLong,
    /// The line is no request of this version.
    BadRequest,
    /// It is of another version.
    Version,
    /// The kernel did not give what is asked for.
    Failed,
}

/// Which sensor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sensor {
    /// Its process id, as it sees itself.
    pub pid: u32,
    /// Since when it runs, nanoseconds since the epoch.
    pub since_ns: i64,
    /// Which version of Picket it is.
    pub version: String,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Which sensor answers.
    pub sensor: Sensor,
    /// How many rules are in force.
    pub rules: usize,
    /// The policies.
    pub policies: Vec<Policy>,
    /// How the rules under them are enforced here.
    pub enforcement: Vec<Enforcement>,
    /// Every block was lifted by hand.
    pub disarmed: bool,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Marker>,
    /// Its line to a server; none: it is in no fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
}

/// How a sensor stands with its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// The server's address.
    pub server: String,
    /// It answers.
    pub connected: bool,
    /// The bundle in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// Findings on this host's disk that the server does not have yet.
    pub waiting: u64,
    /// Findings that were dropped for want of room there, ever.
    pub dropped: u64,
}

/// Rules that came from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// For which set of projects.
    pub scope: String,
    /// Which version.
    pub version: u64,
    /// When it should have been replaced, microseconds since the epoch.
    pub expires_us: i64,
}

/// One policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// `block` or `simulate`.
    pub action: String,
    /// It ends the process, or would.
    pub kill: bool,
    /// It refuses the operation, or would.
    pub deny: bool,
    /// None: any number of actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// A policy's budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Actions allowed in a window.
    pub actions: u32,
    /// That window, milliseconds.
    pub per_ms: u64,
    /// Actions in the window that ends now; none: that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u32>,
    /// It was used up, and the policy only simulates.
    pub tripped: bool,
    /// After how long it is good again by itself, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_after_ms: Option<u64>,
}

/// How one rule under a policy is enforced on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The rule.
    pub rule: String,
    /// The policies that its matches set off.
    pub policies: Vec<String>,
    /// One of them blocks.
    pub blocks: bool,
    /// By class of event.
    pub classes: Vec<ClassMode>,
}

/// What is done about matches in events of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassMode {
    /// The class.
    pub class: String,
    /// What is done.
    #[serde(flatten)]
    pub usual: Answer,
    /// What is done in some events instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Answer>,
    /// The same for people.
    pub summary: String,
}

/// What is done, and why not more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `denied_in_kernel`, `killed_in_kernel`, `killed_from_user_space` or
    /// `cannot_be_enforced`.
    pub mode: String,
    /// What keeps it from being all that the policy asks for.
    pub why: Vec<String>,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Which sensor answers.
    pub sensor: Sensor,
    /// Of its whole run.
    pub counters: Stats,
    /// What a rule may take of each event of its classes, nanoseconds.
    pub rule_budget_ns: u64,
    /// By rule, the dearest first, since these rules were put in force.
    pub rules: Vec<RuleCost>,
    /// How the rules under policies are enforced here.
    pub enforcement: Vec<Enforcement>,
}

/// What one rule cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleCost {
    /// The rule.
    pub rule: String,
    /// Events of its classes.
    pub events: u64,
    /// Events in which its condition had to be asked.
    pub candidates: u64,
    /// Events that it matched.
    pub matches: u64,
    /// Events that it could not decide.
    pub undecided: u64,
    /// Candidates that were timed.
    pub timed: u64,
    /// What they took together, nanoseconds.
    pub timed_ns: u64,
    /// What it takes of each event of its classes, nanoseconds.
    pub ns_per_event: f64,
    /// That is more than a rule may.
    pub over_budget: bool,
}
