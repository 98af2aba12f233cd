//! Indicators of what is malicious: hashes, addresses and domains from feeds.
//!
//! ```text
//! bytes of a feed ─► parse (plain, CSV, STIX 2.1, MISP) ─► Indicator ─► Builder ─► Index
//!                        └─► Report: taken, bad lines by number, expired, not understood
//! ```
//!
//! A bad line is counted and named and the rest is taken. Look-ups are exact:
//! what the index says is listed stands in a feed. No name is ever resolved.

mod domain;
mod feed;
mod index;
mod indicator;
mod limits;
mod parse;
mod report;

pub use domain::Domain;
pub use feed::{Feed, LoadError, load};
pub use index::{Builder, FeedId, Full, Index};
pub use indicator::{Fault, Indicator, Prefix};
pub use limits::Limits;
pub use parse::{Columns, Format, ParseError, parse};
pub use report::{Bad, Report};
