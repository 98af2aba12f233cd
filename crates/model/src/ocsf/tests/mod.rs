mod contract;
mod errors;
mod finding;
mod round_trip;

use super::{event_from_json, event_to_json};
use crate::Event;

fn parsed(json: &str) -> Event {
    event_from_json(json.as_bytes(), 7).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn again(event: &Event) -> Event {
    parsed(&event_to_json(event).to_string())
}
