//! Other engines, made to answer the same question.

#[cfg(feature = "vectorscan")]
mod vectorscan;

use crate::workload::Neutral;
use picket_lang::ir::Rule;
use picket_model::Event;

/// An engine that is compared with ours.
pub trait Peer {
    /// What it is called in the table.
    fn name(&self) -> &'static str;

    /// The numbers of the rules that match, in order.
    fn matches(&mut self, event: &Event) -> &[u32];
}

/// The engines that were built in, loaded with the rules.
pub fn all(rules: &[Rule], sample: &[Neutral]) -> Vec<Box<dyn Peer>> {
    #[allow(unused_mut)]
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    let _ = (rules, sample);
    #[cfg(feature = "vectorscan")]
    peers.push(Box::new(vectorscan::Vectorscan::new(rules, sample)));
    peers
}
