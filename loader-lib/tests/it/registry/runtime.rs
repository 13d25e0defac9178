//! How a plugin wants to be run, from its manifest to the host.

use stoa_core::{event::Fact, manifest::Manifest, release::Runtime};
use stoa_loader::{
    PlannedPlugin,
    plan::{Instances, Reload, RuntimeOptions},
};

use super::*;

/// What a host plans for a plugin whose `plugin.toml` ends with `text`, by way of a registry.
async fn planned(text: &str) -> PlannedPlugin {
    let manifest = format!(
        "manifest = 1\n[plugin]\nid = \"{ALPHA}\"\nversion = \"1.1.0\"\ndescription = \"A\"\nlicense = \"MIT\"\n{text}"
    );
    let manifest = Manifest::parse(&manifest).expect("a manifest");
    let mirror = Mirror::with(&[(ALPHA, "1.0.0")]);
    let mut release = mirror::release(ALPHA, "1.1.0");
    release.runtime = Runtime::from(manifest.runtime());
    mirror.say(Fact::Released { releases: vec![release], attestations: Default::default() });

    let cache = folder();
    let registry = open(&mirror, cache.path()).await;
    let snapshot = registry.sync(Refresh::Always).await.expect("an index");
    let want = Want::new(id(ALPHA), "^1.1".parse().expect("a requirement"));
    let wanted = Wanted::new(BTreeMap::new(), vec![want]).expect("a wish");
    let options = ResolveOptions::new("main".parse().expect("a name"));
    let resolution = snapshot.resolve(&wanted, None, &Offer::new(), &options).await.expect("a resolution");
    let plan = registry.plan(&resolution, &wanted, |_| ()).await.expect("a plan");
    plan.plugins()[0].clone()
}

#[tokio::test]
async fn what_a_manifest_says_of_instances_and_reloads_reaches_the_plan() {
    let of = |instances, reload| RuntimeOptions { instances, reload };
    for (text, runtime) in [
        ("", of(Instances::One, Reload::Shadow)),
        ("[runtime]\nstateless = true\npool = 3", of(Instances::Stateless(Some(3)), Reload::Shadow)),
        ("[runtime]\nstateless = true", of(Instances::Stateless(None), Reload::Shadow)),
        ("[runtime]\npool = 1\nreload = \"stop-start\"", of(Instances::One, Reload::StopStart)),
    ] {
        assert_eq!(planned(text).await.runtime, runtime, "{text}");
    }
}
