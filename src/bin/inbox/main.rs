//! The command `inbox`: inspects, verifies, backs up, exports and purges a disk archive, retries and replays its deliveries,
//! sends signed test payloads, and generates structs for models.
//!
//! Exit status: 0 on success; 1 if something was not found, is damaged or was rejected; 2 if the command failed.

mod backup;
mod change;
mod console;
mod escape;
mod export;
mod help;
mod list;
mod lookup;
mod model;
mod options;
mod post;
mod remove;
mod replay;
mod retry;
mod send;
mod show;
mod state_text;
mod stats;
mod time;
mod verify;

use std::{error::Error, process::ExitCode};

use options::Options;

/// The exit status of a command, or why it failed.
type CommandResult = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        // The reader of a pipe, such as `head`, closed it.
        Err(error) if console::is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            console::report(&console::with_sources(&*error));
            ExitCode::from(2)
        }
    }
}

fn run() -> CommandResult {
    let options = Options::parse(lexopt::Parser::from_env())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match options.command.as_str() {
            "list" => list::list(options).await,
            "show" => show::run(options).await,
            "verify" => verify::run(options).await,
            "stats" => stats::run(options).await,
            "purge" => remove::purge(options).await,
            "erase" => remove::erase(options).await,
            "backup" => backup::backup(options).await,
            "restore" => backup::restore(options).await,
            "export" => export::run(options).await,
            "dead" => list::dead(options).await,
            "retry" => retry::run(options).await,
            "replay" => replay::run(options).await,
            "send" => send::run(options).await,
            "model" => model::run(&options),
            "version" => console::line(&format!("inbox {}", env!("CARGO_PKG_VERSION"))),
            _ => console::line(&help::of(&options.about)),
        }
    })
}
