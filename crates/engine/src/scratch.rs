//! What evaluation keeps from event to event.

use crate::fold::Folder;

/// A thread's working memory. It may serve one program after another.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) folder: Folder,
}

impl Scratch {
    /// Empty.
    pub fn new() -> Scratch {
        Scratch::default()
    }
}
