//! Picket's rule language.
pub mod ir;
