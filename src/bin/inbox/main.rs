//! The command `inbox`: inspects, maintains and backs up an archive, retries and replays its deliveries, sends
//! signed test payloads, forwards what a tunnel brings to an app, simulates providers, explains rejected signatures, and generates structs for models.
//!
//! Each command is one module with its arguments and its `run`. Exit status: see [`cli`].

mod backup;
mod change;
mod cli;
mod client;
mod console;
mod copy;
#[cfg(feature = "postgres")]
mod database;
mod doctor;
mod export;
mod format;
mod gauntlet;
mod list;
mod listen;
mod location;
mod model;
#[cfg(feature = "page")]
mod page;
mod quarantine;
mod remove;
mod replay;
mod retry;
#[cfg(feature = "postgres")]
mod schema;
mod select;
mod send;
mod show;
mod simulate;
mod stats;
#[cfg(feature = "cli-tls")]
mod tls;
mod verify;

use std::{error::Error, process::ExitCode};

use clap::Parser;

use self::{
    cli::{Cli, Command},
    console::Failure,
    location::Location,
};

/// The exit status of a command, or the reason why it failed.
type CommandResult = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are errors of the parser with exit code 0.
        Err(error) => {
            // There is no place left to report that standard error is closed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    match run(cli) {
        Ok(code) => code,
        // The reader of a pipe, such as `head`, closed it.
        Err(error) if console::is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => console::report(&*error),
    }
}

fn run(cli: Cli) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Not for commands that use no archive.
    let archive = || Location::of(&cli.archive);
    runtime.block_on(async {
        match cli.command {
            None => cli::print_help(),
            Some(Command::List(args)) => list::run(args, &archive()?).await,
            Some(Command::Show(args)) => show::run(args, &archive()?).await,
            Some(Command::Dead(args)) => list::dead(args, &archive()?).await,
            Some(Command::Stats(args)) => stats::run(args, &archive()?).await,
            Some(Command::Verify(args)) => verify::run(args, &archive()?).await,
            Some(Command::Retry(args)) => retry::run(args, &archive()?).await,
            Some(Command::Replay(args)) => replay::run(args, &archive()?).await,
            Some(Command::Purge(args)) => remove::purge(args, &archive()?).await,
            Some(Command::Erase(args)) => remove::erase(args, &archive()?).await,
            Some(Command::Backup(args)) => backup::backup(args, &archive()?).await,
            Some(Command::Restore(args)) => backup::restore(args, &archive()?).await,
            Some(Command::Export(args)) => export::run(args, &archive()?).await,
            Some(Command::Copy(args)) => copy::run(args, &cli.archive).await,
            #[cfg(feature = "postgres")]
            Some(Command::Schema(args)) => schema::run(args, archive()).await,
            #[cfg(feature = "page")]
            Some(Command::Page(args)) => page::run(args, archive()?).await,
            Some(Command::Doctor(args)) => doctor::run(args, &archive()?).await,
            Some(Command::Quarantine(args)) => quarantine::run(args).await,
            Some(Command::Send(args)) => send::run(args).await,
            Some(Command::Listen(args)) => listen::run(args, &archive()?).await,
            Some(Command::Simulate(args)) => simulate::run(args).await,
            Some(Command::Gauntlet(args)) => gauntlet::run(args).await,
            Some(Command::Model(args)) => model::run(&args),
            Some(Command::Completions(args)) => cli::completions(&args),
            Some(Command::Man(args)) => cli::man(args),
        }
    })
}
