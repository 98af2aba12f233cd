//! Blocks that somebody lifted by hand: told at the start and when it happens.

use crate::disarm::Marker;
use picket_probe::{ProbeError, Probes};
use std::path::PathBuf;

/// Follows the switch that lifts every block. The kernel's programs and the
/// sensor's own kills look at it themselves, at each decision.
#[derive(Debug)]
pub struct Switch {
    /// The folder of the marker; none: it is not looked for.
    state: Option<PathBuf>,
    /// It was thrown when it was looked at last.
    thrown: bool,
}

impl Switch {
    /// With the folder in which the marker lies; without one there is nothing to lift.
    pub fn new(state: Option<PathBuf>) -> Switch {
        Switch {
            state,
            thrown: false,
        }
    }

    /// Throws the switch if the marker is there, and gives what to tell of it, or of
    /// one that was found thrown in the programs of a run before. To be called
    /// before anything is armed.
    pub(super) fn begin(&mut self, probes: &Probes) -> Result<Option<String>, ProbeError> {
        let found = probes.is_disarmed()?;
        let marker = match self.marker() {
            Some(marker) => marker,
            None if found => Marker::default(),
            None => return Ok(None),
        };
        probes.set_disarmed(true)?;
        // Armed again between the look and the throw, by somebody who did not find
        // this switch thrown.
        if !found && self.marker().is_none() {
            probes.set_disarmed(false)?;
            return Ok(None);
        }
        self.thrown = true;
        Ok(Some(format!(
            "every block on this host was lifted {marker}: this sensor starts disarmed, and its policies only \
             simulate until somebody arms them again (picket arm)"
        )))
    }

    /// What to tell if somebody threw it or put it back since it was looked at last.
    pub(super) fn look(&mut self, probes: &Probes) -> Result<Option<String>, ProbeError> {
        let thrown = probes.is_disarmed()?;
        if thrown == self.thrown {
            return Ok(None);
        }
        self.thrown = thrown;
        Ok(Some(if thrown {
            let marker = self.marker().unwrap_or_default();
            format!(
                "every block on this host was lifted {marker}: policies only simulate until somebody arms them \
                 again (picket arm)"
            )
        } else {
            "blocks are in force again: policies act as they say".to_owned()
        }))
    }

    /// The marker; one that cannot be read counts, for that is the safe side.
    fn marker(&self) -> Option<Marker> {
        let state = self.state.as_deref()?;
        Marker::read(state).unwrap_or_else(|_| Some(Marker::default()))
    }
}
