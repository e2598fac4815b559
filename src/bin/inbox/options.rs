use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt,
};
use tower_inbox::DeliveryId;

use crate::{given::Given, help, selection::Selection};

/// What stands on the command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) command: String,
    /// The command that help is wanted for.
    pub(crate) about: String,
    pub(crate) archive: PathBuf,
    /// The deliveries that the command is about, each once.
    pub(crate) ids: Vec<DeliveryId>,
    pub(crate) selection: Selection,
    /// The options without a value.
    flags: Vec<String>,
    pub(crate) into: Option<PathBuf>,
    /// What the command is about, if it is no delivery: a URL, a file.
    operands: Vec<OsString>,
    /// The options with a value that only one command knows.
    values: Vec<(String, String)>,
    pub(crate) secret: Option<Given>,
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
        if self.operands.len() < help::operands(&self.command) {
            self.operands.push(word);
            return Ok(());
        }
        let known = |word: &str| help::COMMANDS.iter().any(|(name, ..)| *name == word);
        let word = word.string()?;
        match self.command.as_str() {
            "" if known(&word) || word == "help" => self.command = word,
            "" => return Err(format!("there is no command {word:?}: see inbox --help").into()),
            "help" if known(&word) => self.about = word,
            "show" | "erase" | "replay" if self.ids.is_empty() => self.ids.push(word.parse()?),
            "retry" => {
                let id = word.parse()?;
                if !self.ids.contains(&id) {
                    self.ids.push(id);
                }
            }
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
            "json" | "body" | "dry-run" | "unsettled-too" | "all" => {
                self.flags.push(name.to_owned());
            }
            "into" => self.into = Some(arguments.value()?.into()),
            "pending" | "settled" => self.selection.flag(name),
            "secret" => self.secret = Some(Given::new(&arguments.value()?)),
            "as" | "token-name" | "repeat" | "concurrency" | "rate" | "name" | "to" | "header"
            | "query" => {
                self.values.push((name.to_owned(), arguments.value()?.string()?));
            }
            _ => self.selection.option(name, &arguments.value()?.string()?)?,
        }
        Ok(())
    }

    /// Whether this option is there.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    /// The value of an option; the last one, if it is there several times.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of an option.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What stands at this place behind the command.
    pub(crate) fn operand(&self, place: usize, what: &str) -> Result<&OsStr, Box<dyn Error>> {
        let command = &self.command;
        let operand = self.operands.get(place).map(OsString::as_os_str);
        operand.ok_or_else(|| format!("{what} is missing: see inbox help {command}").into())
    }

    /// The delivery that the command is about.
    pub(crate) fn wanted_id(&self) -> Result<DeliveryId, Box<dyn Error>> {
        let command = &self.command;
        self.ids
            .first()
            .copied()
            .ok_or_else(|| format!("which delivery? Say inbox {command} ID").into())
    }
}
