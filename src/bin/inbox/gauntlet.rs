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
    signature::Scheme,
    simulate::{Gauntlet, Scenario, Verdict, VerdictKind},
};

use crate::{
    CommandResult,
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
/// system, which SSL_CERT_FILE and SSL_CERT_DIR replace.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox gauntlet http://127.0.0.1:3000/hooks/invoices --as mindee --secret S
  inbox gauntlet http://127.0.0.1:3000/hooks/invoices --as mindee --secret S \\
      --restart 'systemctl restart receiver' --json

"))]
pub(crate) struct GauntletArgs {
    /// The URL of the receiver
    url: String,
    /// The provider that is simulated
    #[arg(long = "as", value_name = "PROVIDER")]
    provider: Provider,
    /// The signing secret
    ///
    /// The environment variable `INBOX_SECRET` is used without this option. Unlike arguments, it is not shown in
    /// process lists.
    #[arg(
        long,
        value_name = "SECRET",
        value_parser = OsStringValueParser::new().map(SecretArgument::from)
    )]
    secret: Option<SecretArgument>,
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
    Mindee,
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
    let Provider::Mindee = args.provider;
    let secret = SecretArgument::or_environment(args.secret)?.secret();
    mindee::signature(secret.clone()).check()?;
    let mut gauntlet = Gauntlet::mindee(client::target(&args.url)?, secret);
    if let Some(second) = args.second_secret {
        let second = mindee::signature(second.secret());
        second.check()?;
        gauntlet = gauntlet.second_scheme(second);
    }
    if let Some(command) = args.restart {
        gauntlet = gauntlet.restart_with(move || restart(command.clone()));
    }
    if let Some(bytes) = args.oversized {
        gauntlet = gauntlet.oversized(bytes);
    }
    Ok(gauntlet)
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
