//! The tree is the oracle: what each operation leaves there.

use stoa_core::{event::Fact, path::PublicPath};
use stoa_store::{
    blobs::{Area, Blobs as _},
    memory::MemoryBlobs,
};

use crate::world::{World, files, namespace, released, unyanked, yanked};

/// Digests are long; eight digits tell them apart. Assets follow the look of the pages, which is tested apart.
fn shortened(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"([0-9a-f]{8})[0-9a-f]{56}", "$1");
    settings.add_filter(r"assets/([a-z]+)\.[0-9a-f]+\.", "assets/$1.HASH.");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

struct Shown {
    world: World,
    blobs: MemoryBlobs,
    before: crate::world::Files,
}

impl Shown {
    /// Does what `fact` says and shows the whole tree, what is new or changed in it, and the changed document.
    async fn then(&mut self, name: &str, fact: Option<Fact>) {
        match fact {
            Some(fact) => self.world.commit(fact).await,
            None => self.world.genesis().await,
        };
        self.world.upload(&self.blobs).await;
        self.world.follow(&self.blobs).await.expect("an index");
        let mut after = files(&self.blobs, Area::Public).await;
        after.extend(files(&self.blobs, Area::Events).await);
        let gone: Vec<_> = self.before.keys().filter(|path| !after.contains_key(*path)).collect();
        assert_eq!(gone, Vec::<&String>::new(), "nothing is ever taken away");
        let mark = |path: &String| match self.before.get(path) {
            None => "+",
            Some(bytes) if after[path] != bytes => "~",
            Some(_) => " ",
        };
        let mut text: String = after.keys().map(|path| format!("{} {path}\n", mark(path))).collect();
        for (path, bytes) in after.iter().filter(|(path, _)| mark(path) == "+") {
            if let Ok(PublicPath::Document(..)) = path.trim_start_matches("public/").parse() {
                let json: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
                text += &format!("\n{path}\n{json:#}\n");
            }
        }
        shortened(name, &text);
        self.before = after;
    }
}

#[tokio::test]
async fn each_operation_leaves_its_files_and_changes_no_other() {
    let world = World::empty();
    let blobs = world.tree().await;
    let mut shown = Shown { before: files(&blobs, Area::Public).await, world, blobs };
    shown.then("1-genesis", None).await;
    shown.then("2-namespace", Some(namespace("demo"))).await;
    shown.then("3-first-release", Some(released(&[("demo:alpha", "1.0.0")]))).await;
    shown.then("4-second-version", Some(released(&[("demo:alpha", "1.1.0")]))).await;
    shown.then("5-yank", Some(yanked("demo:alpha", "1.0.0"))).await;
    shown.then("6-unyank", Some(unyanked("demo:alpha", "1.0.0"))).await;
    shown.then("7-set-of-two", Some(released(&[("demo:beta", "0.1.0"), ("demo:gamma", "0.1.0")]))).await;
    assert!(shown.blobs.list(Area::Upload, None, 1).await.expect("a list").is_empty());
}
