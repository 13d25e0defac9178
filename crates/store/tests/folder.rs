//! The folder: what crashes leave, what strangers put there, who may enter.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use bytes::Bytes;
use stoa_core::{digest::Digest, path::PublicPath};
use stoa_store::{
    blobs::{Area, BlobKey, Blobs, ETag, Precondition, Put, UploadId},
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
    let tag = ETag::new("x");
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
    for key in [front(), BlobKey::Event(1), BlobKey::Store(Digest::of(b"x"))] {
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

/// Copies, and gives the inodes of source and target.
async fn inodes(folder: &Path, blobs: &FolderBlobs, from: &BlobKey, to: &BlobKey) -> (u64, u64) {
    let tag = blobs.head(from).await.expect("a head").expect("content").tag;
    assert_eq!(blobs.copy_new(from, &tag, to).await.expect("a copy"), Put::Created);
    let inode = |key: &BlobKey| fs::metadata(folder.join(key.to_string())).expect("metadata").ino();
    (inode(from), inode(to))
}

#[tokio::test]
async fn who_writes_into_a_public_file_does_not_change_the_store() {
    let (folder, blobs) = fresh().await;
    let digest = Digest::of(b"component");
    let upload = BlobKey::Upload(UploadId::from_bytes([1; 16]));
    let (stored, public) = (BlobKey::Store(digest), BlobKey::Public(PublicPath::Artifact(digest)));
    assert_eq!(blobs.put_new(&upload, Bytes::from("component")).await.expect("a put"), Put::Created);
    let (from, to) = inodes(folder.path(), &blobs, &upload, &stored).await;
    assert_eq!(from, to, "an upload is moved, not written a second time");
    let (from, to) = inodes(folder.path(), &blobs, &stored, &public).await;
    assert_ne!(from, to);

    let mut file = fs::OpenOptions::new().write(true).open(folder.path().join(public.to_string())).expect("a file");
    std::io::Write::write_all(&mut file, b"malicious").expect("a write");
    let read = blobs.get(&stored, 100).await.expect("a read").expect("content");
    assert_eq!(read.bytes, "component");
    let read = blobs.get(&public, 100).await.expect("a read").expect("content");
    assert_eq!((read.bytes, read.tag), (Bytes::from("malicious"), ETag::new(Digest::of(b"malicious").to_string())));
}

#[tokio::test]
async fn the_tag_of_a_content_named_file_is_its_name_and_a_copy_still_compares_the_bytes() {
    let (folder, blobs) = fresh().await;
    let digest = Digest::of(b"component");
    let document = PublicPath::Document("demo:markdown".parse().expect("an id"), digest);
    let stored = BlobKey::Store(digest);
    for key in [stored.clone(), BlobKey::Public(PublicPath::Artifact(digest)), BlobKey::Public(document)] {
        assert_eq!(blobs.put_new(&key, Bytes::from("component")).await.expect("a put"), Put::Created);
        // Other bytes of the same length: an answer that had read them would show it.
        fs::write(folder.path().join(key.to_string()), "malicious").expect("a file");
        let meta = blobs.head(&key).await.expect("a head").expect("content");
        assert_eq!((meta.size, meta.tag), (9, ETag::new(digest.to_string())), "{key}");
    }
    let tag = ETag::new(digest.to_string());
    let refused = message(blobs.copy_new(&stored, &tag, &front()).await);
    let found = Digest::of(b"malicious");
    assert_eq!(refused, format!("`{stored}` has tag {found}, and tag {digest} was expected"));
    assert_eq!(blobs.get(&front(), 100).await.expect("a read"), None);
    assert_eq!(names(&folder.path().join(".beside")), [""; 0]);
}
