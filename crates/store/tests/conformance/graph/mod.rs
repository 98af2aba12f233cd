//! The security graph.

mod cases;
mod model;
mod random;

pub use cases::*;
pub use random::*;
