//! What somebody who writes a rule needs before it is stored: what is wrong with it, what
//! its tests give, and which stored findings or recorded events it would match.

pub(super) mod check;
pub(super) mod explain;
pub(super) mod language;
pub(super) mod trial;

use super::App;
use super::definitions::stored_entries;
use super::problem::{Diagnostic, Problem};
use picket_lang::{Checked, Limits, Source, render_json};
use picket_store::{Kind, limits};

/// What diagnostics call the text that was sent.
const FILE: &str = "rule.yaml";

/// A text, with the lists and macros that are stored.
struct Draft {
    checked: Checked,
    sources: Vec<Source>,
}

impl Draft {
    /// Checks the text. It counts as if it stood alone beside the stored lists: a rule that is
    /// stored under the same id is not in its way.
    async fn of(app: &App, text: String) -> Result<Draft, Problem> {
        if text.len() > limits::MAX_BODY {
            let why = format!("text: longer than {} bytes", limits::MAX_BODY);
            return Err(Problem::invalid(why));
        }
        let (_, entries) = stored_entries(app).await?;
        let lists = entries.into_iter().filter(|entry| entry.kind == Kind::List);
        let mut sources = vec![Source::new(FILE, text.as_bytes())];
        sources.extend(lists.map(|entry| Source::new(entry.file(), entry.body.as_bytes())));
        let checked = tokio::task::spawn_blocking(move || {
            let limits = Limits {
                file_bytes: limits::MAX_BODY,
                ..Limits::default()
            };
            let checked = picket_lang::check(&sources, &limits);
            Draft { checked, sources }
        });
        checked.await.map_err(Problem::internal)
    }

    /// What there is to say of the text itself.
    fn diagnostics(&self) -> Vec<Diagnostic> {
        let json = render_json(&self.checked.diagnostics, &self.sources);
        // We wrote it ourselves, one line above.
        let told: Vec<Diagnostic> = serde_json::from_str(&json).unwrap_or_default();
        told.into_iter().filter(|told| told.file == FILE).collect()
    }

    /// An error if something is wrong with the text.
    fn sound(self) -> Result<Checked, Problem> {
        let told = self.diagnostics();
        let first = told.iter().find(|told| told.severity == "error");
        match first.map(|told| told.message.clone()) {
            Some(why) => Err(Problem::invalid(why).with(told)),
            None => Ok(self.checked),
        }
    }
}
