//! Whole tables out of the store, page by page.

use picket_store::{Definition, DefinitionFilter, Kind, PageSize, Result, Store, limits};

/// The latest version of every definition, or of those of one kind.
pub(crate) async fn definitions(store: &dyn Store, kind: Option<Kind>) -> Result<Vec<Definition>> {
    let filter = DefinitionFilter {
        kind,
        ..DefinitionFilter::default()
    };
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .definitions(&filter, after, PageSize::new(limits::MAX_PAGE)?)
            .await?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
