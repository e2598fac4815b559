//! The manifest of an archive: the list of segments that should exist. It distinguishes segments that are missing or
//! that belong to another archive from those that maintenance has removed.
//!
//! Segments are numbered consecutively from 1. Every number up to the highest therefore belongs to an existing segment
//! or to a removed one; the manifest records removals before they happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt::Write,
    path::{Path, PathBuf},
};

use crc32fast::hash;

use super::name::{SegmentName, SegmentState};
use crate::archive::disk::read::listing::Listing;

/// Returns the path of the manifest.
pub(in crate::archive::disk) fn manifest_path(dir: &Path) -> PathBuf {
    dir.join("inbox.manifest")
}

const FIRST_LINE: &str = "inbox-manifest 1";

/// A fault in the segments of an archive that is visible in their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum SegmentFault {
    /// The segment is in the manifest, or its index file exists.
    Missing(SegmentName),
    /// No segment has a number in this inclusive range, and none was removed.
    Gap(u64, u64),
    /// The number belongs to another segment, or to a removed one.
    Foreign(SegmentName, SegmentState),
}

impl SegmentFault {
    pub(in crate::archive::disk) fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "the segment is missing",
            Self::Gap(..) => "no segment has this number, and none was removed: it is missing",
            Self::Foreign(..) => {
                "the segment is a copy, or of another archive: its number belongs to another segment"
            }
        }
    }

    /// Returns the affected file. If only the number is known, returns a pattern for its name.
    pub(in crate::archive::disk) fn path(&self, dir: &Path) -> PathBuf {
        match self {
            Self::Missing(name) => name.sealed_path(dir),
            Self::Foreign(name, segment_state) => name.path(dir, *segment_state),
            Self::Gap(first, last) if first == last => dir.join(format!("{first:08}-*.warc")),
            Self::Gap(first, last) => dir.join(format!("{{{first:08}..{last:08}}}-*.warc")),
        }
    }

    /// Returns the number of missing segments.
    pub(in crate::archive::disk) fn missing_segments(&self) -> u64 {
        match self {
            Self::Missing(_) => 1,
            Self::Gap(first, last) => (last - first).saturating_add(1),
            Self::Foreign(..) => 0,
        }
    }

    /// Returns the missing segment.
    pub(in crate::archive::disk) fn missing(&self) -> Option<SegmentName> {
        match self {
            Self::Missing(name) => Some(*name),
            Self::Gap(first, _) => Some(SegmentName::of_number(*first)),
            Self::Foreign(..) => None,
        }
    }
}

/// The list of segments that should exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::archive::disk) struct Manifest {
    segments: BTreeSet<SegmentName>,
    /// Numbers of removed segments: the first and last of each range. Ranges are not adjacent.
    removed: BTreeMap<u64, u64>,
    /// Segments that are about to be removed. They may or may not exist.
    removing: BTreeSet<SegmentName>,
}

impl Manifest {
    /// Returns a manifest for an archive without one: it lists the existing segments.
    pub(in crate::archive::disk) fn adopting(listing: &Listing) -> Self {
        let mut manifest = Self::default();
        for fault in manifest.faults(listing) {
            match fault {
                SegmentFault::Gap(first, last) => manifest.add_removed(first, last),
                SegmentFault::Missing(name) => {
                    manifest.add_removed(name.sequence, name.sequence);
                }
                SegmentFault::Foreign(name, _) => drop(manifest.segments.insert(name)),
            }
        }
        manifest.with(listing)
    }

    /// Returns the faults in the listed segments.
    pub(in crate::archive::disk) fn faults(&self, listing: &Listing) -> Vec<SegmentFault> {
        let orphans = listing.orphaned.iter().copied().filter(|name| !self.may_be_gone(*name));
        let expected: BTreeSet<_> = self.segments.iter().copied().chain(orphans).collect();
        let is_missing = |name: &&SegmentName| {
            !listing.segments.contains_key(name) && !self.removing.contains(name)
        };
        let missing = expected.iter().filter(is_missing).copied().map(SegmentFault::Missing);
        let foreign = listing.segments.iter().filter(|(name, _)| self.is_foreign(**name, listing));
        let foreign =
            foreign.map(|(name, segment_state)| SegmentFault::Foreign(*name, *segment_state));
        missing.chain(self.gaps(&expected, listing)).chain(foreign).collect()
    }

