//! The command `inbox`: looks into a disk archive, checks it, removes from it, has deliveries handled again, and posts
//! them elsewhere; posts signed payloads, and writes structs for models.
//!
//! Exit status: 0 if all is well, 1 if what was asked for is not there, is damaged or is refused, 2 if the command could
//! not be done.

mod bar;
mod dead;
mod erase;
mod export;
mod given;
mod help;
mod input;
mod list;
mod model;
mod options;
mod output;
mod poster;
mod purge;
mod removal;
mod replay;
mod retry;
mod selection;
mod send;
mod show;
mod stats;
mod tally;
mod time;
mod verify;

use std::{error::Error, process::ExitCode};

use options::Options;

/// What a command comes to, and why it could not be done.
type Done = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        // Whoever reads has enough.
        Err(error) if output::is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inbox: {}", output::with_sources(&*error));
            ExitCode::from(2)
        }
    }
}

fn run() -> Done {
    let options = Options::parse(lexopt::Parser::from_env())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match options.command.as_str() {
            "list" => list::run(options).await,
            "show" => show::run(options).await,
            "verify" => verify::run(options).await,
            "stats" => stats::run(options).await,
            "purge" => purge::run(options).await,
            "erase" => erase::run(options).await,
            "export" => export::run(options).await,
            "dead" => dead::run(options).await,
            "retry" => retry::run(options).await,
            "replay" => replay::run(options).await,
            "send" => send::run(options).await,
            "model" => model::run(&options),
            "version" => output::line(&format!("inbox {}", env!("CARGO_PKG_VERSION"))),
            _ => output::line(&help::of(&options.about)),
        }
    })
}
