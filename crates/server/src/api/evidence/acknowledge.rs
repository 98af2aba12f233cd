//! Arming takes evidence that was looked at.

use super::gather::shows_all;
use super::stored;
use crate::api::App;
use crate::api::problem::{Code, Problem};
use crate::api::values::now;
use picket_store::{Definition, Micros, StoreError, limits};

/// How old a page may be that somebody arms on: a day.
const FRESH: Micros = 24 * 3_600_000_000;

/// The digest of a page on which this version may be armed; an error that says how to
/// get one.
pub(in crate::api) async fn acknowledged(
    app: &App,
    definition: &Definition,
    evidence: Option<&str>,
) -> Result<String, Problem> {
    let (kind, name) = (definition.kind.name(), &definition.name);
    let folder = match definition.kind {
        picket_store::Kind::Rule => "rules",
        _ => "policies",
    };
    let again = format!(
        "look at GET /api/v1/{folder}/{name}/evidence (picket {kind} evidence {name}) and give its \
         digest as `evidence`"
    );
    let refused = |why: String| Problem::new(Code::Conflict, format!("{why}: {again}"));
    let Some(digest) = evidence else {
        let why = "evidence: to let it block, say on which evidence";
        return Err(Problem::invalid(format!("{why}: {again}")));
    };
    let unknown = || refused(format!("there is no evidence {:.64}", digest));
    if digest.len() > limits::MAX_NAME {
        return Err(unknown());
    }
    let page = match app.store.evidence(digest).await {
        Ok(page) => page,
        Err(StoreError::NotFound { .. }) => return Err(unknown()),
        Err(why) => return Err(why.into()),
    };
    if page.definition != definition.id {
        return Err(refused("this evidence is of something else".to_owned()));
    }
    if page.version != definition.version {
        return Err(refused(format!(
            "this evidence is of version {}, and {name} is at version {}",
            page.version, definition.version
        )));
    }
    if now().saturating_sub(page.made_at) > FRESH {
        return Err(refused("this evidence is older than a day".to_owned()));
    }
    // Made by one who sees less than it blocks, it shows too little.
    if !shows_all(
        stored(&page)?.projects().as_deref(),
        &definition.content.projects,
    ) {
        return Err(refused(
            "this evidence does not show every project that it blocks in".to_owned(),
        ));
    }
    Ok(page.digest)
}
