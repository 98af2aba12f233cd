//! The first administrator.

use super::{Passwords, Role, Secret};
use picket_store::{Cause, Grant, LogIn, Micros, PageSize, Store, StoreError};

/// Their name.
const NAME: &str = "admin";

/// Makes the first administrator where there is no user yet. Gives name and
/// password, to be shown once; none where there is a user, or another replica was
/// first.
pub async fn first_admin(
    store: &dyn Store,
    passwords: &Passwords,
    now: Micros,
) -> std::io::Result<Option<(&'static str, Secret)>> {
    let failed = std::io::Error::other;
    let one = PageSize::new(1).map_err(failed)?;
    if !store
        .users(None, one)
        .await
        .map_err(failed)?
        .items
        .is_empty()
    {
        return Ok(None);
    }
    let password = Secret::new("first")?;
    let log_in = LogIn {
        password_hash: Some(passwords.hash(password.reveal().to_owned()).await?),
        subject: None,
    };
    let cause = Cause {
        actor: "system:first-start".to_owned(),
        reason: "there was no user".to_owned(),
        at: now,
    };
    let user = match store.make_user(NAME, log_in, &cause).await {
        Ok(user) => user,
        Err(StoreError::Exists { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let everywhere = Grant {
        project: None,
        role: Role::Admin.name().to_owned(),
    };
    store
        .grant(user.id, everywhere, &cause)
        .await
        .map_err(failed)?;
    Ok(Some((NAME, password)))
}
