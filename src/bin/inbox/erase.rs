use std::process::ExitCode;

use tower_inbox::archive::{Archive, DiskArchive, Query};

use crate::{Done, options::Options, removal};

pub(crate) async fn run(options: Options) -> Done {
    let id = options.wanted_id()?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    // One that is damaged is there, and can be removed.
    if matches!(archive.get(id).await, Ok(None)) {
        eprintln!("inbox: there is no delivery {id} in {archive}, or it was removed before");
        return Ok(ExitCode::FAILURE);
    }
    let query = Query::all().id(id);
    if options.has("dry-run") {
        return removal::would(&options.archive, "remove", query).await;
    }
    removal::remove(&options.archive, query).await
}
