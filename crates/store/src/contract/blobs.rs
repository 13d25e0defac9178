//! The contract of [`Blobs`].
#![expect(missing_docs, reason = "the name of a case says what holds")]

mod model;
mod puts;
mod races;
mod reads;

use bytes::Bytes;
use stoa_core::{digest::Digest, path::PublicPath};

use crate::blobs::{Area, BlobError, BlobKey, Blobs, UploadId};

pub use model::check_history;

super::suite! { ($) blobs_contract in blobs:
    puts {
        what_was_put_is_read,
        a_put_if_absent_keeps_what_is_there,
        a_put_that_expects_nothing_succeeds_once,
        a_put_that_expects_a_tag_replaces_that_content_only,
        a_put_that_expects_a_tag_creates_nothing,
        a_copy_is_made_of_the_content_that_was_read,
        a_copy_keeps_what_is_there,
        a_copy_outlives_its_source,
        what_was_deleted_is_gone,
        every_kind_of_key_has_a_place_of_its_own,
        a_key_that_is_none_is_refused,
        an_upload_address_is_accepted_as_it_was_given,
        what_was_put_is_there_after_a_restart,
        the_probe_holds_and_leaves_nothing,
    }
    reads {
        what_is_not_there_is_no_error,
        content_above_the_limit_is_refused,
        a_range_ends_with_the_content,
        a_range_that_is_none_is_refused,
        a_list_is_in_order_of_bytes,
        a_list_goes_on_after_a_key,
        three_megabytes_come_back_as_they_were,
    }
    races {
        of_sixteen_who_put_one_key_one_creates_it,
        sixteen_who_count_up_lose_no_count,
        a_reader_sees_all_of_a_content_or_another,
    }
    model {
        random_histories_are_as_in_the_model,
    }
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn internal(name: &str) -> BlobKey {
    BlobKey::Internal(name.parse().expect("a name"))
}

fn asset(name: &str) -> BlobKey {
    BlobKey::Public(PublicPath::Asset(name.to_owned()))
}

fn stored(content: &str) -> BlobKey {
    BlobKey::Store(Digest::of(content.as_bytes()))
}

fn upload(number: u8) -> BlobKey {
    BlobKey::Upload(UploadId::from_bytes([number; 16]))
}

/// The content, as text.
async fn read(blobs: &dyn Blobs, key: &BlobKey) -> Option<String> {
    let blob = blobs.get(key, 1 << 20).await.expect("a read")?;
    Some(String::from_utf8(blob.bytes.to_vec()).expect("text"))
}

/// The paths of all blobs of an area.
async fn paths(blobs: &dyn Blobs, area: Area) -> Vec<String> {
    let rows = blobs.list(area, None, 10_000).await.expect("a list");
    rows.into_iter().map(|row| row.key.to_string()).collect()
}

fn message<T: std::fmt::Debug>(outcome: Result<T, BlobError>) -> String {
    match outcome {
        Ok(value) => panic!("it succeeded: {value:?}"),
        Err(error) => error.to_string(),
    }
}
