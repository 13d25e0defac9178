//! A registry of some size, and how it goes on.

use std::{collections::BTreeMap, sync::Arc};

use stoa_core::{
    event::{Fact, Sealed},
    id::PluginId,
    index::bin_of,
    time::Time,
    trust::BitLength,
};
use stoa_corpus::{Corpus, Tree};

use super::{
    Outcome,
    server::{File, Site},
};

/// Plugins that a host has. No two share a bin, which costs the most.
pub(super) const OWN: usize = 10;
/// Releases of others in a day: every one moves its bin.
const OTHERS: usize = 1_000;
/// How long ago the log began: other clients read the true clock, so the pointer must not have expired.
const AGE: i64 = 3_600;

/// How many plugins in how many bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) plugins: usize,
    pub(super) bits: u8,
}

impl Size {
    pub(super) fn bins(self) -> u64 {
        1 << self.bits
    }
}

/// A registry at three moments.
pub(super) struct Scene {
    pub(super) size: Size,
    pub(super) root: Vec<u8>,
    /// The plugins that a host has.
    pub(super) own: Vec<PluginId>,
    /// The log of [`Self::published`].
    pub(super) events: Vec<Sealed>,
    /// Every plugin was released once, each in an event of its own.
    pub(super) published: Arc<Site>,
    /// Then a plugin of the host's, and nothing else.
    pub(super) changed: Arc<Site>,
    /// Then a day of others' releases, and again the host's.
    pub(super) day: Arc<Site>,
}

impl Scene {
    pub(super) fn of(size: Size) -> Outcome<Self> {
        let corpus = Corpus::new(1, size.plugins);
        let numbers = apart(&corpus, size.bits)?;
        let own: Vec<_> = numbers.iter().map(|n| corpus.id(*n)).collect();
        let alone = |n: usize, version: &'static str| corpus.released([n], version);
        let mut tree = Tree::begin(size.bits, began()?);
        tree.take_all((0..size.plugins).flat_map(|n| alone(n, "1.0.0")));
        tree.publish();
        let (events, published) = (tree.events().to_vec(), site(&tree, &own)?);
        tree.take_all(alone(numbers[0], "1.1.0"));
        tree.publish();
        let changed = site(&tree, &own)?;
        // Spread over all, and none of the host's: those would be more than one's own.
        let others = (0..size.plugins).step_by(size.plugins / (OTHERS + OWN)).filter(|n| !numbers.contains(n));
        let day: Vec<Fact> = others.take(OTHERS).flat_map(|n| alone(n, "1.1.0")).collect();
        tree.take_all(day);
        tree.take_all(alone(numbers[0], "1.2.0"));
        tree.publish();
        let day = site(&tree, &own)?;
        Ok(Self { size, root: tree.root().to_vec(), own, events, published, changed, day })
    }

    pub(super) fn bits(&self) -> Outcome<BitLength> {
        Ok(BitLength::new(u64::from(self.size.bits))?)
    }
}

fn began() -> Outcome<Time> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Time::from_unix(i64::try_from(since.as_secs())? - AGE))
}

/// The numbers of plugins that share no bin, all over the registry. Their bins are as long as bins are on average, to some
/// hundredths: the length of any one bin is chance.
fn apart(corpus: &Corpus, bits: u8) -> Outcome<Vec<usize>> {
    let bits = BitLength::new(u64::from(bits))?;
    let mut bins: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for n in 0..corpus.plugins() {
        bins.entry(bin_of(&corpus.id(n), bits)).or_default().push(n);
    }
    let mean = corpus.plugins() / bins.len();
    let numbers = bins.into_values().filter(|numbers| numbers.len().abs_diff(mean) <= mean / 20);
    // One of the early ones, one of the late ones, and so on.
    let numbers: Vec<_> =
        numbers.enumerate().map(|(nth, numbers)| numbers[nth * 7 % numbers.len()]).take(OWN).collect();
    if numbers.len() < OWN {
        return Err(format!("{OWN} plugins in bins of {mean} are not found").into());
    }
    Ok(numbers)
}

/// What clients of these plugins may ask for. All other documents are left out: nobody asks for them.
fn site(tree: &Tree, own: &[PluginId]) -> Outcome<Arc<Site>> {
    let asked = |path: &str| {
        path.starts_with("trust/")
            || own.iter().any(|id| {
                path.starts_with(&format!("index/{}/", id.namespace()))
                    && path.ends_with(&format!(".{}.json", id.name()))
            })
    };
    let files = tree.files().iter().filter(|(path, _)| asked(path));
    let files = files.map(|(path, bytes)| Ok((path.clone(), File::new(bytes)?)));
    Ok(Arc::new(files.collect::<Outcome<Site>>()?))
}
