//! `inbox schema`: the tables and functions of an archive on PostgreSQL.

use std::{io::Write, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::json;
use tower_inbox::archive::{PostgresArchive, SchemaStatus};

use crate::{
    CommandResult, Failure,
    cli::after_help,
    console::{self, code, escape},
    database::Database,
    location::Location,
};

/// Print, create or check the schema of an archive on PostgreSQL
///
/// A server creates and migrates the schema when it opens the archive, unless it may not create tables.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Print the SQL script that creates the schema
    ///
    /// Does not connect. The name is that of --schema, or else of the URL in --archive, or else `inbox`.
    #[command(after_long_help = after_help!("\
Examples:
  inbox schema print --schema webhooks | psql -v ON_ERROR_STOP=1

"))]
    Print {
        /// The name of the schema
        #[arg(long, value_name = "NAME")]
        schema: Option<String>,
    },
    /// Create the schema, or add its missing versions
    ///
    /// Servers may run meanwhile. Requires a role that may create tables.
    #[command(after_long_help = after_help!("\
Examples:
  inbox schema migrate --archive 'postgres://owner@db/app?schema=webhooks'

"))]
    Migrate,
    /// Compare the version of the schema with the version that this command needs
    ///
    /// The exit status is 1 if the schema is missing, old, or too new.
    #[command(after_long_help = after_help!("\
JSON members:
  schema        string
  found         number, the version in the database, or null
  needed        number, the version that this command needs
  usable        boolean, true if this command works with it

Examples:
  inbox schema status --archive postgres://inbox@db/app

"))]
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(args: SchemaArgs, archive: Result<Location, Failure>) -> CommandResult {
    match args.command {
        SchemaCommand::Print { schema } => print(schema, archive),
        SchemaCommand::Migrate => {
            let database = database(archive?)?;
            let status = database.builder()?.migrate_schema().await?;
            write_status(&database.schema, status)
        }
        SchemaCommand::Status { json } => {
            let database = database(archive?)?;
            let status = database.builder()?.schema_status().await?;
            if !json {
                return write_status(&database.schema, status);
            }
            let object = json!({
                "schema": database.schema,
                "found": status.found,
                "needed": status.needed,
                "usable": status.is_usable,
            });
            let mut out = console::stdout();
            console::json_line(&mut out, &object)?;
            out.flush()?;
            Ok(code(status.is_usable))
        }
    }
}

fn print(schema: Option<String>, archive: Result<Location, Failure>) -> CommandResult {
    let schema = match schema {
        Some(schema) => schema,
        None => match archive? {
            Location::Database(database) => database.schema,
            Location::Directory(_) => crate::database::SCHEMA.to_owned(),
        },
    };
    let script = PostgresArchive::schema_script(&schema)?;
    std::io::stdout().write_all(script.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn database(archive: Location) -> Result<Database, Failure> {
    match archive {
        Location::Database(database) => Ok(database),
        Location::Directory(path) => Err(Failure::usage(format!(
            "{} is a directory, which has no schema; use --archive postgres://USER@HOST/DATABASE",
            path.display()
        ))),
    }
}

fn write_status(schema: &str, status: SchemaStatus) -> CommandResult {
    let mut out = console::stdout();
    let (schema, needed) = (escape(schema), status.needed);
    match status.found {
        None => writeln!(out, "schema {schema} does not exist; run 'inbox schema migrate'")?,
        Some(found) if status.is_current() => {
            writeln!(out, "schema {schema} has version {found}, which is current")?;
        }
        Some(found) if found < needed => writeln!(
            out,
            "schema {schema} has version {found}, and {needed} is needed; run 'inbox schema migrate'"
        )?,
        Some(found) if status.is_usable => {
            writeln!(
                out,
                "schema {schema} has version {found}, which is compatible with {needed}"
            )?;
        }
        Some(found) => writeln!(
            out,
            "schema {schema} has version {found}, which is not compatible with {needed}; use a newer version of the \
             command"
        )?,
    }
    out.flush()?;
    Ok(code(status.is_usable))
}
