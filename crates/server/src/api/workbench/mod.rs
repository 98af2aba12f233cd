//! What somebody who writes a rule needs before it is stored: what is wrong with it, what
//! its tests give, and which stored findings or recorded events it would match.

pub(super) mod check;
pub(super) mod explain;
pub(super) mod language;
pub(super) mod trial;

use super::App;
use super::definitions::{Whole, all, entries};
use super::problem::{Diagnostic, Problem};
use picket_lang::{Checked, Source};
use picket_store::{Kind, limits};

/// What diagnostics call the text that was sent.
const FILE: &str = "rule.yaml";

/// A text, with the lists and macros that are stored.
struct Draft(Whole);

impl Draft {
    /// Checks the text. It counts as if it stood alone beside the stored lists: a rule that is
    /// stored under the same id is not in its way.
    async fn of(app: &App, text: String) -> Result<Draft, Problem> {
        if text.len() > limits::MAX_BODY {
            let why = format!("text: longer than {} bytes", limits::MAX_BODY);
            return Err(Problem::invalid(why));
        }
        let lists = entries(&all(app, Some(Kind::List)).await?);
        let mut sources = vec![Source::new(FILE, text.as_bytes())];
        sources.extend(lists.iter().map(|entry| entry.source()));
        let checked = tokio::task::spawn_blocking(move || Draft(Whole::of(sources)));
        checked.await.map_err(Problem::internal)
    }

    /// What there is to say of the text itself.
    fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut told = self.0.diagnostics();
        told.retain(|told| told.file == FILE);
        told
    }

    /// An error if something is wrong with the text.
    fn sound(self) -> Result<Checked, Problem> {
        let told = self.diagnostics();
        let first = told.iter().find(|told| told.severity == "error");
        match first.map(|told| told.message.clone()) {
            Some(why) => Err(Problem::invalid(why).with(told)),
            None => Ok(self.0.checked),
        }
    }
}
