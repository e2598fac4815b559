use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use tower_inbox::{
    DeliveryId,
    archive::{Archive, Archived, DiskArchive, LedgerEntry},
};

use crate::{
    CommandResult, console,
    escape::{escape, escape_bytes, json_text, write_body},
    list::{List, object},
    lookup,
    options::Options,
    state_text::{inference, text},
    time,
};

/// Shows the delivery with this id, or else those of the inference with this key.
pub(crate) async fn run(options: Options) -> CommandResult {
    let wanted = options.operand(0, "delivery id or inference key")?.to_string_lossy();
    let archive = DiskArchive::read_only(&options.archive).await?;
    // The ids of some providers are UUIDs, too.
    if let Ok(id) = wanted.parse::<DeliveryId>()
        && let Some(code) = by_id(&archive, id, &options).await?
    {
        return Ok(code);
    }
    let found = lookup::find(&archive, &options.selection.query(), &wanted).await?;
    match found.as_slice() {
        [] => {
            console::report(&format!(
                "no delivery with the id or inference key '{wanted}' in {archive}"
            ));
            Ok(ExitCode::FAILURE)
        }
        [only] => Ok(by_id(&archive, only.id, &options).await?.unwrap_or(ExitCode::FAILURE)),
        several => show_several(&archive, several, &options).await,
    }
}

/// Returns None if the archive has no such delivery.
async fn by_id(
    archive: &DiskArchive,
    id: DeliveryId,
    options: &Options,
) -> Result<Option<ExitCode>, Box<dyn Error>> {
    if let Some(archived) = archive.get(id).await? {
        return show(&archived, options).map(Some);
    }
    Ok(archive.state(id).await?.map(|state| {
        console::report(&format!("delivery {id} was removed; its state is {}", text(&state)));
        ExitCode::FAILURE
    }))
}

fn show(archived: &Archived, options: &Options) -> CommandResult {
    if options.has("json") {
        return console::line(&json_text(&object(archived)));
    }
    let mut out = io::stdout().lock();
    if options.has("body") {
        write_body(&mut out, archived.delivery.body())?;
    } else {
        out.write_all(&page(archived)?)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the deliveries. Of several, no body is written.
async fn show_several(
    archive: &DiskArchive,
    entries: &[LedgerEntry],
    options: &Options,
) -> CommandResult {
    let wants_body = options.has("body");
    let out: Box<dyn Write> =
        if wants_body { Box::new(io::stderr()) } else { Box::new(io::stdout().lock()) };
    eprintln!("{} deliveries have this inference key; use 'inbox show ID'", entries.len());
    let mut list = List::new(out, options.has("json"))?;
    for entry in entries {
        if let Some(archived) = archive.get(entry.id).await.transpose() {
            list.write(archived)?;
        }
    }
    let code = list.finish()?;
    Ok(if wants_body { ExitCode::FAILURE } else { code })
}

fn page(archived: &Archived) -> io::Result<Vec<u8>> {
    let Archived { delivery, state, .. } = archived;
    let head = delivery.head();
    let mut page = Vec::new();
    writeln!(page, "id         {}", delivery.id())?;
    writeln!(page, "model      {}", escape(delivery.model().as_str()))?;
    writeln!(page, "received   {}", time::print(delivery.received_at()))?;
    if let Some(peer) = head.peer() {
        writeln!(page, "peer       {peer}")?;
    }
    writeln!(page, "proof      {}", escape(&delivery.proof().to_string()))?;
    writeln!(page, "state      {}", escape(&text(state)))?;
    if let Some(inference) = inference(state) {
        writeln!(page, "inference  {inference}")?;
    }
    writeln!(page, "sha256     {}", delivery.digest())?;
    writeln!(page, "bytes      {}\n", delivery.body().len())?;
    let uri = escape(&head.uri().to_string());
    writeln!(page, "{} {uri} {:?}", head.method(), head.version())?;
    for (name, value) in head.headers() {
        writeln!(page, "{name}: {}", escape_bytes(value.as_bytes()))?;
    }
    Ok(page)
}
