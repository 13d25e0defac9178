//! What the API keeps in the ledger: the keys of its items and their shapes. All items are JSON with `format: 1`.
//!
//! | item | partition | sort key | written with an event |
//! |---|---|---|---|
//! | [`NamespaceItem`] | `namespaces` | `NS` | yes |
//! | [`PublishersItem`] | `publishers` | `NS` | yes |
//! | [`NameItem`] of a namespace | `namespace-skeletons` | `SKELETON` | yes |
//! | [`PluginItem`] | `plugin:NS:NAME` | `about` | yes |
//! | [`ReleaseItem`] | `plugin:NS:NAME` | `release:VERSION` | yes |
//! | [`AdvisoryItem`] | `advisories:NS:NAME` | `ID` | yes |
//! | [`NameItem`] of a plugin | `names:NS` | `SKELETON` | yes |
//! | [`BucketItem`] | `index-buckets` | `HH` | yes |
//! | [`KeyItem`] | `keys` | `ID` | no: private |
//! | [`PublishItem`] | `publishes` | `ID` | no: private, expires |
//!
//! Namespaces, plugins and releases are never removed; so a publish that has seen a namespace or a dependency
//! need not ask for it again in its transaction. Stored blobs may be removed while nothing names them: a publish
//! that relies on some also expects [`stoa_store::sweep::Sweep`] unchanged. Every release and yank of a plugin rewrites its
//! [`PluginItem`] on condition that it is still the one that was read: two publishes of one plugin can not
//! both count from the same state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use stoa_core::{
    advisory::{Advisory, AdvisoryId},
    attestation::Attestations,
    digest::Digest,
    event::ActorId,
    id::{Name, Namespace, PluginId},
    interface::{ExternName, TypeHash},
    publisher::Publishers,
    release::{BlobRef, Export, Import, Kind, Release},
    standing::{Cause, Measure},
    time::Time,
    version::Version,
};
use stoa_store::ledger::{ItemKey, KeyError};

use crate::{
    publish::{bucket::Bucket, id::PublishId},
    scope::Scope,
    skeleton::Skeleton,
    token::{KeyId, SecretHash},
};

/// A kind of item: where it lies and how it is written.
pub trait Item: Serialize + DeserializeOwned {
    /// What names one item of this kind.
    type Name<'a>;

    /// Where the item with this name lies.
    ///
    /// # Errors
    /// [`KeyError`], which no name of a valid type meets.
    fn key(name: Self::Name<'_>) -> Result<ItemKey, KeyError>;
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceItem {
    /// Always 1.
    pub format: u32,
    /// Its name.
    pub namespace: Namespace,
    /// Who created it.
    pub created_by: ActorId,
    /// When, by the clock of the request.
    pub created_at: Time,
}

impl Item for NamespaceItem {
    type Name<'a> = &'a Namespace;

    fn key(name: &Namespace) -> Result<ItemKey, KeyError> {
        ItemKey::new("namespaces", name.as_str())
    }
}

/// The keys of a namespace's publishers. Places in it are those of the end of the log when each was decided; a key that
/// waits does so a little longer than the index says, for the clocks of two requests may differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishersItem {
    /// Always 1.
    pub format: u32,
    /// The keys.
    pub publishers: Publishers,
}

impl Item for PublishersItem {
    type Name<'a> = &'a Namespace;

    fn key(name: &Namespace) -> Result<ItemKey, KeyError> {
        ItemKey::new("publishers", name.as_str())
    }
}

/// Which name took a skeleton.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameItem {
    /// Always 1.
    pub format: u32,
    /// A namespace, or the name of a plugin within one.
    pub name: Name,
}

/// What a skeleton is unique among.
#[derive(Debug, Clone, Copy)]
pub enum Among<'a> {
    /// All namespaces.
    Namespaces,
    /// The plugins of a namespace.
    Plugins(&'a Namespace),
}

impl Item for NameItem {
    type Name<'a> = (Among<'a>, &'a Skeleton);