    fn gaps(&self, expected: &BTreeSet<SegmentName>, listing: &Listing) -> Vec<SegmentFault> {
        let names = expected.iter().chain(&self.removing).chain(listing.segments.keys());
        let single = names.map(|name| (name.sequence, name.sequence));
        let ranges = self.removed.iter().map(|(first, last)| (*first, *last));
        let known: BTreeSet<_> = single.chain(ranges).collect();
        let (mut gaps, mut next) = (Vec::new(), 1);
        for (first, last) in known {
            if first > next {
                gaps.push(SegmentFault::Gap(next, first - 1));
            }
            next = next.max(last.saturating_add(1));
        }
        gaps
    }

    fn is_foreign(&self, name: SegmentName, listing: &Listing) -> bool {
        if self.segments.contains(&name) || self.removing.contains(&name) {
            return false;
        }
        let same_number = SegmentName::all_of_number(name.sequence);
        self.was_removed(name.sequence)
            || self.segments.range(same_number.clone()).next().is_some()
            || listing.segments.range(same_number).nth(1).is_some()
    }

    /// Adds the listed segments. The last one is excluded while it is being written, because it is removed if no data
    /// becomes durable in it. Segments that are not of this archive are excluded, and missing segments stay.
    pub(in crate::archive::disk) fn with(&self, listing: &Listing) -> Self {
        let mut manifest = self.clone();
        let last = listing.segments.last_key_value();
        let open = last
            .filter(|(_, segment_state)| **segment_state == SegmentState::Active)
            .map(|(name, _)| *name);
        let listed = listing.segments.keys().copied();
        let ours =
            listed.filter(|name| !self.is_foreign(*name, listing) && !self.removing.contains(name));
        manifest.segments.extend(ours.filter(|name| Some(*name) != open));
        for name in &self.removing {
            if !listing.segments.contains_key(name) {
                manifest.finish_removal(*name);
            }
        }
        manifest
    }

    /// Returns a copy with a segment marked as about to be removed.
    pub(in crate::archive::disk) fn with_removal_of(&self, name: SegmentName) -> Self {
        let mut manifest = self.clone();
        manifest.segments.remove(&name);
        manifest.removing.insert(name);
        manifest
    }

    /// Records that a segment was durably removed. The change is written with the next update.
    pub(in crate::archive::disk) fn finish_removal(&mut self, name: SegmentName) {
        self.removing.remove(&name);
        self.add_removed(name.sequence, name.sequence);
    }

    /// Returns the manifest of a copy with these segments, from which `leaving` are about to be removed. Segments
    /// removed from the archive are not missing in the copy; segments missing in the archive are missing in the copy.
    pub(in crate::archive::disk) fn of_copy(
        &self,
        copied: &BTreeSet<SegmentName>,
        leaving: &BTreeSet<SegmentName>,
    ) -> Self {
        let Some(last) = copied.last() else { return Self::default() };
        let listed = self.segments.iter().filter(|name| *name <= last);
        let segments = listed.chain(copied).copied().collect();
        let mut copy = Self { segments, removing: leaving.clone(), ..Self::default() };
        let there: BTreeSet<_> = copied.iter().chain(leaving).map(|name| name.sequence).collect();
        let single = self.removing.iter().map(|name| (name.sequence, name.sequence));
        let ranges = self.removed.iter().map(|(first, last)| (*first, *last));
        for (first, end) in ranges.chain(single) {
            let (mut next, end) = (first, end.min(last.sequence));
            for number in there.range(first..=end.max(first)) {
                if *number > next {
                    copy.add_removed(next, number - 1);
                }
                next = number.saturating_add(1);
            }
            if next <= end {
                copy.add_removed(next, end);
            }
        }
        copy
    }

    /// Returns the highest segment number so far; 0 if there was none.
    pub(in crate::archive::disk) fn highest(&self) -> u64 {
        let last = |names: &BTreeSet<SegmentName>| names.last().map(|name| name.sequence);
        let removed = self.removed.last_key_value().map(|(_, last)| *last);
        last(&self.segments).max(last(&self.removing)).max(removed).unwrap_or(0)
    }

    fn may_be_gone(&self, name: SegmentName) -> bool {
        self.removing.contains(&name) || self.was_removed(name.sequence)
    }

