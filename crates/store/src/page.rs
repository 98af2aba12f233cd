//! Pages of a list: a bounded number of rows, and where the next one begins.

use crate::error::{Result, StoreError};
use crate::limits::MAX_PAGE;
use std::num::NonZeroU32;

/// How many rows a page has, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(NonZeroU32);

impl PageSize {
    /// Refuses 0 and more than [`MAX_PAGE`].
    pub fn new(rows: u32) -> Result<PageSize> {
        let size = NonZeroU32::new(rows).filter(|size| size.get() <= MAX_PAGE);
        size.map(PageSize).ok_or_else(|| StoreError::Invalid {
            field: "page size",
            why: format!("{rows}; it must be from 1 to {MAX_PAGE}"),
        })
    }

    /// How many rows a page has at most.
    pub fn rows(self) -> usize {
        self.0.get() as usize
    }

    /// One row more is asked for than a page has: it tells whether there is another page.
    pub(crate) fn probe(self) -> i64 {
        i64::from(self.0.get()) + 1
    }
}

/// Some rows of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, C> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; none: this was the last.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// From one row more than the page has, if there are so many.
    pub(crate) fn of(mut rows: Vec<T>, size: PageSize, cursor: impl Fn(&T) -> C) -> Page<T, C> {
        let more = rows.len() > size.rows();
        rows.truncate(size.rows());
        let next = if more { rows.last().map(cursor) } else { None };
        Page { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_more_is_not_shown_and_makes_a_cursor() {
        let size = PageSize::new(2).unwrap();
        assert_eq!(
            Page::of(vec![1, 2, 3], size, |row| *row),
            Page {
                items: vec![1, 2],
                next: Some(2)
            }
        );
        assert_eq!(
            Page::of(vec![1, 2], size, |row| *row),
            Page {
                items: vec![1, 2],
                next: None
            }
        );
    }

    #[test]
    fn sizes_have_an_end() {
        assert!(PageSize::new(0).is_err());
        assert!(PageSize::new(MAX_PAGE + 1).is_err());
    }
}
