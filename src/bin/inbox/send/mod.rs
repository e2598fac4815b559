//! `inbox send`: signs a payload as a provider does, and posts it.

mod load;
mod provider;
mod signing;

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write},
    num::NonZeroU32,
    process::ExitCode,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use clap::Args;
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use tower_inbox::signature::{Scheme, sign_request};
use uuid::Uuid;

use self::load::{Load, Variations};
pub(crate) use self::signing::{SecretArgument, SigningArgs};
use crate::{
    CommandResult,
    cli::after_help,
    client::{self, PostError, Poster},
    console::{self, code, escape_bytes, write_body},
};

/// Sign a payload as a provider does, and post it
///
/// Posts the exact bytes of FILE, and prints status, headers and body of the response; with --repeat, the number of
/// responses by status, and the duration. Redirects are not followed. Response timeout: 30 s. The exit status is 1 if a
/// response is not 2xx.
///
/// https:// URLs require a build with the feature cli-tls. Certificates are verified against the root certificates of the
/// system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox send http://127.0.0.1:3000/hooks/invoices payload.json --as mindee --secret S
  inbox send http://127.0.0.1:3000/hooks/in-house payload.json \\
      --as hmac --header X-My-Signature --prefix sha256= --secret S
  inbox send http://127.0.0.1:3000/hooks/invoices payload.json --as mindee \\
      --repeat 1000 --concurrency 16 --vary /inference/id

"))]
pub(crate) struct SendArgs {
    /// The URL of the endpoint
    url: String,
    /// The file with the body; `-` is standard input
    file: OsString,
    /// Set this header of the request; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    set_header: Vec<(HeaderName, HeaderValue)>,
    #[command(flatten)]
    signing: SigningArgs,
    /// Post N times, each with a new signature
    ///
    /// Without --vary, all bodies are the same: an inbox processes one, and answers the others as repeats.
    #[arg(long, value_name = "N", help_heading = "Load")]
    repeat: Option<NonZeroU32>,
    /// Make each body a different one, by changing the string or number at this JSON pointer (RFC 6901)
    ///
    /// The number of the request is appended to a string, and added to a number. The body is serialized anew.
    #[arg(long, value_name = "POINTER", requires = "repeat", help_heading = "Load")]
    vary: Option<String>,
    /// The maximum number of concurrent requests (default: 1)
    #[arg(long, value_name = "N", requires = "repeat", help_heading = "Load")]
    concurrency: Option<NonZeroU32>,
    /// The maximum number of requests per second (default: unlimited)
    #[arg(long, value_name = "N", requires = "repeat", help_heading = "Load")]
    rate: Option<NonZeroU32>,
}

pub(crate) async fn run(args: SendArgs) -> CommandResult {
    let url = client::url(&args.url)?;
    let scheme = args.signing.required_scheme()?;
    let body = console::read(&args.file)?;
    let variations = args.vary.as_deref().map(|pointer| Variations::new(&body, pointer));
    let variations = variations.transpose()?;
    let poster = Poster::new(&url).map_err(|error| -> Box<dyn Error> { error })?;
    let sender = Sender { url, scheme, headers: args.set_header, body, variations, poster };
    match args.repeat {
        None => post_once(&sender).await,
        Some(repeat) => {
            let concurrency = args.concurrency.unwrap_or(NonZeroU32::MIN);
            post_load(sender, Load { repeat, concurrency, rate: args.rate }).await
        }
    }
}

/// Parses `name: value`.
pub(crate) fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("use 'NAME: VALUE'")?;
    let name = name.trim().parse().map_err(|_| "invalid header name")?;
    Ok((name, value.trim().parse().map_err(|_| "invalid header value")?))
}

/// A new message id.
pub(crate) fn message_id() -> String {
    format!("msg_{}", Uuid::now_v7().simple())
}

async fn post_once(sender: &Sender) -> CommandResult {
    let response = sender.post(0).await.map_err(|error| -> Box<dyn Error> { error })?;
    write_response(&mut io::stdout().lock(), &response)?;
    Ok(code(response.status().is_success()))
}

/// Writes a response as it is sent, with the name of the status and without the version.
fn write_response(out: &mut impl Write, response: &Response<Bytes>) -> io::Result<()> {
    writeln!(out, "{}", response.status())?;
    for (name, value) in response.headers() {
        writeln!(out, "{name}: {}", escape_bytes(value.as_bytes()))?;
    }
    let body = response.body();
    if !body.is_empty() {
        writeln!(out)?;
        write_body(out, body)?;
    }
    if !body.is_empty() && !body.ends_with(b"\n") {
        writeln!(out)?;
    }
    out.flush()
}

async fn post_load(sender: Sender, load: Load) -> Result<ExitCode, Box<dyn Error>> {
    let start = Instant::now();
    let counts = load::post_all(sender, load).await?;
    io::stdout().write_all(counts.page(start.elapsed()).as_bytes())?;
    Ok(code(counts.all_succeeded()))
}

/// Posts a payload to one URL, each time with a new signature.
struct Sender {
    url: Uri,
    scheme: Box<dyn Scheme>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    /// None if all bodies are the same.
    variations: Option<Variations>,
    poster: Poster,
}

impl Sender {
    /// Posts the request with this number, and reads the response.
    async fn post(&self, number: u32) -> Result<Response<Bytes>, PostError> {
        self.poster.post(self.request(number)?).await
    }

    fn request(&self, number: u32) -> Result<Request<Full<Bytes>>, PostError> {
        let body = match &self.variations {
            Some(variations) => variations.body(number)?,
            None => self.body.clone(),
        };
        let mut request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("inbox/", env!("CARGO_PKG_VERSION")))
            .body(body)?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let signed = sign_request(&*self.scheme, &message_id(), SystemTime::now(), request)?;
        Ok(signed.map(Full::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_parsed_at_the_first_colon() {
        let (name, value) = parse_header("X-A:  b:c").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-a", &b"b:c"[..]));
        assert!(parse_header("no").is_err() && parse_header("a b: c").is_err());
    }
}
