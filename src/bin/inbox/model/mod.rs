//! `inbox model`: writes structs for the fields of a sample.

mod kind;
mod name;
mod structs;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use tower_inbox::provider::{Payload, mindee::Extraction};

use crate::{CommandResult, console, options::Options};

pub(crate) fn run(options: &Options) -> CommandResult {
    let sample = console::read(options.operand(0, "FILE")?)?;
    let sample: Extraction = Extraction::decode(&sample)?;
    let fields = sample.fields().map_err(|failed| {
        format!("sample has no fields: {failed}; use a payload of a completed extraction")
    })?;
    let structs =
        structs::all(options.value("name").unwrap_or("Extracted"), &kind::members(fields));
    io::stdout().write_all(structs::file(&structs)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
