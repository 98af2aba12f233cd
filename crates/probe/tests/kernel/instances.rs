//! What is found of ourselves in the kernel, from outside.

use crate::watch::Watch;
use picket_model::policy::Effects;
use picket_probe::{Instance, Instances, KernelPolicy, ProbeConfig};

fn policy(id: &str, blocks: bool, budget: u32) -> KernelPolicy {
    KernelPolicy {
        id: id.into(),
        effects: Effects::BLOCK,
        blocks,
        actions: Some(2),
        window_ms: 60_000,
        pause_ms: None,
        budget,
    }
}

/// The one that this test loaded, among those of others.
fn own(others: &[String]) -> Instance {
    let found = Instances::look().expect("look").found;
    let mut own: Vec<Instance> = found
        .into_iter()
        .filter(|instance| {
            let policies = instance.policies().expect("policies");
            policies.iter().any(|policy| others.contains(&policy.id))
        })
        .collect();
    assert_eq!(own.len(), 1, "{own:?}");
    own.remove(0)
}

#[test]
fn an_instance_is_found_by_its_maps_and_its_switch_is_the_sensor_s() {
    let Some(mut watch) = Watch::start(ProbeConfig::default()) else {
        return;
    };
    let probes = &mut watch.probes;
    let id = format!("instances-{}", std::process::id());
    let other = format!("others-{}", std::process::id());
    let names = [id.clone(), other.clone()];

    // Rules that match nothing: what decides is only looked at.
    let first = [policy(&id, true, 3), policy(&other, false, 4)];
    let half = probes.prepare(&[], &first).expect("prepare");
    probes.switch(half).expect("switch");
    let instance = own(&names);
    assert_eq!(instance.policies().expect("policies"), first);
    assert_eq!(instance.sensor().expect("sensor"), std::process::id());

    // The switch is one, on both sides.
    let switch = probes.disarm_switch().expect("switch");
    assert!(!switch.is_thrown().expect("thrown") && !instance.is_disarmed().expect("disarmed"));
    instance.set_disarmed(true).expect("disarm");
    assert!(switch.is_thrown().expect("thrown"));
    probes.set_disarmed(false).expect("arm");
    assert!(!instance.is_disarmed().expect("disarmed"));

    // So are the budgets.
    let budgets = probes.budgets().expect("budgets");
    let words = budgets.words(3).expect("a budget");
    assert!(!instance.reset_budget(&first[0]).expect("reset"));
    for word in words {
        word.store(9, std::sync::atomic::Ordering::Relaxed);
    }
    assert!(instance.reset_budget(&first[0]).expect("reset"));
    let left = words
        .iter()
        .map(|word| word.load(std::sync::atomic::Ordering::Relaxed));
    // Whose it is stays.
    assert_eq!(left.sum::<u64>(), 9);

    // A smaller set leaves nothing of the one before it, in either half.
    for _ in 0..2 {
        let half = probes.prepare(&[], &first[1..]).expect("prepare");
        probes.switch(half).expect("switch");
        assert_eq!(own(&names).policies().expect("policies"), first[1..]);
    }
    probes.disengage().expect("disengage");
    assert_eq!(instance.policies().expect("policies"), []);
}
