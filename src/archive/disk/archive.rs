/// Placeholder.
#[derive(Debug)]
pub struct DiskArchive;
