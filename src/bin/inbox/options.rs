use std::{env, error::Error, ffi::OsString, path::PathBuf};

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt,
};
use tower_inbox::DeliveryId;

use crate::{help, selection::Selection};

/// What stands on the command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) command: String,
    /// The command that help is wanted for.
    pub(crate) about: String,
    pub(crate) archive: PathBuf,
    pub(crate) id: Option<DeliveryId>,
    pub(crate) selection: Selection,
    /// The options without a value.
    flags: Vec<String>,
    pub(crate) into: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Self, Box<dyn Error>> {
        let archive = env::var_os("INBOX_ARCHIVE").unwrap_or_else(|| OsString::from("inbox"));
        let mut options = Self { archive: archive.into(), ..Self::default() };
        let mut help = false;
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("archive") => options.archive = arguments.value()?.into(),
                Long("help") | Short('h') => help = true,
                Long("version") | Short('V') => "version".clone_into(&mut options.command),
                Long(name) => {
                    let name = name.to_owned();
                    options.option(&name, &mut arguments)?;
                }
                Value(word) => options.word(word)?,
                other @ Short(_) => return Err(other.unexpected().into()),
            }
        }
        if help || options.command.is_empty() {
            options.about = std::mem::replace(&mut options.command, "help".to_owned());
        }
        Ok(options)
    }

    fn word(&mut self, word: OsString) -> Result<(), Box<dyn Error>> {
        let known = |word: &str| help::COMMANDS.iter().any(|(name, ..)| *name == word);
        let word = word.string()?;
        match self.command.as_str() {
            "" if known(&word) || word == "help" => self.command = word,
            "" => return Err(format!("there is no command {word:?}: see inbox --help").into()),
            "help" if known(&word) => self.about = word,
            "show" | "erase" if self.id.is_none() => self.id = Some(word.parse()?),
            _ => return Err(format!("{word:?} is too much: see inbox --help").into()),
        }
        Ok(())
    }

    fn option(&mut self, name: &str, arguments: &mut lexopt::Parser) -> Result<(), Box<dyn Error>> {
        let of_command = help::COMMANDS.iter().find(|(command, ..)| *command == self.command);
        if !of_command.is_some_and(|(_, options, _)| options.contains(&name)) {
            let command = &self.command;
            return Err(
                format!("there is no option --{name} here: see inbox help {command}").into()
            );
        }
        match name {
            "json" | "body" | "dry-run" | "unsettled-too" => self.flags.push(name.to_owned()),
            "into" => self.into = Some(arguments.value()?.into()),
            "pending" | "settled" => self.selection.flag(name),
            _ => self.selection.option(name, &arguments.value()?.string()?)?,
        }
        Ok(())
    }

    /// Whether this option is there.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    /// The delivery that the command is about.
    pub(crate) fn wanted_id(&self) -> Result<DeliveryId, Box<dyn Error>> {
        let command = &self.command;
        self.id.ok_or_else(|| format!("which delivery? Say inbox {command} ID").into())
    }
}
