//! Filters of lists that people keep, for themselves or for all.

mod sql;

use crate::basics::{Cause, Micros, Uuid};
use crate::error::Result;
use async_trait::async_trait;

/// What a filter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtered {
    /// Findings.
    Finding,
    /// Issues.
    Issue,
}

impl Filtered {
    /// Both.
    pub const ALL: [Filtered; 2] = [Filtered::Finding, Filtered::Issue];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Filtered::Finding => "finding",
            Filtered::Issue => "issue",
        }
    }

    /// What a word stands for.
    pub fn of_name(name: &str) -> Option<Filtered> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A filter to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSavedFilter {
    /// Whose it is.
    pub owner: Uuid,
    /// What it is for.
    pub kind: Filtered,
    /// What its owner calls it; once for each kind.
    pub name: String,
    /// As it stands behind the `?` of the list.
    pub query: String,
    /// Whether others see it.
    pub shared: bool,
}

/// A filter that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFilter {
    /// Its id.
    pub id: Uuid,
    /// What was kept.
    pub filter: NewSavedFilter,
    /// When.
    pub created_at: Micros,
}

/// Saved filters.
#[async_trait]
pub trait SavedFilters: Send + Sync {
    /// Keeps one; an error if its owner has one of that kind and name.
    async fn save_filter(&self, filter: NewSavedFilter, cause: &Cause) -> Result<SavedFilter>;

    /// A user's own, and those that are shared, by name. They are few: each user keeps at
    /// most [`MAX_SAVED_FILTERS`](crate::limits::MAX_SAVED_FILTERS), and so many shared
    /// ones are given.
    async fn saved_filters(&self, user: Uuid) -> Result<Vec<SavedFilter>>;

    /// One of them.
    async fn saved_filter(&self, id: Uuid) -> Result<SavedFilter>;

    /// Keeps it no longer.
    async fn delete_saved_filter(&self, id: Uuid, cause: &Cause) -> Result<()>;
}
