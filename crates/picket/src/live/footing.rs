//! A sensor's footing in the kernel: what outlives it is there for its next run.

use anyhow::{Context, Result, bail};
use picket_probe::Pins;
use picket_sensor::takeover::OnExit;

/// The place of one run, if it has one.
#[derive(Debug, Default)]
pub struct Footing {
    /// Claimed for this run.
    pub pins: Option<Pins>,
    /// What a person with policies should know of it.
    pub concern: Option<String>,
}

impl Footing {
    /// Claims the instance's place. Without one, blocks work as ever, but nothing
    /// outlives the run: an error only where it should.
    pub fn claim(instance: &str, on_exit: OnExit) -> Result<Footing> {
        const FORGOTTEN: &str =
            "what policies use of their budgets is forgotten when this sensor ends";
        let keeps = on_exit == OnExit::Keep;
        let concern = match Pins::claim(instance) {
            Ok(Some(pins)) => {
                return Ok(Footing {
                    pins: Some(pins),
                    concern: None,
                });
            }
            Ok(None) if keeps => bail!(
                "another sensor runs as instance {instance}: stop it, or give this one a name of its own \
                 (--instance NAME)"
            ),
            Ok(None) => format!(
                "{FORGOTTEN}: another sensor runs as instance {instance} (--instance NAME gives this one \
                 a place of its own)"
            ),
            Err(error) if keeps => return Err(error).context("--on-exit keep"),
            Err(error) => format!("{FORGOTTEN}: {error}"),
        };
        Ok(Footing {
            pins: None,
            concern: Some(concern),
        })
    }
}
