//! `inbox doctor`: explains why the signature of a delivery is rejected.

use std::{error::Error, ffi::OsString, io::Write, path::Path, time::SystemTime};

use bytes::Bytes;
use clap::Args;
use http::{HeaderName, HeaderValue, Request, Uri, request::Parts};
use serde_json::{Value, json};
use tower_inbox::{
    Delivery,
    archive::Archive,
    signature::{
        Proof, Scheme, SignatureError,
        doctor::{Finding, HeadFinding, examine, examine_head},
    },
};

use crate::{
    CommandResult, Failure,
    cli::after_help,
    console::{self, RED, code, escape},
    format,
    location::{Location, open},
    select::{parse_time, resolve_ids},
    send::{SigningArgs, parse_header},
};

/// Explain why the signature of a delivery is rejected
///
/// Verifies the signature with a secret. If it is rejected, tries what commonly goes wrong: another secret encoding,
/// header, prefix or encoding, a changed body, a wrong clock. The exit status is 1 if the signature is rejected.
///
/// The delivery is one of the archive, of the quarantine (--archive DIR), or FILE with its body and --set-header with
/// its headers. Tokens and passwords are never archived, so that only signatures can be checked by ID.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
JSON members:
  accepted      boolean
  proof         object: scheme, secret (its name), form, message_id (or null); null if it is rejected
  error         string, or null if it is accepted
  hint          string, a likely reason found in the headers, or null
  findings      list of objects: secret (its name), and differences (list of strings) with which it would be
                accepted

Examples:
  inbox doctor 01890a5d-ac96 --archive inbox-quarantine --as mindee --secret S
  inbox doctor body.json --set-header 'X-Signature: sha256=09ab...' \\
      --as hmac --header X-Signature --secret S

"))]
pub(crate) struct DoctorArgs {
    /// A file with the body (`-` is standard input), or the id of a delivery or a unique prefix of it
    #[arg(value_name = "FILE|ID")]
    delivery: OsString,
    #[command(flatten)]
    signing: SigningArgs,
    /// A header of the request, for FILE; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    set_header: Vec<(HeaderName, HeaderValue)>,
    /// Path and query of the request, for FILE
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: Uri,
    /// The time of receipt (default: that of the delivery; now, for FILE)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<SystemTime>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: DoctorArgs, at: &Location) -> CommandResult {
    let scheme = args.signing.required_scheme()?;
    let (head, body, received_at) = delivery(&args, at).await?;
    let at = args.at.unwrap_or(received_at);
    let diagnosis = Diagnosis::of(&*scheme, &head, &body, at);
    let mut out = console::stdout();
    if args.json {
        console::json_line(&mut out, &diagnosis.object())?;
    } else {
        diagnosis.write(&mut out)?;
    }
    out.flush()?;
    Ok(code(diagnosis.result.is_ok()))
}

/// The head, body and time of receipt of the file, if there is one of that name, or else of the archived delivery.
async fn delivery(
    args: &DoctorArgs,
    at: &Location,
) -> Result<(Parts, Bytes, SystemTime), Box<dyn Error>> {
    if args.delivery == "-" || Path::new(&args.delivery).exists() {
        let (mut head, ()) = Request::post(args.path.clone()).body(())?.into_parts();
        head.headers.extend(args.set_header.iter().cloned());
        return Ok((head, console::read(&args.delivery)?, SystemTime::now()));
    }
    let word = args.delivery.to_string_lossy().into_owned();
    let archive = open(at).await?;
    let found = match resolve_ids(&archive, &[word]).await?.first() {
        Some(id) => archive.get(*id).await?,
        None => None,
    };
    let missing = || {
        let word = args.delivery.to_string_lossy();
        Failure::not_found(format!("no file and no delivery '{word}' in {archive}"))
    };
    let delivery = found.ok_or_else(missing)?.delivery;
    Ok((parts(&delivery)?, delivery.body().clone(), delivery.received_at()))
}

/// The archived head of a delivery, in which tokens are redacted, in the form that schemes read.
pub(crate) fn parts(delivery: &Delivery) -> Result<Parts, http::Error> {
    let head = delivery.head();
    let request = Request::builder().method(head.method()).uri(head.uri()).version(head.version());
    let (mut parts, ()) = request.body(())?.into_parts();
    parts.headers = head.headers().clone();
    Ok(parts)
}

/// The reason where nothing that was tried would match.
const UNEXPLAINED: &str = "no known difference makes it match";

/// The result of a verification, and what explains a rejection.
pub(crate) struct Diagnosis {
    pub(crate) result: Result<Proof, SignatureError>,
    hint: Option<HeadFinding>,
    findings: Vec<Finding>,
}

impl Diagnosis {
    /// Verifies a request, and examines it if it is rejected.
    pub(crate) fn of(scheme: &dyn Scheme, head: &Parts, body: &[u8], at: SystemTime) -> Self {
        let result = scheme.verify(head, body, at);
        let (hint, findings) = match &result {
            Ok(_) => (None, Vec::new()),
            Err(error) => (examine_head(error, head), examine(scheme, head, body, at)),
        };
        Self { result, hint, findings }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        match &self.result {
            Ok(proof) => {
                return writeln!(out, "accepted: secret {} matches", escape(proof.secret()));
            }
            Err(error) => writeln!(out, "{RED}rejected{RED:#}: {}", escape(&error.to_string()))?,
        }
        self.reasons().iter().try_for_each(|reason| writeln!(out, "  {}", escape(reason)))
    }

    /// What explains a rejection, one sentence each.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let hint = self.hint.iter().map(ToString::to_string);
        let findings = self.findings.iter().map(ToString::to_string);
        let unexplained = self.result.is_err() && self.findings.is_empty();
        hint.chain(findings).chain(unexplained.then(|| UNEXPLAINED.to_owned())).collect()
    }

    pub(crate) fn object(&self) -> Value {
        let finding = |finding: &Finding| {
            let differences: Vec<_> =
                finding.differences().iter().map(ToString::to_string).collect();
            json!({ "secret": finding.proof().secret(), "differences": differences })
        };
        json!({
            "accepted": self.result.is_ok(),
            "proof": self.result.as_ref().ok().map(format::proof_object),
            "error": self.result.as_ref().err().map(ToString::to_string),
            "hint": self.hint.as_ref().map(ToString::to_string),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}
