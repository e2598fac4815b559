//! The command line: commands, their help, shell completions and man pages.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

#[cfg(feature = "page")]
use crate::page;
#[cfg(feature = "postgres")]
use crate::schema;
use crate::{
    CommandResult, Failure, backup, copy, doctor, export, gauntlet, list, listen, model,
    quarantine, remove, replay, retry, send, show, simulate, stats, verify,
};

/// The end of each long help: what the exit status means.
macro_rules! after_help {
    ($($text:expr),* $(,)?) => {
        concat!($($text,)* "\
Exit status:
  0  success
  1  something was not found, is damaged, or was rejected
  2  the command line is invalid, or the command failed")
    };
}
pub(crate) use after_help;

/// Inspect and maintain the archive of an inbox, and test its endpoints
///
/// All commands work while a server has the archive open. Most only read it. `retry`, `purge`, `erase` and `quarantine
/// clear` change it: if a server has it open, they send the server a request, which it executes within seconds.
///
/// ID is the id of a delivery, or a prefix of it with at least 4 hexadecimal digits that no other delivery has. TIME is
/// 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 2h or 30d.
///
/// Colors are used on terminals only, unless `NO_COLOR` or `CLICOLOR_FORCE` is set. Tables and notes are for people;
/// use --json in scripts.
#[derive(Debug, Parser)]
#[command(
    name = "inbox",
    version,
    max_term_width = 100,
    after_long_help = after_help!("\
Examples:
  inbox list --since 2h --state failed
  inbox show 01890a5d-ac96
  inbox retry --all
  inbox send http://127.0.0.1:3000/hooks/invoices payload.json --as mindee --secret S

")
)]
pub(crate) struct Cli {
    /// The directory of the archive, or the URL `postgres://USER@HOST/DATABASE?schema=NAME`
    ///
    /// The default schema is `inbox`. A URL with a password is accepted from the environment variable only. PGPASSWORD,
    /// PGPASSFILE and ~/.pgpass are read.
    ///
    /// The parameters `sslmode`, `sslrootcert` and `channel_binding`, and PGSSLMODE, PGSSLROOTCERT and PGCHANNELBINDING,
    /// have the meaning that they have for psql. Use `sslmode=verify-full` over a network: `require` encrypts, and does
    /// not verify the server. TLS requires a build with the feature postgres-rustls.
    #[arg(
        long,
        global = true,
        value_name = "DIR|URL",
        env = "INBOX_ARCHIVE",
        hide_env_values = true,
        default_value = "inbox",
        help_heading = "Global options"
    )]
    pub(crate) archive: OsString,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Dead(list::DeadArgs),
    Stats(stats::StatsArgs),
    Verify(verify::VerifyArgs),
    Retry(retry::RetryArgs),
    Replay(replay::ReplayArgs),
    Purge(remove::PurgeArgs),
    Erase(remove::EraseArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Export(export::ExportArgs),
    Copy(copy::CopyArgs),
    #[cfg(feature = "postgres")]
    Schema(schema::SchemaArgs),
    #[cfg(feature = "page")]
    Page(page::PageArgs),
    Doctor(doctor::DoctorArgs),
    Quarantine(quarantine::QuarantineArgs),
    Send(send::SendArgs),
    Listen(listen::ListenArgs),
    Simulate(simulate::SimulateArgs),
    Gauntlet(gauntlet::GauntletArgs),
    Model(model::ModelArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox completions bash > ~/.local/share/bash-completion/completions/inbox
  inbox completions zsh > ~/.zfunc/_inbox
  inbox completions fish > ~/.config/fish/completions/inbox.fish

"))]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the man page, or write those of all commands
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox man | man -l -
  inbox man replay | man -l -
  inbox man --into ~/.local/share/man/man1

"))]
pub(crate) struct ManArgs {
    /// The command; without it, the page of `inbox` itself
    command: Option<String>,
    /// Write the pages of all commands to this directory, which is created if it is missing
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    into: Option<PathBuf>,
}

/// Prints the help of the command without arguments.
pub(crate) fn print_help() -> CommandResult {
    Cli::command().print_long_help()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn completions(args: &CompletionsArgs) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "inbox", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(args: ManArgs) -> CommandResult {
    let mut command = Cli::command();
    if let Some(dir) = args.into {
        fs::create_dir_all(&dir)?;
        clap_mangen::generate_to(command, dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = args.command {
        // Gives the command its full name and the global options.
        command.build();
        let found = command.find_subcommand(&name).cloned();
        command = found.ok_or_else(|| Failure::usage(format!("there is no command '{name}'")))?;
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    io::stdout().write_all(&page)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_of_every_command_has_examples_and_exit_status() {
        let mut commands = vec![Cli::command()];
        while let Some(mut command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            if command.has_subcommands() && command.get_name() != "inbox" {
                continue;
            }
            let help = command.render_long_help().to_string();
            for wanted in ["Examples:", "Exit status:"] {
                assert!(help.contains(wanted), "{wanted} in {}: {help}", command.get_name());
            }
        }
    }
}