    fn was_removed(&self, number: u64) -> bool {
        self.removed.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    /// Adds a range of numbers, and merges it with adjacent ranges.
    fn add_removed(&mut self, mut first: u64, mut last: u64) {
        while let Some((from, to)) = self.touching(first, last) {
            self.removed.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.removed.insert(first, last);
    }

    fn touching(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let before = self.removed.range(..=last.saturating_add(1)).next_back();
        before.map(|(from, to)| (*from, *to)).filter(|(_, to)| to.saturating_add(1) >= first)
    }

    /// Serializes the manifest: one line per segment and range; the last line is a checksum of the others.
    pub(in crate::archive::disk) fn print(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        // Writing to a string cannot fail.
        for (first, last) in &self.removed {
            let _ = writeln!(text, "removed {first} {last}");
        }
        for name in &self.removing {
            let _ = writeln!(text, "removing {name}");
        }
        for name in &self.segments {
            let _ = writeln!(text, "segment {name}");
        }
        let checksum = hash(text.as_bytes());
        let _ = writeln!(text, "checksum crc32:{checksum:08x}");
        text
    }

    /// Parses the file contents; `None` if the file is damaged.
    pub(in crate::archive::disk) fn parse(text: &str) -> Option<Self> {
        let (covered, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let checksum = hash(format!("{covered}\n").as_bytes());
        if last != format!("checksum crc32:{checksum:08x}") {
            return None;
        }
        let mut lines = covered.lines();
        let mut manifest = (lines.next()? == FIRST_LINE).then(Self::default)?;
        lines.try_for_each(|line| manifest.take(line)).map(|()| manifest)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let name = |text: &str| SegmentName::parse_index(OsStr::new(&format!("{text}.idx")));
        match line.split_once(' ')? {
            ("segment", text) => drop(self.segments.insert(name(text)?)),
            ("removing", text) => drop(self.removing.insert(name(text)?)),
            ("removed", text) => {
                let (first, last) = text.split_once(' ')?;
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then(|| self.add_removed(first, last))?;
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::format::warc::Salt;

    fn name(sequence: u64) -> SegmentName {
        SegmentName { sequence, salt: Salt::random() }
    }

    #[test]
    fn manifest_of_a_copy_distinguishes_removed_and_missing_segments() {
        let names: Vec<_> = (1..=6).map(name).collect();
        let mut manifest = Manifest::default().with(&sealed(names.clone()));
        for removed in &names[..2] {
            manifest = manifest.with_removal_of(*removed);
            manifest.finish_removal(*removed);
        }
        manifest = manifest.with_removal_of(names[2]);
        // The second segment was copied before its removal, the fifth is missing, and the sixth was added later.
        let (copied, leaving) = ([names[1], names[3]].into(), [names[0]].into());
        let copy = manifest.of_copy(&copied, &leaving);
        let there = |names: &[SegmentName]| sealed(names.iter().copied());
        assert_eq!(copy.faults(&there(&[names[1], names[3]])), []);
        assert_eq!(copy.faults(&there(&[names[0], names[1], names[3]])), []);
        assert_eq!(copy.faults(&there(&[names[1]])), [SegmentFault::Missing(names[3])]);
        let copied = [names[1], names[3], names[5]].into();
        let copy = manifest.of_copy(&copied, &BTreeSet::new());
        let faults = copy.faults(&there(&[names[1], names[3], names[5]]));
        assert_eq!(faults, [SegmentFault::Missing(names[4])]);
    }

    fn sealed(names: impl IntoIterator<Item = SegmentName>) -> Listing {
        let segments = names.into_iter().map(|name| (name, SegmentState::Sealed)).collect();
        Listing { segments, ..Listing::default() }
    }

    #[test]
    fn missing_segment_is_found_by_name_and_by_number_wherever_it_was() {
        let names: Vec<_> = (1..=5).map(name).collect();
        let listing = sealed(names.clone());
        let manifest = Manifest::default().with(&listing);
        assert_eq!(manifest.faults(&listing), []);
        for lost in &names {
            let listing = sealed(names.iter().copied().filter(|name| name != lost));
            assert_eq!(manifest.faults(&listing), [SegmentFault::Missing(*lost)]);
            let noted = manifest.with(&listing);
            assert_eq!(
                noted.faults(&listing),
                [SegmentFault::Missing(*lost)],
                "it is not tidied away"
            );
            let number = lost.sequence;
            let gap = (number < 5).then_some(SegmentFault::Gap(number, number));
            assert_eq!(Manifest::default().faults(&listing), gap.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn index_file_without_its_segment_is_reported_as_missing() {
        let [first, last] = [1, 4].map(name);
        let listing = Listing { orphaned: vec![last], ..sealed([first]) };
        let faults = [SegmentFault::Missing(last), SegmentFault::Gap(2, 3)];
        assert_eq!(Manifest::default().faults(&listing), faults);
        assert_eq!(Manifest::adopting(&listing).faults(&listing), []);
    }

    #[test]
    fn removed_segment_is_not_missing_whenever_the_process_dies() {
        let names: Vec<_> = (1..=3).map(name).collect();
        let all = sealed(names.clone());
        let rest = sealed([names[0], names[2]]);
        let mut manifest = Manifest::default().with(&all).with_removal_of(names[1]);
        assert_eq!((manifest.faults(&all), manifest.faults(&rest)), (vec![], vec![]));
        assert_eq!(manifest.with(&all).faults(&rest), [], "it is still to be removed");
        assert_eq!(manifest.with(&rest).faults(&rest), []);
        manifest.finish_removal(names[1]);
        assert_eq!(manifest.faults(&rest), []);
        let back = [SegmentFault::Foreign(names[1], SegmentState::Sealed)];
        assert_eq!(manifest.faults(&all), back, "it was removed, and came back");
    }

    #[test]
    fn segment_with_the_number_of_another_is_foreign() {
        let [first, copy, last] = [1, 1, 2].map(name);
        let listing = sealed([first, copy, last]);
        let foreign = |name| SegmentFault::Foreign(name, SegmentState::Sealed);
        let both = BTreeSet::from([first, copy]).into_iter().map(foreign);
        let found = Manifest::default().faults(&listing);
        assert_eq!(found, both.collect::<Vec<_>>(), "nothing tells which of them");
        let manifest = Manifest::default().with(&sealed([first, last]));
        assert_eq!(manifest.faults(&listing), [foreign(copy)]);
        assert_eq!(manifest.with(&listing).faults(&listing), [foreign(copy)]);
        let replaced = [SegmentFault::Missing(first), foreign(copy)];
        assert_eq!(manifest.faults(&sealed([copy, last])), replaced);
    }

    #[test]
    fn segment_that_is_being_written_may_go_until_it_is_sealed() {
        let [first, open] = [1, 2].map(name);
        let mut listing = sealed([first]);
        listing.segments.insert(open, SegmentState::Active);
        let manifest = Manifest::default().with(&listing);
        assert_eq!(manifest.faults(&sealed([first])), []);
        assert_eq!(manifest.highest(), 1);
        listing.segments.insert(name(3), SegmentState::Active);
        let manifest = manifest.with(&listing);
        assert_eq!(manifest.faults(&sealed([first])), [SegmentFault::Missing(open)]);
    }

    #[test]
    fn number_of_any_size_costs_no_more_than_its_range() {
        let listing = sealed([name(3), name(u64::MAX)]);
        let gaps = [SegmentFault::Gap(1, 2), SegmentFault::Gap(4, u64::MAX - 1)];
        assert_eq!(Manifest::default().faults(&listing), gaps);
        assert_eq!(Manifest::adopting(&listing).faults(&listing), []);
    }

    #[test]
    fn removed_numbers_are_joined() {
        let mut manifest = Manifest::default();
        for number in [5, 1, 3, 2, 9, 4, u64::MAX, 1] {
            manifest.add_removed(number, number);
        }
        assert_eq!(manifest.removed, BTreeMap::from([(1, 5), (9, 9), (u64::MAX, u64::MAX)]));
        let removed = [0, 1, 5, 6, 9, 10, u64::MAX].map(|number| manifest.was_removed(number));
        assert_eq!(removed, [false, true, true, false, true, false, true]);
    }

    #[test]
    fn manifest_reads_back_and_a_damaged_one_does_not() {
        let mut manifest = Manifest::default().with(&sealed((3..6).map(name)));
        manifest.add_removed(1, 2);
        let manifest = manifest.with_removal_of(name(6));
        let text = manifest.print();
        assert_eq!(Manifest::parse(&text), Some(manifest));
        assert_eq!(Manifest::parse(&Manifest::default().print()), Some(Manifest::default()));
        for end in 0..text.len() {
            assert_eq!(Manifest::parse(&text[..end]), None, "it ends at {end}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(Manifest::parse(&String::from_utf8(bytes).unwrap()), None, "byte {at}");
        }
    }
}
