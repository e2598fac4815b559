//! `inbox model`: generates structs for the fields of a custom Mindee model.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use clap::Args;
use tower_inbox::provider::{
    Payload,
    mindee::{Extraction, struct_source},
};

use crate::{
    CommandResult,
    cli::after_help,
    console::{self, code},
};

/// Generate a Rust struct from a sample of a custom Mindee model
///
/// The type of a field that is null, or of an empty list, is a guess, marked with a comment.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox model sample.json --name Invoice > src/invoice.rs
  inbox show inv_1 --body | inbox model -

"))]
pub(crate) struct ModelArgs {
    /// A complete payload as Mindee posts it; `-` is standard input
    file: OsString,
    /// The name of the struct
    #[arg(long, value_name = "NAME", default_value = "Extracted")]
    name: String,
}

pub(crate) fn run(args: &ModelArgs) -> CommandResult {
    let sample: Extraction = Extraction::decode(&console::read(&args.file)?)?;
    let fields = sample.fields().map_err(|failed| {
        format!("sample has no fields: {failed}; use a payload of a completed extraction")
    })?;
    io::stdout().write_all(struct_source(&args.name, fields).as_bytes())?;
    Ok(code(true))
}
