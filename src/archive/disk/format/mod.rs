//! File formats: WARC records, index files, segment names, compressed segments, and the manifest.

pub(super) mod compressed;
pub(super) mod entry;
pub(super) mod index_file;
pub(super) mod manifest;
pub(super) mod name;
pub(super) mod warc;
