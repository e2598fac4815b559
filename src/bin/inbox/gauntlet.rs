//! `inbox gauntlet`: tests a receiver with faults and malformed requests.

use std::io::Write;

use anstyle::Style;
use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};
use serde_json::json;
use tower_inbox::{
    provider::mindee,
    signature::{QueryToken, Scheme, SchemeError, StandardWebhooks},
    simulate::{Gauntlet, Scenario, Verdict, VerdictKind},
};

use crate::{
    CommandResult, Failure,
    cli::after_help,
    client,
    console::{self, code, escape},
    send::SecretArgument,
    simulate::restart,
};

/// Test a receiver in any language with faults and malformed requests
///
/// Posts signed results and judges the responses: pass, fail, or not applicable. The exit status is 1 if a scenario
/// fails. Redirects are not followed. Response timeout: 30 s. Use a receiver without real data: it stores what is posted.
///
/// https:// URLs require a build with the feature cli-tls. Certificates are verified against the root certificates of the
/// system, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox gauntlet http://127.0.0.1:3000/hooks/invoices --as mindee --secret S
  inbox gauntlet http://127.0.0.1:3000/hooks/invoices --as mindee --secret S \\
      --restart 'systemctl restart receiver' --json
  inbox gauntlet http://127.0.0.1:3000/hooks/events --as standard --secret whsec_S
  inbox gauntlet http://127.0.0.1:3000/hooks/foxyai --as foxyai --secret TOKEN

"))]
pub(crate) struct GauntletArgs {
    /// The URL of the receiver
    url: String,
    /// The provider that is simulated
    #[arg(long = "as", value_name = "PROVIDER")]
    provider: Provider,
    /// The signing secret; with --as foxyai, the token: leave it out of the URL
    ///
    /// The environment variable `INBOX_SECRET` is used without this option. Unlike arguments, it is not shown in
    /// process lists.
    #[arg(
        long,
        value_name = "SECRET",
        value_parser = OsStringValueParser::new().map(SecretArgument::from)
    )]
    secret: Option<SecretArgument>,
    /// With --as foxyai: the query parameter of the token (default: token)
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
    /// A second secret that the receiver accepts, for rotated-signature
    #[arg(
        long,
        value_name = "SECRET",
        value_parser = OsStringValueParser::new().map(SecretArgument::from)
    )]
    second_secret: Option<SecretArgument>,
    /// A shell command that restarts the receiver, for restart
    ///
    /// It has to end. The next request is sent as soon as the receiver accepts connections, within 30 s.
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// The length of a body over the limit of the receiver, in bytes (default: 33 MiB)
    #[arg(long, value_name = "BYTES")]
    oversized: Option<usize>,
    /// Print a JSON object for each scenario
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Provider {
    /// Mindee V2: an extraction, with its signature
    Mindee,
    /// Standard Webhooks: an event, signed with its id and time
    Standard,
    /// FoxyAI: an image group, with a token in the query
    #[value(name = "foxyai")]
    FoxyAi,
}

pub(crate) async fn run(args: GauntletArgs) -> CommandResult {
    let (json, gauntlet) = (args.json, gauntlet(args)?);
    let mut out = console::stdout();
    let mut success = true;
    for scenario in Scenario::all() {
        let verdict = gauntlet.run_one(scenario).await?;
        success &= verdict.kind() != VerdictKind::Fail;
        if json {
            console::json_line(&mut out, &object(&verdict))?;
        } else {
            writeln!(out, "{}", line(&verdict))?;
        }
        out.flush()?;
    }
    Ok(code(success))
}

fn gauntlet(args: GauntletArgs) -> Result<Gauntlet, Box<dyn std::error::Error>> {
    let mut gauntlet = sender(&args)?;
    if let Some(command) = args.restart {
        gauntlet = gauntlet.restart_with(move || restart(command.clone()));
    }
    if let Some(bytes) = args.oversized {
        gauntlet = gauntlet.oversized(bytes);
    }
    Ok(gauntlet)
}

/// The gauntlet of the provider, with its secrets.
fn sender(args: &GauntletArgs) -> Result<Gauntlet, Box<dyn std::error::Error>> {
    if args.token_name.is_some() && !matches!(args.provider, Provider::FoxyAi) {
        return Err(Failure::usage("--token-name requires --as foxyai").into());
    }
    let target = client::target(&args.url)?;
    let secret = SecretArgument::or_environment(args.secret.clone())?.secret();
    let second = args.second_secret.as_ref().map(SecretArgument::secret);
    let gauntlet = match args.provider {
        Provider::Mindee => {
            mindee::signature(secret.clone()).check()?;
            with_second(Gauntlet::mindee(target, secret), second.map(mindee::signature))
        }
        Provider::Standard => {
            StandardWebhooks::new(secret.clone()).check()?;
            with_second(Gauntlet::standard(target, secret), second.map(StandardWebhooks::new))
        }
        Provider::FoxyAi => {
            let name = args.token_name.as_deref().unwrap_or("token");
            let token = |secret| QueryToken::new(name, secret);
            token(secret.clone()).check()?;
            with_second(Gauntlet::foxyai(target, name, secret), second.map(token))
        }
    };
    Ok(gauntlet?)
}

fn with_second(gauntlet: Gauntlet, second: Option<impl Scheme>) -> Result<Gauntlet, SchemeError> {
    let Some(second) = second else { return Ok(gauntlet) };
    second.check()?;
    Ok(gauntlet.second_scheme(second))
}

fn line(verdict: &Verdict) -> String {
    let style = match verdict.kind() {
        VerdictKind::Pass => Style::new(),
        VerdictKind::Fail => console::RED,
        VerdictKind::NotApplicable => console::YELLOW,
    };
    let (kind, scenario) = (verdict.kind().name(), verdict.scenario());
    let text = verdict.reason().unwrap_or_else(|| scenario.description());
    format!("{style}{kind:<16}{style:#}{scenario:<24}{}", escape(text))
}

fn object(verdict: &Verdict) -> serde_json::Value {
    json!({
        "scenario": verdict.scenario().name(),
        "description": verdict.scenario().description(),
        "result": verdict.kind().name(),
        "reason": verdict.reason(),
    })
}
