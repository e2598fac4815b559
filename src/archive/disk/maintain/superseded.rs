//! Drops states that a later record of the same segment replaces. A sender that repeats a dead delivery causes it to be
//! processed again and again, and each time writes two or three records that no other step would remove.

use std::collections::{HashMap, HashSet};

use super::compactor::{CompactionState, Compactor};
use crate::archive::{
    ArchiveError,
    disk::{
        format::{
            entry::Place,
            index_file::IndexFile,
            name::{SegmentName, SegmentState},
            warc::Meaning,
        },
        fs::file_system::Failure,
        index::Index,
        recovery::records,
    },
};

/// A segment is rewritten if at least this many bytes, and at least half of it, are superseded records.
const WORTH_REWRITING: u64 = 64 * 1024;

/// Records of states that are not the last state of their delivery in the segment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Superseded {
    /// The offset of each record.
    offsets: HashSet<u64>,
    /// The total length.
    bytes: u64,
}

impl Compactor {
    /// Rewrites each segment that was sealed since the last round without its superseded states, if enough of it is
    /// superseded.
    ///
    /// A segment gets its index file afterwards, so a segment with an index file was already checked.
    pub(in crate::archive::disk) fn drop_superseded(
        &self,
        state: &mut CompactionState,
    ) -> Result<(), ArchiveError> {
        for (name, segment_state) in self.sealed()? {
            let is_indexed = |index: &Index| index.file_of(name).is_some_and(IndexFile::is_sealed);
            let is_done = self.is_damaged(name, state) || self.read(is_indexed);
            if !is_done {
                self.drop_superseded_in(name, segment_state, state)?;
            }
        }
        Ok(())
    }

    fn drop_superseded_in(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        let path = name.path(&self.dir, segment_state);
        let file = self.fs.open_read(&path).map_err(Failure::to("open", &path))?;
        let length = file.len().map_err(Failure::to("read", &path))?;
        let records = records(&*file, name, segment_state).map_err(Failure::to("read", &path))?;
        // A damaged segment is left as it is.
        let Some(superseded) = records.map(|records| superseded(&records)) else {
            return Ok(());
        };
        if is_worth_rewriting(superseded.bytes, length) {
            tracing::debug!(path = %path.display(), bytes = superseded.bytes, "dropping superseded states");
            self.rewrite_without(name, segment_state, &superseded.offsets, state)?;
        }
        Ok(())
    }
}

fn superseded(records: &[(Place, Meaning)]) -> Superseded {
    let mut last = HashMap::new();
    let mut superseded = Superseded::default();
    for (place, meaning) in records {
        let Meaning::State { of, .. } = meaning else { continue };
        if let Some(before) = last.insert(*of, *place) {
            superseded.offsets.insert(before.offset);
            superseded.bytes += before.length;
        }
    }
    superseded
}

fn is_worth_rewriting(superseded: u64, length: u64) -> bool {
    superseded >= WORTH_REWRITING && superseded >= length / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        archive::disk::tests::a_place,
        delivery::{DeliveryId, Outcome, State as DeliveryState},
    };

    #[test]
    fn all_states_of_a_delivery_but_the_last_are_superseded() {
        let [a, b] = [(); 2].map(|()| DeliveryId::new());
        let segment = a_place().segment;
        let state = |of, offset, state: DeliveryState| {
            (Place { segment, offset, length: 10 }, Meaning::State { of, state })
        };
        let removal = (Place { segment, offset: 25, length: 5 }, Meaning::Removal(vec![a]));
        let records = [
            state(a, 0, DeliveryState::NEW.leased()),
            state(b, 10, Outcome::processed(200).into()),
            removal,
            state(a, 30, Outcome::dead("404").into()),
            state(a, 40, DeliveryState::NEW),
        ];
        let expected = Superseded { offsets: HashSet::from([0, 30]), bytes: 20 };
        assert_eq!(superseded(&records), expected);
    }

    #[test]
    fn segment_is_rewritten_if_half_of_it_is_superseded() {
        let (most, half) = (WORTH_REWRITING, 2 * WORTH_REWRITING);
        assert!(is_worth_rewriting(most, half) && !is_worth_rewriting(most, half + 2));
        assert!(!is_worth_rewriting(most - 1, most), "too few bytes");
    }
}
