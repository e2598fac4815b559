//! `inbox send`: signs a payload as a provider does, and posts it.

mod load;
mod sender;

use std::{
    env,
    error::Error,
    io::{self, Write},
    num::NonZeroU32,
    process::ExitCode,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use tower_inbox::signature::Scheme;
use uuid::Uuid;

use self::load::Load;
use crate::{
    CommandResult, console,
    escape::write_body,
    options::{Options, SecretArgument},
    post::{self, PostError, Poster},
};

pub(crate) async fn run(options: Options) -> CommandResult {
    let url = options.operand(0, "URL")?.to_string_lossy();
    let url = post::url(&url)?;
    let file = options.operand(1, "FILE")?;
    let provider = options.value("as").ok_or("missing --as NAME, such as --as mindee")?;
    let scheme = scheme(provider, &options)?;
    let load = load(&options)?;
    let body = console::read(file)?;
    let client = Client { url, scheme, body, poster: Poster::new() };
    match load {
        None => post_once(&client).await,
        Some(load) => post_load(client, load).await,
    }
}

/// The signature scheme of this provider, with the given secret.
pub(crate) fn scheme(provider: &str, options: &Options) -> Result<Box<dyn Scheme>, Box<dyn Error>> {
    sender::named(provider, options.value("token-name"), &secret(options)?)
}

fn secret(options: &Options) -> Result<SecretArgument, &'static str> {
    let from_environment =
        || env::var_os("INBOX_SECRET").map(|secret| SecretArgument::new(&secret));
    let secret = options.secret.clone().or_else(from_environment);
    secret.ok_or("missing secret; use --secret or INBOX_SECRET")
}

/// None without `--repeat`.
fn load(options: &Options) -> Result<Option<Load>, String> {
    let repeat = count(options, "repeat")?;
    let (concurrency, rate) = (count(options, "concurrency")?, count(options, "rate")?);
    match repeat {
        Some(repeat) => {
            let concurrency = concurrency.unwrap_or(NonZeroU32::MIN);
            Ok(Some(Load { repeat, concurrency, rate }))
        }
        None if concurrency.is_some() || rate.is_some() => {
            Err("--concurrency and --rate require --repeat".to_owned())
        }
        None => Ok(None),
    }
}

/// The value of an option that is a number of at least 1.
pub(crate) fn count(options: &Options, name: &str) -> Result<Option<NonZeroU32>, String> {
    options.value(name).map(|text| number(name, text)).transpose()
}

fn number(name: &str, text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("invalid --{name} '{text}'; use a number of at least 1"))
}

async fn post_once(client: &Client) -> CommandResult {
    let (status, body) = client.post().await.map_err(|error| -> Box<dyn Error> { error })?;
    write_response(&mut io::stdout().lock(), status, &body)?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_response(out: &mut impl Write, status: StatusCode, body: &Bytes) -> io::Result<()> {
    writeln!(out, "{status}")?;
    write_body(out, body)?;
    if !body.is_empty() && !body.ends_with(b"\n") {
        writeln!(out)?;
    }
    out.flush()
}

async fn post_load(client: Client, load: Load) -> CommandResult {
    let start = Instant::now();
    let counts = load::post_all(client, load).await?;
    io::stdout().write_all(counts.page(start.elapsed()).as_bytes())?;
    Ok(if counts.all_succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Posts the same bytes to the same URL, each time with a new signature.
struct Client {
    url: Uri,
    scheme: Box<dyn Scheme>,
    body: Bytes,
    poster: Poster,
}

impl Client {
    /// Posts once, and reads the response.
    async fn post(&self) -> Result<(StatusCode, Bytes), PostError> {
        self.poster.post(self.request()?).await
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, PostError> {
        let request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("inbox/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(self.body.clone()))?;
        let (mut head, body) = request.into_parts();
        let id = format!("msg_{}", Uuid::now_v7().simple());
        self.scheme.signature(&id, &self.body, SystemTime::now())?.add_to(&mut head)?;
        Ok(Request::from_parts(head, body))
    }
}
