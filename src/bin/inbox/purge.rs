use crate::{Done, options::Options, removal};

pub(crate) async fn run(options: Options) -> Done {
    if !options.selection.limited {
        return Err("from when on? Say inbox purge --keep 30d, or --before 2026-01-31".into());
    }
    let query = options.selection.query();
    let query = if options.has("unsettled-too") { query } else { query.settled() };
    if options.has("dry-run") {
        return removal::would(&options.archive, "remove", query).await;
    }
    removal::remove(&options.archive, query).await
}
