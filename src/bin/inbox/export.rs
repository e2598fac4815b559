use std::{
    fs::File,
    io::{self, BufWriter},
    process::ExitCode,
};

use tower_inbox::archive::DiskArchive;

use crate::{Done, options::Options, output::deliveries, removal};

pub(crate) async fn run(options: Options) -> Done {
    let query = options.selection.query();
    if options.has("dry-run") {
        return removal::would(&options.archive, "export", query).await;
    }
    let archive = DiskArchive::read_only(&options.archive).await?;
    let written = match &options.into {
        None => archive.export(query, io::stdout()).await?,
        Some(path) => {
            let file = File::create_new(path)
                .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            let written = archive.export(query, BufWriter::new(file.try_clone()?)).await?;
            file.sync_all()?;
            written
        }
    };
    eprintln!("exported {}", deliveries(written));
    Ok(ExitCode::SUCCESS)
}
