//! Large plugins go in three steps, small ones in one request.

use std::fs;

use stoa_core::digest::Digest;

use crate::process::Stage;

/// One request takes at most this much (`docs/format/api.md`): what is larger can only come by an upload.
const INLINE: usize = 4 * 1024 * 1024;

#[test]
fn a_plugin_too_large_for_one_request_comes_out_as_it_went_in() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let large = stage.plugin("large", "1.0.0", 41, INLINE + 1);
    let published = stage.publish(&server.url, &key, &[&large]).json();
    assert_eq!((published["seq"].as_u64(), published["state"].as_str()), (Some(3), Some("published")), "{published}");

    let bytes = fs::read(format!("{large}/large.wasm")).expect("a component");
    let (_, served) = server.get(&format!("artifacts/sha256/{}", Digest::of(&bytes)));
    assert!(served == bytes, "the served component has other bytes");
    let call = ["run", "--json", "demo:large", "--invoke", "add(1)"];
    assert_eq!(stage.host(&server.url, &stage.path("c"), &call).json()["result"], "42");
}

#[test]
fn the_same_release_again_is_the_same_release_and_another_under_its_version_is_refused() {
    let Some(stage) = Stage::new() else { return };
    let server = stage.serve();
    let key = stage.author(&server);
    let first = stage.plugin("answer", "1.0.0", 41, 0);
    assert_eq!(stage.publish(&server.url, &key, &[&first]).json()["seq"], 3);
    assert_eq!(stage.publish(&server.url, &key, &[&first]).json()["seq"], 3, "nothing is recorded twice");
    fs::write(format!("{first}/README.md"), "# another readme\n").expect("a readme");
    let args = ["publish", &first, "--api-key", &key];
    let refused = stage.host(&server.url, &stage.path("c"), &args).refusal();
    crate::process::assert_said("another-release-under-one-version", &refused, &stage);
}
