//! Notice of changes, to whoever serves what has changed.

use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::broadcast;

/// Changes that may wait for a slow listener; past that it is told
/// [`Change::Unknown`].
const BACKLOG: usize = 1024;

/// What has changed. A notice says where to look, never what is there: it may
/// come twice, and late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Notices may have been lost (a connection broke, the listener was too
    /// slow): look at everything again.
    Unknown,
    /// A rule, policy, list or project.
    Definitions,
    /// Users, grants or API tokens.
    Access,
    /// Sensors or join tokens.
    Sensors,
    /// A bundle was published.
    Bundles,
    /// A roll-out began or changed its state.
    Rollouts,
    /// New findings.
    Findings,
    /// A job was added.
    Jobs,
    /// Issues were opened, counted on or changed.
    Issues,
    /// Something was ordered to be done on a host, or came to something.
    HostActions,
}

impl Change {
    /// The word for it, as it goes from replica to replica.
    pub const fn name(self) -> &'static str {
        match self {
            Change::Unknown => "unknown",
            Change::Definitions => "definitions",
            Change::Access => "access",
            Change::Sensors => "sensors",
            Change::Bundles => "bundles",
            Change::Rollouts => "rollouts",
            Change::Findings => "findings",
            Change::Jobs => "jobs",
            Change::Issues => "issues",
            Change::HostActions => "host_actions",
        }
    }

    /// The change of a name; a name of a newer Picket is [`Change::Unknown`].
    pub(crate) fn of_name(name: &str) -> Change {
        [
            Change::Definitions,
            Change::Access,
            Change::Sensors,
            Change::Bundles,
            Change::Rollouts,
            Change::Findings,
            Change::Jobs,
            Change::Issues,
            Change::HostActions,
        ]
        .into_iter()
        .find(|change| change.name() == name)
        .unwrap_or(Change::Unknown)
    }
}

/// Changes from here on, one after another.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next change; none once the store is closed.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Change::Unknown),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Where changes are told, in this process.
#[derive(Debug, Clone)]
pub(crate) struct Board(Arc<RwLock<Option<broadcast::Sender<Change>>>>);

impl Board {
    pub(crate) fn new() -> Board {
        let sender = broadcast::Sender::new(BACKLOG);
        Board(Arc::new(RwLock::new(Some(sender))))
    }

    pub(crate) fn tell(&self, change: Change) {
        let sender = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender {
            // No receiver is no error: nobody listens.
            let _ = sender.send(change);
        }
    }

    pub(crate) fn listen(&self) -> Changes {
        let sender = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Changes(match &*sender {
            Some(sender) => sender.subscribe(),
            // Of a closed one: a channel that is at its end.
            None => broadcast::channel(1).1,
        })
    }

    /// Tells everybody that there is no more.
    pub(crate) fn close(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_is_too_slow_is_told_to_look_at_everything() {
        let board = Board::new();
        let mut changes = board.listen();
        for _ in 0..=BACKLOG {
            board.tell(Change::Jobs);
        }
        assert_eq!(changes.next().await, Some(Change::Unknown));
        assert_eq!(changes.next().await, Some(Change::Jobs));
        board.close();
        board.tell(Change::Jobs);
        while changes.next().await.is_some() {}
        assert_eq!(board.listen().next().await, None);
    }

    #[test]
    fn names_come_back() {
        assert_eq!(Change::of_name("findings"), Change::Findings);
        assert_eq!(Change::of_name("something newer"), Change::Unknown);
    }
}
