//! The history of one delivery, from the states that the log still has. No index lists them: an index file has the last
//! state of each delivery.

use std::{collections::HashSet, io};

use super::{
    reader::{LastFile, Reader},
    scanner::{RecordScanner, Scanned},
};
use crate::{
    archive::{
        ArchiveError, MAX_HISTORY, StateChange,
        disk::{
            format::{
                entry::Place,
                index_file::IndexFile,
                name::SegmentName,
                warc::{Meaning, date_of},
            },
            fs::file_system::Failure,
            index::Position,
        },
    },
    delivery::DeliveryId,
};

/// The most bytes of segments that are searched, latest first. The segment of the delivery is always searched.
const MOST_BYTES: u64 = 512 << 20;

/// Returns the latest changes of the state of a delivery. Blocks while it reads the segments that have some.
pub(in crate::archive::disk) fn history(
    reader: &Reader,
    id: DeliveryId,
) -> Result<Vec<StateChange>, ArchiveError> {
    let mut changes = Vec::new();
    for segment in searched(reader, id)? {
        changes.extend(changes_in(reader, segment, id)?);
    }
    // A batch whose sync failed is written again.
    let mut seen = HashSet::new();
    changes.retain(|change| seen.insert((change.at, change.state.to_string())));
    changes.drain(..changes.len().saturating_sub(MAX_HISTORY));
    Ok(changes)
}

/// Returns the segments to search, in the order of the log.
fn searched(reader: &Reader, id: DeliveryId) -> Result<Vec<SegmentName>, ArchiveError> {
    let sources = reader.retried(|index| index.sources_of_states(id))?;
    let Some((position, sources)) = sources else { return Ok(Vec::new()) };
    let (mut segments, mut bytes) = (Vec::new(), 0);
    for source in sources.into_iter().rev() {
        let is_home = source.segment == position.segment;
        if is_home || (bytes < MOST_BYTES && has_states(source.file.as_ref(), position)?) {
            segments.push(source.segment);
            bytes += source.length;
        }
    }
    segments.reverse();
    Ok(segments)
}

/// Returns true if a segment has records about this delivery, according to its index file.
fn has_states(file: Option<&IndexFile>, position: Position) -> Result<bool, Failure> {
    match file.map(IndexFile::foreign) {
        None => Ok(true),
        Some(Ok(foreign)) => Ok(foreign.iter().any(|state| state.position == position)),
        // Replaced since the index was read, by one with the same records or more.
        Some(Err(failure)) if failure.is_missing() => Ok(true),
        Some(Err(failure)) => Err(failure),
    }
}

fn changes_in(
    reader: &Reader,
    name: SegmentName,
    id: DeliveryId,
) -> Result<Vec<StateChange>, ArchiveError> {
    let (file, segment_state) = match reader.open_form(name) {
        Ok(found) => found,
        // Removed since the index was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::to("open", &name.sealed_path(&reader.dir))(error).into()),
    };
    let path = name.path(&reader.dir, segment_state);
    let failed = || Failure::to("read", &path);
    let mut found = Vec::new();
    let mut records = RecordScanner::of(&*file, name, segment_state).map_err(failed())?;
    while let Some(record) = records.read_next().map_err(failed())? {
        if let Scanned::Record { offset, length, meaning: Meaning::State { of, state } } = record
            && of == id
        {
            found.push((Place { segment: name, offset, length }, state));
        }
    }
    let mut last: LastFile = Some((name, file));
    let mut changes = Vec::with_capacity(found.len());
    for (place, state) in found {
        let record = reader.record(place, &mut last).map_err(failed())?;
        changes.extend(date_of(&record, name.salt).map(|at| StateChange::new(at, state)));
    }
    Ok(changes)
}
