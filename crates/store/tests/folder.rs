//! The folder: what crashes leave, what strangers put there, who may enter.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use bytes::Bytes;
use stoa_core::path::PublicPath;
use stoa_store::{
    blobs::{Area, BlobKey, Blobs, Precondition, Put},
    folder::FolderBlobs,
};
use tempfile::TempDir;

async fn open(folder: &Path) -> FolderBlobs {
    FolderBlobs::open(folder).await.expect("a folder of blobs")
}

async fn fresh() -> (TempDir, FolderBlobs) {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = open(folder.path()).await;
    (folder, blobs)
}

fn front() -> BlobKey {
    BlobKey::Public(PublicPath::Front)
}

fn message<T: std::fmt::Debug>(outcome: Result<T, stoa_store::blobs::BlobError>) -> String {
    outcome.expect_err("it succeeded").to_string()
}

/// The names of a folder's entries, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().expect("text")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_a_crashed_writer_left_is_swept_and_what_a_living_one_writes_stays() {
    let (folder, blobs) = fresh().await;
    drop(blobs);
    let beside = folder.path().join(".beside");
    fs::write(beside.join("crashed"), "half of a fi").expect("a file");
    fs::write(beside.join("alive"), "half of a fi").expect("a file");
    let alive = File::open(beside.join("alive")).expect("a file");
    alive.lock_shared().expect("a lock");
    let blobs = open(folder.path()).await;
    assert_eq!(names(&beside), ["alive"]);
    assert_eq!(blobs.list(Area::Public, None, 10).await.expect("a list"), []);
    drop(alive);
    drop(open(folder.path()).await);
    assert_eq!(names(&beside), [""; 0]);
}

#[tokio::test]
async fn every_write_leaves_nothing_beside_the_tree() {
    let (folder, blobs) = fresh().await;
    let (key, copy) = (BlobKey::Event(1), BlobKey::Event(2));
    assert_eq!(blobs.put_new(&key, Bytes::from("1")).await.expect("a put"), Put::Created);
    assert_eq!(blobs.put_new(&key, Bytes::from("2")).await.expect("a put"), Put::Exists);
    let tag = blobs.put_if(&front(), Bytes::from("1"), &Precondition::Absent).await.expect("a put");
    message(blobs.put_if(&front(), Bytes::from("2"), &Precondition::Absent).await);
    blobs.put_if(&front(), Bytes::from("2"), &Precondition::Tag(tag.clone())).await.expect("a put");
    message(blobs.copy_new(&front(), &tag, &copy).await);
    let tag = blobs.head(&key).await.expect("a head").expect("content").tag;
    assert_eq!(blobs.copy_new(&key, &tag, &copy).await.expect("a copy"), Put::Created);
    assert_eq!(blobs.copy_new(&key, &tag, &copy).await.expect("a copy"), Put::Exists);
    assert_eq!(names(&folder.path().join(".beside")), [""; 0]);
    assert_eq!(names(folder.path()), [".beside", ".lock", "events", "internal", "public"]);
}

#[tokio::test]
async fn a_link_in_place_of_a_file_is_refused_and_what_it_points_to_untouched() {
    let (folder, blobs) = fresh().await;
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret").expect("a file");
    fs::create_dir_all(folder.path().join("public")).expect("a folder");
    symlink(&secret, folder.path().join("public/index.html")).expect("a link");
    let expected = "`public/index.html` is no blob of a registry: it is a symbolic link";
    let copy = BlobKey::Event(1);
    let tag = stoa_store::blobs::ETag::new("x");
    assert_eq!(message(blobs.get(&front(), 100).await), expected);
    assert_eq!(message(blobs.get_range(&front(), 0..1).await), expected);
    assert_eq!(message(blobs.head(&front()).await), expected);
    assert_eq!(message(blobs.put_new(&front(), Bytes::from("x")).await), expected);
    assert_eq!(message(blobs.put_if(&front(), Bytes::from("x"), &Precondition::Absent).await), expected);
    assert_eq!(message(blobs.copy_new(&front(), &tag, &copy).await), expected);
    assert_eq!(message(blobs.list(Area::Public, None, 10).await), expected);
    assert_eq!(fs::read_to_string(&secret).expect("a file"), "secret");
    blobs.delete(&front()).await.expect("a deletion");
    assert_eq!(fs::read_to_string(&secret).expect("a file"), "secret");
    assert_eq!(names(&folder.path().join(".beside")), [""; 0]);
}

