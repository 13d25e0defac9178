//! Sets of versions of one plugin.

use std::fmt;

use pubgrub::{Ranges, VersionSet};

/// A set of a plugin's releases, by their place in the ascending list of its versions.
///
/// Places and not versions: requirements on semantic versions are not ranges of them (`^1` skips
/// `1.1.0-rc.1`, which lies between two that it takes), and all releases are known. The place `n` is the unit
/// interval `[n, n + 1)`, so that neighbours join and equal sets compare equal.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Versions(Ranges<u32>);

impl Versions {
    /// The set of `places`, which ascend.
    pub(super) fn of(places: impl IntoIterator<Item = u32>) -> Self {
        places.into_iter().fold(Self::empty(), |set, place| set.union(&Self::singleton(place)))
    }

    /// The places below `count` in the set, ascending.
    pub(super) fn places(&self, count: usize) -> impl DoubleEndedIterator<Item = u32> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (0..count).filter(|place| self.0.contains(place))
    }

    /// How many places below `count` are in the set, at most 1000: enough to order packages by.
    pub(super) fn rough_len(&self, count: usize) -> u32 {
        self.places(count.min(1000)).fold(0, |sum, _| sum + 1)
    }
}

impl VersionSet for Versions {
    type V = u32;

    fn empty() -> Self {
        Self(Ranges::empty())
    }

    fn full() -> Self {
        Self(Ranges::full())
    }

    fn singleton(place: u32) -> Self {
        Self(Ranges::between(place, place + 1))
    }

    fn complement(&self) -> Self {
        Self(self.0.complement())
    }

    fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0))
    }

    fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0))
    }

    fn contains(&self, place: &u32) -> bool {
        self.0.contains(place)
    }

    fn is_disjoint(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0)
    }

    fn subset_of(&self, other: &Self) -> bool {
        self.0.subset_of(&other.0)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join_and_equal_sets_are_equal() {
        let joined = Versions::singleton(1).union(&Versions::singleton(2));
        assert_eq!(joined, Versions::of([1, 2]));
        assert_eq!(joined.complement().complement(), joined);
        assert_eq!(joined.complement().places(4).collect::<Vec<_>>(), [0, 3]);
        assert!(joined.intersection(&Versions::of([3])) == Versions::empty());
    }
}
