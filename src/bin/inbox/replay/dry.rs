use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use http::Uri;
use tower_inbox::archive::{Archive, DiskArchive, Query};

use super::target;
use crate::{Done, output::deliveries, poster::Failed};

/// Says what would be posted: ids, bytes, methods and URLs. What is put into them is not shown, since it may be secret.
pub(super) async fn would(archive: &DiskArchive, query: Query, to: &Uri) -> Done {
    let mut out = BufWriter::new(io::stdout());
    let (mut count, mut code, mut found) = (0, ExitCode::SUCCESS, archive.scan(query));
    while let Some(archived) = found.next().await {
        let delivery = match archived {
            Ok(archived) => archived.delivery,
            Err(error) => {
                eprintln!("inbox: {error}");
                code = ExitCode::FAILURE;
                continue;
            }
        };
        let request = target::request(to, &delivery).map_err(|error: Failed| error.to_string())?;
        let (id, bytes) = (delivery.id(), delivery.body().len());
        writeln!(out, "{id}  {bytes:>10}  {} {}", request.method(), request.uri())?;
        count += 1;
    }
    out.flush()?;
    eprintln!("would post {}", deliveries(count));
    Ok(code)
}
