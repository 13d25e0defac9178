//! What a registry out of a seed promises to those who measure with it.

use stoa_core::{
    digest::Digest,
    document::Document,
    path::PublicPath,
    release::BlobRef,
    time::Time,
    trust::{CachedTrust, Config, Outcome, Step, TrustFile, Updater},
};
use stoa_corpus::{Corpus, Tree};

fn began() -> Time {
    Time::from_unix(1_795_000_000)
}

fn file<'t>(tree: &'t Tree, file: &TrustFile) -> Option<&'t [u8]> {
    tree.files().get(&file.path()?.to_string()).map(Vec::as_slice)
}

/// A client with nothing but the first root.
fn client(tree: &Tree) -> Updater {
    let mut client =
        Updater::open(tree.root(), CachedTrust::default(), began(), Config::default()).expect("a root to pin");
    loop {
        match client.next() {
            Step::Done(Outcome::Fresh { .. }) => return client,
            Step::Done(other) => panic!("a new registry is news: {other:?}"),
            Step::Fetch { file: wanted, .. } => client.receive(file(tree, &wanted)).expect("a good file"),
        }
    }
}

/// What a client reads of the n-th plugin.
fn document(tree: &Tree, corpus: &Corpus, client: &mut Updater, n: usize) -> Document {
    let id = corpus.id(n);
    let mut lookup = client.lookup(&PublicPath::target_path(&id));
    let target = loop {
        match lookup.next(client).expect("a good index") {
            Step::Done(found) => break found.expect("the plugin is listed"),
            Step::Fetch { file: wanted, .. } => lookup.receive(client, file(tree, &wanted)).expect("a good file"),
        }
    };
    let digest = target.hashes.sha256().expect("a digest");
    let bytes = &tree.files()[&PublicPath::Document(id.clone(), digest).to_string()];
    assert_eq!(Digest::of(bytes), digest);
    Document::read(&id, bytes).expect("a document")
}

#[test]
fn a_client_with_the_first_root_finds_every_plugin_and_later_releases_too() {
    let corpus = Corpus::new(7, 45);
    let mut tree = Tree::of(&corpus, 4, began());
    // The first event, then 20, 20 and 5 releases.
    assert_eq!(tree.events().len(), 4);
    let mut first = client(&tree);
    for n in 0..corpus.plugins() {
        assert_eq!(document(&tree, &corpus, &mut first, n).releases.len(), 1, "plugin {n}");
    }

    tree.take_all(corpus.released([44, 3], "1.1.0"));
    tree.publish();
    let mut second = client(&tree);
    for (n, releases) in [(3, 2), (44, 2), (5, 1)] {
        assert_eq!(document(&tree, &corpus, &mut second, n).releases.len(), releases, "plugin {n}");
    }
}

#[test]
fn a_release_names_what_it_holds() {
    let corpus = Corpus::new(7, 45);
    let (release, blobs) = (corpus.release(12, "1.2.3"), corpus.blobs(12, "1.2.3"));
    assert_eq!(release.artifact, BlobRef::of(&blobs.artifact));
    assert_eq!(release.wit, BlobRef::of(&blobs.wit));
    assert_eq!(release.readme, Some(BlobRef::of(&blobs.readme)));
}

#[test]
fn a_seed_decides_about_content_and_not_about_names() {
    let (one, two) = (Corpus::new(1, 45), Corpus::new(2, 45));
    assert_eq!(one.id(44), two.id(44));
    assert_ne!(one.release(44, "1.0.0").artifact, two.release(44, "1.0.0").artifact);
    assert_ne!(one.release(44, "1.0.0").artifact, one.release(44, "1.0.1").artifact);
    assert_ne!(one.release(44, "1.0.0").artifact, one.release(43, "1.0.0").artifact);
}