    fn key((among, skeleton): (Among<'_>, &Skeleton)) -> Result<ItemKey, KeyError> {
        match among {
            Among::Namespaces => ItemKey::new("namespace-skeletons", skeleton.to_string()),
            Among::Plugins(namespace) => ItemKey::new(format!("names:{namespace}"), skeleton.to_string()),
        }
    }
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginItem {
    /// Always 1.
    pub format: u32,
    /// Its id.
    pub id: PluginId,
    /// What it is for: the same for all its releases.
    pub kind: Kind,
    /// Its versions, yanked ones too.
    pub versions: BTreeSet<Version>,
    /// At most this many bytes has its index document: see [`crate::publish::budget`].
    pub document_bytes: u64,
    /// How it was taken down as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takedown: Option<TakedownItem>,
    /// How many advisories it has that are open.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub advisories: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a plugin or a release was taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakedownItem {
    /// What was done.
    pub measure: Measure,
    /// Why, for programs.
    pub cause: Cause,
    /// The reason given.
    pub reason: String,
    /// The end of the log when it was decided, as in [`ReleaseItem::after`].
    pub after: u64,
    /// Whether its publisher contradicts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub appealed: bool,
    /// Whether bytes were deleted because of it: then it can not be restored any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purged: bool,
}

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryItem {
    /// Always 1.
    pub format: u32,
    /// What is known.
    pub advisory: Advisory,
    /// Whether it was withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// The end of the log when its last event was decided, as in [`ReleaseItem::after`].
    pub after: u64,
}

impl Item for AdvisoryItem {
    type Name<'a> = (&'a PluginId, &'a AdvisoryId);

    fn key((id, advisory): (&PluginId, &AdvisoryId)) -> Result<ItemKey, KeyError> {
        ItemKey::new(format!("advisories:{id}"), advisory.to_string())
    }
}

impl Item for PluginItem {
    type Name<'a> = &'a PluginId;

    fn key(id: &PluginId) -> Result<ItemKey, KeyError> {
        ItemKey::new(partition(id), "about")
    }
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseItem {
    /// Always 1.
    pub format: u32,
    /// Its version.
    pub version: Version,
    /// The end of the log when it was decided: its event is the first after this place that releases it. The
    /// place itself is only known when the transaction, of which this item is a part, has taken effect.
    pub after: u64,
    /// The digest of its record.
    pub record: Digest,
    /// Its component.
    pub artifact: BlobRef,
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<Export>,
    /// The functions it exports.
    pub functions: Functions,
    /// Whether it was yanked, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<YankedItem>,
    /// How it was taken down by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takedown: Option<TakedownItem>,
    /// To which level it was certified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<CertifiedItem>,
}

/// That a release was certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedItem {
    /// From 1.
    pub level: u8,
    /// The reason given.
    pub reason: String,
    /// The end of the log when it was decided, as in [`ReleaseItem::after`].
    pub after: u64,
}

/// Exported functions with a structural hash each, by export and name. A function that is exported without an
/// interface stands below its own name.
pub type Functions = BTreeMap<ExternName, BTreeMap<String, TypeHash>>;

/// Why a release is yanked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YankedItem {
    /// The reason given.
    pub reason: String,
    /// The end of the log when it was decided, as in [`ReleaseItem::after`].
    pub after: u64,
}

impl Item for ReleaseItem {
    type Name<'a> = (&'a PluginId, &'a Version);

    fn key((id, version): (&PluginId, &Version)) -> Result<ItemKey, KeyError> {
        ItemKey::new(partition(id), format!("release:{version}"))
    }
}

/// What the plugins of a bucket take in the index. Written with the first release of each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketItem {
    /// Always 1.
    pub format: u32,
    /// At most this many bytes have the entries of its plugins: see [`crate::publish::bucket`].
    pub entry_bytes: u64,
}

impl Item for BucketItem {
    type Name<'a> = Bucket;

    fn key(bucket: Bucket) -> Result<ItemKey, KeyError> {
        ItemKey::new("index-buckets", bucket.to_string())
    }
}

fn partition(id: &PluginId) -> String {
    format!("plugin:{id}")
}

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyItem {
    /// Always 1.
    pub format: u32,
    /// Its public name.
    pub id: KeyId,
    /// What is kept of its secret.
    pub hash: SecretHash,
    /// The last four characters of the key as text, for people.
    pub last_four: String,
    /// What its holders call it.
    pub label: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Who made it.
    pub created_by: ActorId,
    /// When.
    pub created_at: Time,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
}

impl KeyItem {
    /// The partition that all keys lie in.
    pub const PARTITION: &str = "keys";
}

impl Item for KeyItem {
    type Name<'a> = &'a KeyId;

    fn key(id: &KeyId) -> Result<ItemKey, KeyError> {
        ItemKey::new(Self::PARTITION, id.to_string())
    }
}

/// A publish that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishItem {
    /// Always 1.
    pub format: u32,
    /// Its name.
    pub id: PublishId,
    /// The key that began it and may finish it.
    pub key: KeyId,
    /// The records, sorted by plugin.
    pub releases: Vec<Release>,
    /// What is attested of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attestations: BTreeMap<PluginId, Attestations>,
    /// From when on it is forgotten.
    pub expires_at: Time,
}

impl PublishItem {
    /// The partition that all begun publishes lie in.
    pub const PARTITION: &str = "publishes";
}

impl Item for PublishItem {
    type Name<'a> = PublishId;

    fn key(id: PublishId) -> Result<ItemKey, KeyError> {
        ItemKey::new(Self::PARTITION, id.to_string())
    }
}
