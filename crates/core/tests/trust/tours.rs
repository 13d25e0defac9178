//! Walks through every targets role.

use serde_json::json;
use stoa_core::trust::{Step, TrustError, Updater};

use crate::{
    client::Client,
    repo::{MARKDOWN, Repo},
};

/// Visits all roles, and gives their names and the files asked for.
fn tour(repo: &Repo, updater: &mut Updater) -> Result<(Vec<String>, Vec<String>), TrustError> {
    let (mut tour, mut asked) = (updater.tour(), Vec::new());
    loop {
        match tour.next(updater)? {
            Step::Done(roles) => return Ok((roles, asked)),
            Step::Fetch { file, .. } => {
                tour.receive(updater, repo.files.get(&file.to_string()).map(Vec::as_slice))?;
                asked.push(file.to_string());
            }
        }
    }
}

fn refreshed(repo: &Repo) -> Updater {
    Client::new(repo).refresh(repo).expect("a good repository").1
}

#[test]
fn a_tour_visits_every_role_once_in_the_order_of_the_delegations() {
    let repo = Repo::with_markdown();
    let mut updater = refreshed(&repo);
    let (roles, asked) = tour(&repo, &mut updater).expect("a good repository");
    let bins = (0..16).map(|bin| repo.name(&format!("bin-{bin:x}")));
    let expected = ["5.targets.json", "1.catalog.json", "5.index.json"].map(str::to_owned);
    assert_eq!(asked, expected.into_iter().chain(bins).collect::<Vec<_>>());
    assert_eq!(roles.len(), 19);
    let listing = roles.iter().filter(|role| updater.targets(role).expect("held").targets().contains_key(MARKDOWN));
    assert_eq!(listing.collect::<Vec<_>>(), [&repo.bins.name_of(MARKDOWN)]);
    let (_, again) = tour(&repo, &mut updater).expect("held");
    assert_eq!(again, Vec::<String>::new(), "what is held is not asked for again");
}

#[test]
fn a_copy_is_taken_in_place_of_a_file_only_if_it_is_that_file() {
    let repo = Repo::with_markdown();
    let mut updater = refreshed(&repo);
    let mut tour = updater.tour();
    let Ok(Step::Fetch { file, .. }) = tour.next(&mut updater) else { panic!("the first role is wanted") };
    assert_eq!(file.to_string(), "5.targets.json");
    assert!(!tour.offer(&mut updater, &repo.files["1.targets.json"]), "an older one");
    assert!(!tour.offer(&mut updater, &repo.files["5.index.json"]), "another role of the same keys and version");
    assert!(tour.offer(&mut updater, &repo.files["5.targets.json"]));
}

#[test]
fn a_tour_meets_every_check_of_a_lookup() {
    let repo = Repo::with_markdown();
    let mut swapped = repo.clone();
    swapped.files.insert(repo.name("bin-0"), repo.file("bin-1").to_vec());
    let mut updater = refreshed(&swapped);
    let error = tour(&swapped, &mut updater).expect_err("a bin that names another");
    assert!(matches!(error, TrustError::WrongRole { ref role, .. } if role == "bin-0"), "{error:?}");

    let mut missing = repo.clone();
    missing.files.remove(&repo.name("bin-f"));
    let error = tour(&missing, &mut refreshed(&missing)).expect_err("a bin that is kept back");
    assert!(matches!(error, TrustError::Absent { .. }), "{error:?}");
}

#[test]
fn more_bins_than_the_snapshot_lists_end_a_tour_at_the_first_that_it_does_not_list() {
    let mut repo = Repo::with_markdown();
    // Whoever holds the offline key asks for 2^32 names.
    repo.edit("index", |index| index["delegations"]["succinct_roles"]["bit_length"] = json!(32));
    let error = tour(&repo, &mut refreshed(&repo)).expect_err("no such bins");
    assert!(matches!(error, TrustError::NotListed { ref role, .. } if role == "bin-00000000"), "{error:?}");
}

#[test]
fn a_tour_is_of_one_snapshot() {
    let mut repo = Repo::with_markdown();
    let mut client = Client::new(&repo);
    let (_, mut updater) = client.refresh(&repo).expect("a good repository");
    let mut tour = updater.tour();
    repo.publish(MARKDOWN, b"markdown 2");
    updater.begin(client.now);
    client.run(&repo, &mut updater).expect("news");
    assert_eq!(tour.next(&mut updater), Err(TrustError::NotRefreshed));
}
