//! Searches for one target.

use stoa_core::{
    digest::Digest,
    trust::{Hashes, TargetFile},
};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo},
};

#[test]
fn a_plugin_is_found_by_way_of_targets_index_and_its_bin() {
    let repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    client.log.clear();
    let hashes = Hashes::sha256_only(Digest::of(b"markdown 1"));
    let found = client.find(&repo, &mut updater, MARKDOWN);
    assert_eq!(found, Ok(Some(TargetFile { length: 10, hashes })));
    let bin = format!("2.{}.json", repo.bins.name_of(MARKDOWN));
    assert_eq!(client.log, ["5.targets.json", "5.index.json", &bin]);
}

#[test]
fn the_absence_of_a_plugin_is_proven_by_its_bin() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    assert_eq!(client.refresh_and_find(&repo, "index/demo/absent.json"), Ok(None));
    let bin = format!("1.{}.json", repo.bins.name_of("index/demo/absent.json"));
    assert_eq!(client.log, ["2.root.json?", "timestamp.json", &bin]);
}

#[test]
fn a_path_that_nobody_answers_for_is_absent_without_more_requests() {
    let repo = Repo::with_markdown();
    let mut client = Client::up_to_date(&repo);
    assert_eq!(client.refresh_and_find(&repo, "index/demo/a/b.json"), Ok(None));
    assert_eq!(client.log, ["2.root.json?", "timestamp.json"]);
}
