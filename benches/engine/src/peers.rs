//! Other engines, made to answer the same question.

mod plain;
#[cfg(feature = "rsigma")]
mod rsigma;
#[cfg(feature = "vectorscan")]
mod vectorscan;

use crate::workload::Neutral;
use anyhow::Result;
use picket_lang::ir::Rule;
use picket_model::Event;

/// An engine that is compared with ours.
pub trait Peer {
    /// What it is called in the table.
    fn name(&self) -> &'static str;

    /// The numbers of the rules that it could not be given.
    fn left_out(&self) -> &[u32] {
        &[]
    }

    /// The numbers of the rules that match, in order.
    fn matches(&mut self, event: &Event) -> &[u32];
}

/// The engines that were built in, loaded with the rules; first one that is none.
pub fn all(rules: &[Rule], sample: &[Neutral]) -> Result<Vec<Box<dyn Peer>>> {
    #[allow(unused_mut)]
    let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(plain::Plain::new(rules))];
    let _ = sample;
    #[cfg(feature = "vectorscan")]
    peers.push(Box::new(vectorscan::Vectorscan::new(rules, sample)));
    #[cfg(feature = "rsigma")]
    peers.push(Box::new(rsigma::Rsigma::new(rules)?));
    Ok(peers)
}
