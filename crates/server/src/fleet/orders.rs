//! Orders to hosts: signed here, sent by whichever server has the sensor's stream, until
//! the sensor answers.
//!
//! Any server may send one, and several may, one after the other: the sensor carries it
//! out once.

use super::{Shared, now};
use picket_proto::fleet::wire;
use picket_proto::order::{Action, Order};
use picket_store::{
    Change, HostAction, HostActionAnswer, HostActionState, Micros, NewHostAction, StoreError, Uuid,
    limits, new_id,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Orders that wait for an answer, by sensor.
pub(super) type Open = HashMap<Uuid, Vec<HostAction>>;

/// How often it is looked if nobody says anything.
const ANYWAY: Duration = Duration::from_secs(15);
/// How long after its end an answer to an order is still waited for.
const GRACE: Micros = 60_000_000;
/// How long an order is good for where nobody says.
pub const ORDER_SECONDS: u32 = 600;

/// An order to be given; an error says what is wrong with it.
pub fn new_order(
    id: Uuid,
    sensor: Uuid,
    action: &Action,
    lease_seconds: Option<u32>,
    expires_seconds: u32,
    at: Micros,
) -> Result<NewHostAction, String> {
    let order = NewHostAction {
        id,
        sensor,
        kind: action.kind().name().to_owned(),
        action: serde_json::to_value(action).map_err(|why| why.to_string())?,
        of: action.of().and_then(|of| of.parse().ok()),
        lease_seconds,
        expires_at: at.saturating_add(i64::from(expires_seconds) * 1_000_000),
    };
    said(&order, at)?;
    Ok(order)
}

/// The order that takes one back.
pub fn undoing(of: &HostAction, at: Micros) -> Result<NewHostAction, String> {
    let action = Action::Undo {
        order: of.order.id.to_string(),
    };
    new_order(new_id(), of.order.sensor, &action, None, ORDER_SECONDS, at)
}

/// As it is signed.
fn said(order: &NewHostAction, issued: Micros) -> Result<Order, String> {
    let action = serde_json::from_value(order.action.clone());
    let said = Order {
        id: order.id.to_string(),
        sensor: order.sensor.to_string(),
        issued_us: issued,
        expires_us: order.expires_at,
        lease_seconds: order.lease_seconds,
        action: action.map_err(|why| why.to_string())?,
    };
    said.check()?;
    Ok(said)
}

/// Keeps what is to be sent up to date.
pub(super) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut changes = shared.store.changes();
    loop {
        if let Err(why) = read(&shared).await {
            tracing::warn!(%why, "orders to hosts could not be read");
        }
        let until = tokio::time::Instant::now() + ANYWAY;
        loop {
            tokio::select! {
                () = async { let _ = stopped.wait_for(|stopped| *stopped).await; } => return,
                () = tokio::time::sleep_until(until) => break,
                change = changes.next() => match change {
                    Some(Change::HostActions | Change::Unknown) => break,
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }
}

async fn read(shared: &Shared) -> picket_store::Result<()> {
    let at = now();
    shared.store.expire_actions(at - GRACE, at).await?;
    let mut open = Open::new();
    for action in shared.store.open_actions(limits::MAX_OPEN_ACTIONS).await? {
        if action.order.expires_at > at {
            open.entry(action.order.sensor).or_default().push(action);
        }
    }
    shared.orders.send_if_modified(|known| {
        let changed = **known != open;
        if changed {
            *known = Arc::new(open);
        }
        changed
    });
    Ok(())
}

/// The envelope of an order; none if it cannot be sent, which is told to those who wait.
pub(super) async fn sealed(
    shared: &Shared,
    action: &HostAction,
    takes: bool,
) -> picket_store::Result<Option<wire::Order>> {
    let signed = match said(&action.order, action.created_at) {
        _ if !takes => Err(
            "this sensor carries out no orders: it is older than they are, or runs \
                            with --actions none"
                .to_owned(),
        ),
        Err(why) => Err(why),
        Ok(said) => said.sign(&shared.signing).map_err(|why| why.to_string()),
    };
    match signed {
        Ok(envelope) => {
            shared.store.action_sent(action.order.id, now()).await?;
            Ok(Some(wire::Order { envelope }))
        }
        Err(why) => {
            let answer = HostActionAnswer {
                id: action.order.id,
                state: HostActionState::Refused,
                at: now(),
                why,
                result: serde_json::Value::Null,
            };
            let sensor = action.order.sensor;
            shared.store.action_answered(sensor, answer).await?;
            Ok(None)
        }
    }
}

/// Stores what a sensor says of an order.
pub(super) async fn answered(
    shared: &Shared,
    sensor: Uuid,
    said: wire::OrderAnswer,
) -> picket_store::Result<wire::AnswerStored> {
    let stored = wire::AnswerStored {
        id: said.id.clone(),
        outcome: said.outcome,
    };
    let state = match said.outcome() {
        wire::OrderOutcome::Done => HostActionState::Done,
        wire::OrderOutcome::Failed => HostActionState::Failed,
        wire::OrderOutcome::Refused => HostActionState::Refused,
        wire::OrderOutcome::Undone => HostActionState::Undone,
        // Of a newer sensor.
        wire::OrderOutcome::Unspecified => return Ok(stored),
    };
    let Ok(id) = said.id.parse() else {
        return Ok(stored);
    };
    let result = match said.result.len() {
        0 => serde_json::Value::Null,
        long if long > limits::MAX_ACTION_RESULT => {
            serde_json::json!({"left_out": format!("{long} bytes are too many")})
        }
        _ => serde_json::from_slice(&said.result).unwrap_or_default(),
    };
    let answer = HostActionAnswer {
        id,
        state,
        at: said.at_us,
        why: said.why,
        result,
    };
    match shared.store.action_answered(sensor, answer).await {
        Ok(_) => {}
        // Deleted since, or another's: it is not asked for again.
        Err(StoreError::NotFound { .. }) => {
            tracing::warn!(%sensor, order = stored.id, "a sensor answers an order that is not known");
        }
        Err(why) => return Err(why),
    }
    Ok(stored)
}
