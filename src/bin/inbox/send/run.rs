use std::{
    env,
    error::Error,
    io::{self, Write},
    num::NonZeroU32,
    process::ExitCode,
    time::Instant,
};

use bytes::Bytes;
use http::StatusCode;
use tower_inbox::signature::Scheme;

use super::{
    client::Client,
    load::{self, Load},
    sender,
};
use crate::{Done, given::Given, input, options::Options, poster};

/// What is said instead of posting once, when somebody thinks of a load.
const ONCE: &str = "it is posted once, and --concurrency and --rate are for many posts: say how many with --repeat";

pub(crate) async fn run(options: Options) -> Done {
    let url = options.operand(0, "the URL")?.to_string_lossy();
    let url = poster::url(&url)?;
    let file = options.operand(1, "the file")?;
    let provider = options.value("as").ok_or("who sends? Say --as mindee")?;
    let scheme = scheme(provider, &options)?;
    let load = load(&options)?;
    let client = Client::new(url, scheme, input::read(file)?);
    match load {
        None => one(&client).await,
        Some(load) => many(client, load).await,
    }
}

/// How this provider proves that it sends, with the secret that is given.
pub(crate) fn scheme(provider: &str, options: &Options) -> Result<Box<dyn Scheme>, Box<dyn Error>> {
    sender::named(provider, options.value("token-name"), &secret(options)?)
}

fn secret(options: &Options) -> Result<Given, &'static str> {
    let from_environment = || env::var_os("INBOX_SECRET").map(|secret| Given::new(&secret));
    let secret = options.secret.clone().or_else(from_environment);
    secret.ok_or("there is no secret: give --secret or INBOX_SECRET")
}

/// `None` where it is posted once.
fn load(options: &Options) -> Result<Option<Load>, String> {
    let repeat = count(options, "repeat")?;
    let (concurrency, rate) = (count(options, "concurrency")?, count(options, "rate")?);
    match repeat {
        Some(repeat) => {
            let concurrency = concurrency.unwrap_or(NonZeroU32::MIN);
            Ok(Some(Load { repeat, concurrency, rate }))
        }
        None if concurrency.is_some() || rate.is_some() => Err(ONCE.to_owned()),
        None => Ok(None),
    }
}

/// The value of an option that is a number from one on.
pub(crate) fn count(options: &Options, name: &str) -> Result<Option<NonZeroU32>, String> {
    options.value(name).map(|text| number(name, text)).transpose()
}

fn number(name: &str, text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("--{name} {text:?} is no number from 1 on"))
}

async fn one(client: &Client) -> Done {
    let (status, body) = client.post().await.map_err(|error| -> Box<dyn Error> { error })?;
    write_answer(&mut io::stdout().lock(), status, &body)?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_answer(out: &mut impl Write, status: StatusCode, body: &Bytes) -> io::Result<()> {
    writeln!(out, "{status}")?;
    out.write_all(body)?;
    if !body.is_empty() && !body.ends_with(b"\n") {
        writeln!(out)?;
    }
    out.flush()
}

async fn many(client: Client, load: Load) -> Done {
    let start = Instant::now();
    let tally = load::post_all(client, load).await?;
    io::stdout().write_all(tally.page(start.elapsed()).as_bytes())?;
    Ok(if tally.all_accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