#[tokio::test]
async fn a_link_in_place_of_a_folder_is_refused() {
    let (folder, blobs) = fresh().await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::write(elsewhere.path().join("0000000001.json"), "stolen").expect("a file");
    symlink(elsewhere.path(), folder.path().join("events")).expect("a link");
    let expected = "`events` is no blob of a registry: it is a symbolic link or a file, and a folder is needed";
    assert_eq!(message(blobs.get(&BlobKey::Event(1), 100).await), expected);
    assert_eq!(message(blobs.put_new(&BlobKey::Event(2), Bytes::from("x")).await), expected);
    assert_eq!(message(blobs.delete(&BlobKey::Event(1)).await), expected);
    assert_eq!(message(blobs.list(Area::Events, None, 10).await), expected);
    assert_eq!(names(elsewhere.path()), ["0000000001.json"]);
}

#[tokio::test]
async fn a_folder_or_a_pipe_in_place_of_a_file_is_refused() {
    let (folder, blobs) = fresh().await;
    fs::create_dir_all(folder.path().join("public/index.html")).expect("a folder");
    let expected = "`public/index.html` is no blob of a registry: it is a folder";
    assert_eq!(message(blobs.get(&front(), 100).await), expected);
    assert_eq!(message(blobs.put_new(&front(), Bytes::from("x")).await), expected);
    let pipe = folder.path().join("public/404.html");
    let mode = rustix::fs::Mode::from_bits_retain(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    let missing = BlobKey::Public(PublicPath::NotFound);
    let expected = "`public/404.html` is no blob of a registry: it is a device";
    assert_eq!(message(blobs.get(&missing, 100).await), expected);
    assert_eq!(message(blobs.put_new(&missing, Bytes::from("x")).await), expected);
}

#[tokio::test]
async fn a_strangers_file_is_named_by_a_listing() {
    let (folder, blobs) = fresh().await;
    fs::create_dir_all(folder.path().join("public/assets")).expect("a folder");
    fs::write(folder.path().join("public/assets/.DS_Store"), "x").expect("a file");
    let refused = message(blobs.list(Area::Public, None, 10).await);
    assert_eq!(refused, "`public/assets/.DS_Store` names no blob: it is no path of the public tree");
}

#[tokio::test]
async fn only_the_public_tree_can_be_entered_by_others() {
    let (folder, blobs) = fresh().await;
    for key in [front(), BlobKey::Event(1), BlobKey::Store(stoa_core::digest::Digest::of(b"x"))] {
        assert_eq!(blobs.put_new(&key, Bytes::from("x")).await.expect("a put"), Put::Created);
    }
    let rights = [".beside", "events", "internal", "public", "store"].map(|name| {
        let metadata = fs::metadata(folder.path().join(name)).expect("metadata");
        (name, metadata.permissions().mode() & 0o005)
    });
    assert_eq!(rights, [(".beside", 0), ("events", 0), ("internal", 0), ("public", 5), ("store", 0)]);
}

#[tokio::test]
async fn a_secret_of_another_length_is_refused() {
    let (folder, blobs) = fresh().await;
    drop(blobs);
    fs::write(folder.path().join("internal/upload-secret"), "short").expect("a file");
    assert_eq!(
        message(FolderBlobs::open(folder.path()).await),
        "`internal/upload-secret` is no blob of a registry: it is a secret of other than 32 bytes"
    );
}
