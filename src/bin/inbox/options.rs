use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
    time::SystemTime,
};

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt,
};
use tower_inbox::{
    DeliveryId, Secret,
    archive::{Query, StateFilter},
    delivery::StateKind,
};
use zeroize::Zeroizing;

use crate::{
    help,
    time::{before_now, moment},
};

/// The parsed command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) command: String,
    /// The command to print the help of.
    pub(crate) about: String,
    pub(crate) archive: PathBuf,
    /// The deliveries given by id, as often as they are given.
    pub(crate) ids: Vec<DeliveryId>,
    /// The file that lists ids.
    pub(crate) ids_file: Option<OsString>,
    pub(crate) selection: Selection,
    /// The options without a value.
    flags: Vec<String>,
    pub(crate) into: Option<PathBuf>,
    /// The arguments that are not ids of deliveries, such as a URL or a file.
    operands: Vec<OsString>,
    /// The options with a value that belong to one command.
    values: Vec<(String, String)>,
    pub(crate) secret: Option<SecretArgument>,
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
                Short(short) => return Err(unexpected(&format!("-{short}"), "")),
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
            "" => return Err(format!("unknown command '{word}'; try 'inbox --help'").into()),
            "help" if known(&word) => self.about = word,
            "replay" if self.ids.is_empty() => self.ids.push(word.parse()?),
            "erase" | "retry" => self.ids.push(word.parse()?),
            command => return Err(unexpected(&word, command)),
        }
        Ok(())
    }

    fn option(&mut self, name: &str, arguments: &mut lexopt::Parser) -> Result<(), Box<dyn Error>> {
        let of_command = help::COMMANDS.iter().find(|(command, ..)| *command == self.command);
        if !of_command.is_some_and(|(_, options, _)| options.contains(&name)) {
            return Err(unexpected(&format!("--{name}"), &self.command));
        }
        match name {
            "json" | "body" | "dry-run" | "dead" | "unsettled" | "all" => {
                self.flags.push(name.to_owned());
            }
            "ids" => self.ids_file = Some(arguments.value()?),
            "into" => self.into = Some(arguments.value()?.into()),
            "pending" | "settled" => self.selection.flag(name),
            "secret" => self.secret = Some(SecretArgument::new(&arguments.value()?)),
            "as" | "token-name" | "repeat" | "concurrency" | "rate" | "name" | "to" | "header"
            | "query" | "inference" | "limit" => {
                self.values.push((name.to_owned(), arguments.value()?.string()?));
            }
            _ => self.selection.option(name, &arguments.value()?.string()?)?,
        }
        Ok(())
    }

    /// Returns true if this option without a value is given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    /// The value of an option; the last one, if it is given several times.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of an option.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The argument at this place after the command.
    pub(crate) fn operand(&self, place: usize, what: &str) -> Result<&OsStr, Box<dyn Error>> {
        let command = &self.command;
        let operand = self.operands.get(place).map(OsString::as_os_str);
        operand.ok_or_else(|| format!("missing {what}; try 'inbox help {command}'").into())
    }
}

fn unexpected(argument: &str, command: &str) -> Box<dyn Error> {
    let help = match command {
        "" | "help" | "version" => "inbox --help".to_owned(),
        command => format!("inbox help {command}"),
    };
    format!("unexpected argument '{argument}'; try '{help}'").into()
}

/// The deliveries that a command selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    query: Query,
    /// Whether an upper limit of the time of receipt is given.
    pub(crate) has_end: bool,
    is_given: bool,
}

impl Selection {
    fn flag(&mut self, name: &str) {
        let states = if name == "pending" { StateFilter::Pending } else { StateFilter::Settled };
        self.is_given = true;
        self.query = self.query().states(states);
    }

    fn option(&mut self, name: &str, value: &str) -> Result<(), Box<dyn Error>> {
        let (query, now) = (self.query(), SystemTime::now());
        self.is_given = true;
        self.has_end |= matches!(name, "before" | "keep");
        self.query = match name {
            "model" => query.model(value.parse()?),
            "state" => query.state(state(value)?),
            "since" => query.since(moment(value, now)?),
            "before" => query.before(moment(value, now)?),
            "keep" => query.before(before_now(value, now)?),
            _ => return Err(unexpected(&format!("--{name}"), "")),
        };
        Ok(())
    }

    /// Returns true if any condition is given.
    pub(crate) fn is_given(&self) -> bool {
        self.is_given
    }

    pub(crate) fn query(&self) -> Query {
        self.query.clone()
    }
}

fn state(word: &str) -> Result<StateKind, String> {
    let unknown = |_| {
        let names: Vec<_> = StateKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("unknown state '{word}'; use one of {}", names.join(", "))
    };
    word.parse().map_err(unknown)
}

/// A secret from the command line or the environment. The provider decides how it is decoded.
#[derive(Clone)]
pub(crate) struct SecretArgument(Zeroizing<Vec<u8>>);

impl SecretArgument {
    pub(crate) fn new(text: &OsStr) -> Self {
        Self(Zeroizing::new(text.as_encoded_bytes().to_vec()))
    }

    /// The signing secret or the token.
    pub(crate) fn secret(&self) -> Secret {
        Secret::new(&*self.0)
    }

    /// The text of a private key.
    #[cfg(feature = "ed25519")]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Redacted, because options may be printed.
impl fmt::Debug for SecretArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretArgument")
    }
}
