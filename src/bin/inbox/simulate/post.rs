//! `--to`: posts results, and prints the responses.

use std::{
    io::{self, Write},
    num::NonZeroU32,
    process::{Command, Stdio},
    time::Duration,
};

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser},
};
use tokio::time::{Instant, sleep_until};
use tower_inbox::simulate::{
    DeliveryOutcome, Fault, Message, NotRun, Payloads, PayloadsError, Report, Retries, Sender,
    UnknownFault,
};

use crate::{
    CommandResult,
    console::{code, escape},
};

/// Options for `--to`.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --to")]
pub(super) struct PostArgs {
    /// The faults, separated by commas, or `all` (default: none)
    ///
    /// They are run one after the other, each with a new result. A fault that is not applicable is named, and is no
    /// failure.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = fault_parser())]
    faults: Vec<String>,
    /// The number of results; the faults are repeated or cut accordingly (default: one for each fault)
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU32>,
    /// The maximum number of results per second (default: unlimited)
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Retry a result that is not accepted, up to N times (default: 0)
    #[arg(long, value_name = "N", conflicts_with = "faults")]
    retries: Option<u32>,
    /// The wait before the first retry, such as 500ms; it doubles with each (default: 1s)
    #[arg(
        long,
        value_name = "DURATION",
        requires = "retries",
        value_parser = humantime::parse_duration
    )]
    backoff: Option<Duration>,
    /// A shell command that restarts the receiver, for restart
    ///
    /// It has to end. The next request is sent as soon as the receiver accepts connections, within 30 s.
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// The length of the body of oversized-body, in bytes (default: 33 MiB)
    #[arg(long, value_name = "BYTES")]
    oversized: Option<usize>,
}

/// The name of the list of all faults.
const ALL: &str = "all";

fn fault_parser() -> PossibleValuesParser {
    let fault = |fault: &Fault| PossibleValue::new(fault.name()).help(fault.description());
    let all = PossibleValue::new(ALL).help("each fault once");
    PossibleValuesParser::new(Fault::ALL.iter().map(fault).chain([all]))
}

impl PostArgs {
    fn sender(&self, mut sender: Sender) -> Sender {
        if let Some(command) = self.restart.clone() {
            sender = sender.restart_with(move || restart(command.clone()));
        }
        if let Some(bytes) = self.oversized {
            sender = sender.oversized(bytes);
        }
        sender
    }

    /// None without `--retries`.
    fn retries(&self) -> Option<Retries> {
        let attempts = NonZeroU32::MIN.saturating_add(self.retries?);
        let retries = Retries::default().max_attempts(attempts);
        Some(self.backoff.map_or(retries, |backoff| retries.initial_backoff(backoff)))
    }
}

/// Posts results from `payloads`: without `--faults` and `--count`, the first `number` of them.
pub(super) async fn run(
    sender: Sender,
    payloads: impl Iterator<Item = Result<Payloads, PayloadsError>>,
    number: usize,
    args: &PostArgs,
) -> CommandResult {
    let (sender, retries) = (args.sender(sender), args.retries());
    let faults = schedule(&args.faults, args.count, number)?;
    let (start, mut success) = (Instant::now(), true);
    for ((number, fault), payloads) in (0..).zip(faults).zip(payloads) {
        let payloads = payloads?;
        sleep_until(start + due(number, args.rate)).await;
        match retries {
            None => success &= post_fault(&sender, fault, &payloads).await?,
            Some(retries) => {
                let message = sender.message(payloads.result().clone(), retries);
                let outcome = post_message(message).await?;
                success &= outcome == DeliveryOutcome::Accepted;
                if outcome == DeliveryOutcome::Disabled {
                    break;
                }
            }
        }
    }
    Ok(code(success))
}

/// Posts a result with a fault. Returns true if all responses are expected.
async fn post_fault(
    sender: &Sender,
    fault: Fault,
    payloads: &Payloads,
) -> Result<bool, Box<dyn std::error::Error>> {
    let reports = match sender.run(fault, payloads).await {
        Ok(reports) => reports,
        Err(NotRun::NotApplicable { fault, reason }) => {
            print(&format!("{fault:<22}not applicable: {reason}"))?;
            return Ok(true);
        }
        Err(error) => return Err(error.into()),
    };
    for report in &reports {
        print(&line(report))?;
    }
    Ok(reports.iter().all(Report::is_expected))
}

/// Posts a message until it is accepted or given up.
async fn post_message(mut message: Message) -> Result<DeliveryOutcome, Box<dyn std::error::Error>> {
    loop {
        if let Some(report) = message.attempt().await? {
            print(&format!("{}{}", columns(&report), next_step(&message)))?;
        }
        if let Some(outcome) = message.outcome() {
            return Ok(outcome);
        }
    }
}

/// What follows an attempt, as the last column of its line.
fn next_step(message: &Message) -> String {
    match message.outcome() {
        Some(DeliveryOutcome::Disabled) => "  endpoint disabled".to_owned(),
        Some(DeliveryOutcome::GivenUp) => {
            format!("  given up after {} attempts", message.attempts())
        }
        Some(_) => String::new(),
        None => {
            let wait = message.next_attempt_in().unwrap_or_default();
            format!("  retry in {wait:.1?}")
        }
    }
}

fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
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

/// Returns the fault of each result: of this number of results, without faults and a count.
fn schedule(
    names: &[String],
    count: Option<NonZeroU32>,
    number: usize,
) -> Result<Vec<Fault>, UnknownFault> {
    let mut faults = Vec::new();
    for name in names {
        if name == ALL {
            faults.extend_from_slice(Fault::ALL);
        } else {
            faults.push(name.parse()?);
        }
    }
    if faults.is_empty() {
        faults.resize(number, Fault::None);
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
    let columns = columns(report);
    if report.is_expected() {
        columns
    } else {
        format!("{columns}  unexpected: not {}", report.expected())
    }
}

/// The fault, the response and the time.
fn columns(report: &Report) -> String {
    let milliseconds = report.took().as_secs_f64() * 1000.0;
    let answer = escape(&report.answer().to_string());
    let fault = report.fault();
    format!("{fault:<22}{answer:<28}{milliseconds:>9.1} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled(names: &[&str], count: u32, number: usize) -> Vec<Fault> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        schedule(&names, NonZeroU32::new(count), number).unwrap()
    }

    #[test]
    fn faults_are_repeated_up_to_the_count() {
        assert_eq!(scheduled(&[], 0, 1), [Fault::None]);
        assert_eq!(scheduled(&["all"], 0, 1), Fault::ALL);
        let two = ["gzip", "hang-up"];
        assert_eq!(scheduled(&two, 0, 7), [Fault::Gzip, Fault::HangUp]);
        assert_eq!(scheduled(&two, 3, 1), [Fault::Gzip, Fault::HangUp, Fault::Gzip]);
        assert_eq!(scheduled(&two, 1, 1), [Fault::Gzip]);
        assert!(schedule(&["cut".to_owned()], None, 1).is_err());
    }

    #[test]
    fn all_snapshots_of_a_group_are_posted_without_faults_and_a_count() {
        assert_eq!(scheduled(&[], 0, 7), [Fault::None; 7]);
        assert_eq!(scheduled(&[], 2, 7), [Fault::None; 2]);
    }
}
