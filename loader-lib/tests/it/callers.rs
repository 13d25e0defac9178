//! Calls and those who make them: queues, pools, tokens, and callers that go away.

use stoa_loader::{
    Host, Limits, Phase,
    plan::Instances,
    testing::{Faults, PlanBuilder, census},
};

use crate::{
    calls::{Outcome, wave},
    guests,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_stateless_plugin_are_inside_at_the_same_time_as_many_as_its_pool_has() -> Outcome {
    let folder = tempfile::tempdir()?;
    for (instances, ceiling, inside) in [
        (Instances::Stateless(Some(3)), 4, 3),
        (Instances::Stateless(Some(3)), 2, 2),
        (Instances::Stateless(None), 2, 2),
        (Instances::One, 4, 1),
    ] {
        let faults = Faults::new();
        let limits = Limits { pool: ceiling, ..Limits::default() };
        let host = Host::<()>::builder().limits(limits).faults(faults.clone()).build()?;
        let plan = PlanBuilder::new(folder.path()).plugin("demo:leaf", "1.0.0", &guests::leaf()).instances(instances);
        host.apply(plan.build()?).await?.all()?;
        let gate = faults.hold("demo:leaf", Phase::Run)?;
        let leaf = host.plugin("demo:leaf")?;
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let leaf = leaf.clone();
                tokio::spawn(async move { leaf.call_wave("bump()").await })
            })
            .collect();
        // One after the other they would never all come.
        gate.arrived(inside).await;
        assert_eq!(census(&host).instances, inside, "{instances:?} of {ceiling}");
        gate.open();
        let mut sum = 0;
        for call in calls {
            sum += usize::from(wave(&call.await??) == "ok(1)");
        }
        assert!(sum <= inside, "{sum} calls were the first of an instance, and there are {inside}");
        assert_eq!(census(&host).instances, inside, "the instances stay");
        assert_eq!(host.memory_used(), inside << 16);
    }
    Ok(())
}
