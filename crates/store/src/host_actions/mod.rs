//! What was ordered to be done on hosts, and what came of it.
//!
//! An order is a row from when somebody gave it. Servers send it until its sensor has
//! answered; the sensor does it once, whoever sends it and however often.

mod sql;

use crate::basics::{Cause, Micros, Uuid};
use crate::error::Result;
use crate::page::{Page, PageSize};
use async_trait::async_trait;
use serde_json::Value;

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostActionState {
    /// No server has sent it yet.
    Queued,
    /// It was sent; its sensor has not answered.
    Sent,
    /// It was done.
    Done,
    /// It was tried.
    Failed,
    /// It was not tried.
    Refused,
    /// It was done, and taken back.
    Undone,
    /// Its time was over before its sensor answered.
    Expired,
}

impl HostActionState {
    /// Every state.
    pub const ALL: [HostActionState; 7] = [
        HostActionState::Queued,
        HostActionState::Sent,
        HostActionState::Done,
        HostActionState::Failed,
        HostActionState::Refused,
        HostActionState::Undone,
        HostActionState::Expired,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            HostActionState::Queued => "queued",
            HostActionState::Sent => "sent",
            HostActionState::Done => "done",
            HostActionState::Failed => "failed",
            HostActionState::Refused => "refused",
            HostActionState::Undone => "undone",
            HostActionState::Expired => "expired",
        }
    }

    /// The state of a name.
    pub fn of_name(name: &str) -> Option<HostActionState> {
        HostActionState::ALL
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether an answer is waited for.
    pub const fn is_open(self) -> bool {
        matches!(self, HostActionState::Queued | HostActionState::Sent)
    }
}

/// An order to be given.
#[derive(Debug, Clone, PartialEq)]
pub struct NewHostAction {
    /// Its id, new; ordered twice with the same one, it is one order.
    pub id: Uuid,
    /// For whom.
    pub sensor: Uuid,
    /// What kind of thing is done, such as `kill_tree`.
    pub kind: String,
    /// What, as it is signed.
    pub action: Value,
    /// The order that it is about, if it takes one back.
    pub of: Option<Uuid>,
    /// For how long it holds, seconds.
    pub lease_seconds: Option<u32>,
    /// When it is too late to begin with it.
    pub expires_at: Micros,
}

/// An order.
#[derive(Debug, Clone, PartialEq)]
pub struct HostAction {
    /// What was ordered.
    pub order: NewHostAction,
    /// How it stands.
    pub state: HostActionState,
    /// Why so.
    pub why: String,
    /// What was done or found; null before.
    pub result: Value,
    /// Who gave it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Micros,
    /// When a server sent it first.
    pub sent_at: Option<Micros>,
    /// When it came to its last state, by the sensor's clock.
    pub ended_at: Option<Micros>,
}

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostActionFilter {
    /// Of these sensors; none: of any.
    pub sensors: Option<Vec<Uuid>>,
    /// That stand so.
    pub state: Option<HostActionState>,
}

/// What a sensor answers.
#[derive(Debug, Clone, PartialEq)]
pub struct HostActionAnswer {
    /// Of which order.
    pub id: Uuid,
    /// What came of it.
    pub state: HostActionState,
    /// When.
    pub at: Micros,
    /// Why so.
    pub why: String,
    /// What was done or found.
    pub result: Value,
}

/// Orders.
#[async_trait]
pub trait HostActions: Send + Sync {
    /// Gives an order.
    async fn order_action(&self, new: NewHostAction, cause: &Cause) -> Result<HostAction>;

    /// One order.
    async fn host_action(&self, id: Uuid) -> Result<HostAction>;

    /// Orders, the newest first. The cursor is when an order was given, and its id: some
    /// ids are made of what the order is about, and tell no time.
    async fn host_actions(
        &self,
        filter: &HostActionFilter,
        before: Option<(Micros, Uuid)>,
        size: PageSize,
    ) -> Result<Page<HostAction, (Micros, Uuid)>>;

    /// Orders whose answer is waited for, the oldest first, at most so many.
    async fn open_actions(&self, most: u32) -> Result<Vec<HostAction>>;

    /// A server has sent it.
    async fn action_sent(&self, id: Uuid, now: Micros) -> Result<()>;

    /// Takes a sensor's answer; one of another sensor's order is an error. Whether it
    /// was news.
    async fn action_answered(&self, sensor: Uuid, answer: HostActionAnswer) -> Result<bool>;

    /// Ends those whose time is over for so long that no answer is to be expected. An
    /// answer that comes later is taken all the same. How many.
    async fn expire_actions(&self, before: Micros, now: Micros) -> Result<u64>;

    /// Deletes those that ended before that time, at most so many; how many.
    async fn delete_actions_before(&self, time: Micros, step: u32) -> Result<u64>;
}
