//! Nothing escapes a block: not in a storm of executions, not by the shape of a
//! process, not while the sensor is stopped, dead, replaced or given new rules.

mod budget;
mod container;
mod kernels;
mod outage;
mod reload;
mod shapes;
mod stage;
mod storm;
mod storms;
mod takeover;
