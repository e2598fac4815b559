use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use crate::archive::disk::{
    format::name::{SegmentName, SegmentState},
    fs::file_system::{Failure, FileSystem},
};

/// The file extension of unfinished files.
pub(in crate::archive::disk) const UNFINISHED: &str = ".tmp";

/// The contents of the directory of an archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::archive::disk) struct Listing {
    /// The segments in log order, each in its effective form.
    pub(in crate::archive::disk) segments: BTreeMap<SegmentName, SegmentState>,
    /// The segments that have an index file.
    pub(in crate::archive::disk) indexed: Vec<SegmentName>,
    /// The segments that have an index file, but exist in no form. Maintenance removes the index file of a segment
    /// first.
    pub(in crate::archive::disk) orphaned: Vec<SegmentName>,
    /// Files that a crash left behind: unfinished files, superseded forms, and index files of segments that are being
    /// written.
    pub(in crate::archive::disk) leftovers: Vec<OsString>,
}

impl Listing {
    pub(in crate::archive::disk) fn of_dir(
        fs: &dyn FileSystem,
        dir: &Path,
    ) -> Result<Self, Failure> {
        Ok(Self::of(fs.list(dir).map_err(Failure::to("list", dir))?))
    }

    fn of(names: Vec<OsString>) -> Self {
        let mut listing = Self::default();
        let mut files = Vec::new();
        for name in names {
            if let Some((segment, segment_state)) = SegmentName::parse(&name) {
                let known = listing.segments.entry(segment).or_insert(segment_state);
                *known = segment_state.max(*known);
                files.push((name, segment, segment_state));
            } else if let Some(segment) = SegmentName::parse_index(&name) {
                listing.indexed.push(segment);
            } else if is_unfinished(&name) {
                listing.leftovers.push(name);
            }
        }
        let Self { segments, indexed, orphaned, leftovers } = &mut listing;
        orphaned.extend(indexed.extract_if(.., |segment| !segments.contains_key(segment)));
        let superseded = |(_, segment, segment_state): &(_, SegmentName, SegmentState)| {
            segments.get(segment) != Some(segment_state)
        };
        leftovers.extend(files.into_iter().filter(superseded).map(|(name, ..)| name));
        listing
    }

    /// The paths of the leftovers.
    pub(in crate::archive::disk) fn leftover_paths(
        &self,
        dir: &Path,
    ) -> impl Iterator<Item = PathBuf> {
        self.leftovers.iter().map(move |name| dir.join(name))
    }
}

/// Returns whether the file is an unfinished segment or index file. Other processes use other file names.
fn is_unfinished(name: &OsStr) -> bool {
    let whole = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED)).map(OsStr::new);
    whole.is_some_and(|whole| {
        SegmentName::parse(whole).is_some() || SegmentName::parse_index(whole).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::format::warc::Salt;

    #[test]
    fn of_two_forms_of_a_segment_the_later_counts_and_the_other_is_left_over() {
        let [a, b, c] = [1, 2, 3].map(|sequence| SegmentName { sequence, salt: Salt::random() });
        let file = |name: SegmentName, segment_state| {
            name.path(Path::new(""), segment_state).into_os_string()
        };
        let index = |name: SegmentName| name.index_path(Path::new("")).into_os_string();
        let unfinished = OsString::from(format!("{a}.warc.gz.tmp"));
        let listing = Listing::of(vec![
            file(b, SegmentState::Compressed),
            file(b, SegmentState::Sealed),
            file(a, SegmentState::Active),
            index(a),
            index(b),
            index(c),
            unfinished.clone(),
            "notes.txt".into(),
            "notes.tmp".into(),
        ]);
        assert_eq!(
            listing.segments,
            [(a, SegmentState::Active), (b, SegmentState::Compressed)].into()
        );
        assert_eq!(listing.indexed, [a, b]);
        assert_eq!(listing.leftovers, [unfinished, file(b, SegmentState::Sealed)]);
        assert_eq!(listing.orphaned, [c]);
    }
}
