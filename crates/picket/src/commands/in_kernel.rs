//! What `picket rules check` says of policies that block: which of the rules they
//! rest on the kernel cannot decide. The language does not know of the engine, so
//! this is told here.

use picket_engine::kernel::{Armed, Host, Protection, Reach, Why, compile};
use picket_lang::{BeyondKernel, Checked, Diagnostic, SourceSpan, beyond_kernel};
use picket_model::Policy;

/// Rules told of one by one for each policy; of the rest only how many there are.
const TOLD: usize = 20;

/// Adds what there is to say, behind what was found in the same file.
pub fn add(checked: &mut Checked) {
    // What is wrong comes first.
    if checked.has_errors() {
        return;
    }
    let blocking: Vec<(&Policy, &SourceSpan)> = checked
        .policies
        .iter()
        .zip(&checked.policy_places)
        .filter(|(policy, _)| policy.blocks())
        .collect();
    let under_them: Vec<Armed<'_>> = checked
        .rules
        .iter()
        .filter(|rule| {
            blocking
                .iter()
                .any(|(policy, _)| policy.trigger.selects(&rule.info))
        })
        .map(|rule| Armed { rule, policies: 1 })
        .collect();
    // Of no host in particular: what a rule asks for counts, not who asks.
    let compiled = compile(&under_them, &Protection::default(), &Host::default());
    let mut found = Vec::new();
    for (policy, place) in blocking {
        let own = under_them.iter().zip(&compiled.reach);
        let own = own.filter(|(armed, _)| policy.trigger.selects(&armed.rule.info));
        found.extend(of_policy(policy, place, own));
    }
    checked.diagnostics.extend(found);
    checked
        .diagnostics
        .sort_by_key(|diagnostic| diagnostic.primary.span.source);
}

fn of_policy<'a>(
    policy: &Policy,
    place: &SourceSpan,
    rules: impl Iterator<Item = (&'a Armed<'a>, &'a Reach)>,
) -> Vec<Diagnostic> {
    let tell = |rule: &str, beyond, why: &str| {
        let effects = policy.action.effects();
        beyond_kernel(place.clone(), &policy.id, effects, rule, beyond, why)
    };
    let mut found: Vec<Diagnostic> = rules
        .filter_map(|(armed, reach)| {
            let (beyond, why) = limit(reach)?;
            Some(tell(&armed.rule.info.id, beyond, &why))
        })
        .collect();
    // Warnings before notes.
    found.sort_by_key(|diagnostic| diagnostic.level);
    if let Some(last) = found.len().checked_sub(TOLD).filter(|left| *left > 0) {
        found.truncate(TOLD);
        if let Some(diagnostic) = found.last_mut() {
            diagnostic
                .help
                .push(format!("and {last} more rules of this policy like these"));
        }
    }
    found
}

fn limit(reach: &Reach) -> Option<(BeyondKernel, String)> {
    let words = |why: &[Why]| {
        let why: Vec<String> = why.iter().map(Why::to_string).collect();
        why.join("; ")
    };
    match reach {
        Reach::Kernel => None,
        Reach::Partly(why) => Some((BeyondKernel::Sometimes, words(why))),
        Reach::User(why) => Some((BeyondKernel::Always, words(why))),
        Reach::NoRoom => Some((
            BeyondKernel::Always,
            "its tables have no room for it beside the rules before it".to_owned(),
        )),
    }
}
