//! `--to`: posts results, and prints the responses.

use std::{
    ffi::OsStr,
    io::{self, Write},
    num::NonZeroU32,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tower_inbox::{
    provider::mindee,
    signature::Scheme,
    simulate::{Fault, NotRun, Payloads, PayloadsError, Product, Report, Sender, Target},
};

use super::{ALL, PostArgs};
use crate::{
    CommandResult,
    console::{self, code, escape},
    send::SecretArgument,
};

pub(super) async fn run(
    url: &str,
    secret: &SecretArgument,
    file: Option<&OsStr>,
    args: &PostArgs,
) -> CommandResult {
    let sender = sender(url, secret, args)?;
    let template = file.map(console::read).transpose()?;
    let (faults, start) = (schedule(&args.faults, args.count)?, Instant::now());
    let mut out = io::stdout().lock();
    let mut success = true;
    for (number, fault) in (0..).zip(faults) {
        sleep_until(start + due(number, args.rate)).await;
        let payloads = payloads(template.as_ref(), args.product)?;
        match sender.run(fault, &payloads).await {
            Ok(reports) => {
                for report in reports {
                    success &= report.is_expected();
                    writeln!(out, "{}", line(&report))?;
                }
            }
            Err(NotRun::NotApplicable { fault, reason }) => {
                writeln!(out, "{fault:<22}not applicable: {reason}")?;
            }
            Err(error) => return Err(error.into()),
        }
        out.flush()?;
    }
    Ok(code(success))
}

fn sender(
    url: &str,
    secret: &SecretArgument,
    args: &PostArgs,
) -> Result<Sender, Box<dyn std::error::Error>> {
    let mut sender = Sender::new(Target::url(url)?, mindee::signature(secret.secret()));
    if let Some(second) = &args.second_secret {
        let second = mindee::signature(second.secret());
        second.check()?;
        sender = sender.second_scheme(second);
    }
    if let Some(command) = args.restart.clone() {
        sender = sender.restart_with(move || restart(command.clone()));
    }
    if let Some(bytes) = args.oversized {
        sender = sender.oversized(bytes);
    }
    Ok(sender)
}

fn payloads(template: Option<&Bytes>, product: Product) -> Result<Payloads, PayloadsError> {
    template.map_or_else(
        || Ok(Payloads::of_mindee(product)),
        |template| Payloads::from_mindee_result(template),
    )
}

/// Runs the shell command that restarts the receiver.
pub(crate) async fn restart(command: String) -> io::Result<()> {
    let run = move || {
        // The output of the command is not that of the results.
        Command::new("sh").arg("-c").arg(command).stdin(Stdio::null()).stdout(io::stderr()).status()
    };
    let status = tokio::task::spawn_blocking(run).await.map_err(io::Error::other)??;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("the command of --restart failed: {status}")))
    }
}

/// Returns the fault of each result.
fn schedule(
    names: &[String],
    count: Option<NonZeroU32>,
) -> Result<Vec<Fault>, tower_inbox::simulate::UnknownFault> {
    let mut faults = Vec::new();
    for name in names {
        if name == ALL {
            faults.extend_from_slice(Fault::ALL);
        } else {
            faults.push(name.parse()?);
        }
    }
    if faults.is_empty() {
        faults.push(Fault::None);
    }
    let count =
        count.map_or(faults.len(), |count| usize::try_from(count.get()).unwrap_or(usize::MAX));
    Ok(faults.iter().copied().cycle().take(count).collect())
}

/// The time from the start until the result with this number is due.
fn due(number: u32, rate: Option<NonZeroU32>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| {
        Duration::from_secs_f64(f64::from(number) / f64::from(rate.get()))
    })
}

fn line(report: &Report) -> String {
    let milliseconds = report.took().as_secs_f64() * 1000.0;
    let answer = escape(&report.answer().to_string());
    let fault = report.fault();
    let line = format!("{fault:<22}{answer:<28}{milliseconds:>9.1} ms");
    if report.is_expected() {
        line
    } else {
        format!("{line}  unexpected: not {}", report.expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled(names: &[&str], count: u32) -> Vec<Fault> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        schedule(&names, NonZeroU32::new(count)).unwrap()
    }

    #[test]
    fn faults_are_repeated_up_to_the_count() {
        assert_eq!(scheduled(&[], 0), [Fault::None]);
        assert_eq!(scheduled(&["all"], 0), Fault::ALL);
        let two = ["gzip", "hang-up"];
        assert_eq!(scheduled(&two, 0), [Fault::Gzip, Fault::HangUp]);
        assert_eq!(scheduled(&two, 3), [Fault::Gzip, Fault::HangUp, Fault::Gzip]);
        assert_eq!(scheduled(&two, 1), [Fault::Gzip]);
        assert!(schedule(&["cut".to_owned()], None).is_err());
    }
}
