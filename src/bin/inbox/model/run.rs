use std::{
    io::{self, Write},
    process::ExitCode,
};

use tower_inbox::provider::{Payload, mindee::Extraction};

use super::{kind, structs, text};
use crate::{Done, input, options::Options};

pub(crate) fn run(options: &Options) -> Done {
    let sample = input::read(options.operand(0, "the file with a sample")?)?;
    let sample: Extraction = Extraction::decode(&sample)?;
    let fields = sample.fields().map_err(|failed| {
        format!("a sample needs fields, and this one has none, since {failed}")
    })?;
    let structs =
        structs::all(options.value("name").unwrap_or("Extracted"), &kind::members(fields));
    io::stdout().write_all(text::file(&structs)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
