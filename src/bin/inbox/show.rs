use std::{
    io::{self, Write},
    process::ExitCode,
};

use tower_inbox::{
    DeliveryId,
    archive::{Archive, ArchiveError, Archived, DiskArchive},
};

use crate::{
    Done,
    list::{brief, object},
    options::Options,
    output, time,
};

pub(crate) async fn run(options: Options) -> Done {
    let id = options.wanted_id()?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    let Some(archived) = archive.get(id).await? else {
        eprintln!("inbox: {}", missing(&archive, id).await?);
        return Ok(ExitCode::FAILURE);
    };
    if options.has("json") {
        return output::line(&object(&archived).to_string());
    }
    let mut out = io::stdout().lock();
    if options.has("body") {
        out.write_all(archived.delivery.body())?;
    } else {
        out.write_all(&page(&archived)?)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn missing(archive: &DiskArchive, id: DeliveryId) -> Result<String, ArchiveError> {
    Ok(match archive.outcome(id).await? {
        Some(outcome) => format!("the delivery {id} was removed; its outcome: {outcome}"),
        None => format!(
            "there is no delivery {id} in {archive}, or it was removed: while pending, or long ago"
        ),
    })
}

fn page(archived: &Archived) -> io::Result<Vec<u8>> {
    let Archived { delivery, outcome, .. } = archived;
    let head = delivery.head();
    let mut page = Vec::new();
    writeln!(page, "id        {}", delivery.id())?;
    writeln!(page, "model     {}", delivery.model())?;
    writeln!(page, "received  {}", time::print(delivery.received_at()))?;
    if let Some(peer) = head.peer() {
        writeln!(page, "from      {peer}")?;
    }
    writeln!(page, "proof     {}", delivery.proof())?;
    match outcome {
        Some(outcome) => writeln!(page, "outcome   {}", brief(outcome))?,
        None => writeln!(page, "outcome   pending")?,
    }
    writeln!(page, "sha256    {}", delivery.digest())?;
    writeln!(page, "bytes     {}\n", delivery.body().len())?;
    writeln!(page, "{} {} {:?}", head.method(), head.uri(), head.version())?;
    for (name, value) in head.headers() {
        write!(page, "{name}: ")?;
        page.extend(value.as_bytes().iter().filter(|byte| !byte.is_ascii_control()));
        page.push(b'\n');
    }
    Ok(page)
}
