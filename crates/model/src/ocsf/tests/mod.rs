mod contract;
mod errors;
mod finding;
mod round_trip;

use super::{EventJson, event_from_json};
use crate::Event;

fn parsed(json: &str) -> Event {
    event_from_json(json.as_bytes(), 7).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn again(event: &Event) -> Event {
    parsed(&EventJson(event).to_string())
}
