//! An archive on PostgreSQL: its URL, and the password that belongs to it.

use std::{env, fmt, fs, path::PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_postgres::{Config, config::Host};
use tower_inbox::archive::{ArchiveError, PostgresArchive, PostgresArchiveBuilder};

use crate::{Failure, console};

/// The schema of a URL without `schema=NAME`.
pub(crate) const SCHEMA: &str = "inbox";

/// A database, and the schema of the archive in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// May contain the password.
    url: String,
    pub(crate) schema: String,
}

impl Database {
    /// Parses `postgres://USER@HOST/DB?schema=NAME`, and finds the password. `is_argument` is true for a URL on the
    /// command line, which other users of the machine can read: it may not contain the password.
    pub(crate) fn of_url(url: &str, is_argument: bool) -> Result<Self, Failure> {
        let (mut url, schema) = split_schema(url);
        let invalid =
            "invalid URL of an archive; expected postgres://USER@HOST/DATABASE?schema=NAME";
        // The error of the parser may contain parts of the password.
        let config: Config = url.parse().map_err(|_| Failure::usage(invalid))?;
        if config.get_password().is_some() {
            if is_argument {
                return Err(Failure::usage(
                    "password on the command line, where other users can read it; set PGPASSWORD, add it to \
                     ~/.pgpass or the file in PGPASSFILE, or set INBOX_ARCHIVE to the whole URL",
                ));
            }
        } else if let Some(password) = password(&config) {
            let separator = if url.contains('?') { '&' } else { '?' };
            let password = utf8_percent_encode(&password, NON_ALPHANUMERIC);
            url = format!("{url}{separator}password={password}");
        }
        Ok(Self { url, schema })
    }

    /// The options to open the archive. The command does no maintenance of its own.
    pub(crate) fn builder(&self) -> PostgresArchiveBuilder {
        PostgresArchive::builder(&self.url)
            .schema(&self.schema)
            .migrate(false)
            .connections(4)
            .maintenance_interval(None)
    }

    /// Opens the archive, whose schema must exist.
    pub(crate) async fn open(&self) -> Result<PostgresArchive, ArchiveError> {
        self.builder().open().await
    }
}

/// Without the URL, which may contain a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Removes the parameter `schema` from a URL, and returns its value.
fn split_schema(url: &str) -> (String, String) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), SCHEMA.to_owned());
    };
    let (mut others, mut schema) = (Vec::new(), SCHEMA.to_owned());
    for pair in query.split('&') {
        match form_urlencoded::parse(pair.as_bytes()).next() {
            Some((name, value)) if name == "schema" => schema = value.into_owned(),
            _ => others.push(pair),
        }
    }
    let separator = if others.is_empty() { "" } else { "?" };
    (format!("{base}{separator}{}", others.join("&")), schema)
}

/// The password in `PGPASSWORD`, or else in the password file.
fn password(config: &Config) -> Option<String> {
    if let Ok(password) = env::var("PGPASSWORD") {
        return Some(password);
    }
    let file = env::var_os("PGPASSFILE").map(PathBuf::from);
    let file = file.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass")))?;
    let text = fs::read_to_string(&file).ok()?;
    if is_readable_by_others(&file) {
        let file = file.display();
        console::warn(&format!("{file} is ignored: others can read it; run 'chmod 600 {file}'"));
        return None;
    }
    let host = config.get_hosts().first().map(host_name)?;
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let user = config.get_user().map(str::to_owned).or_else(|| env::var("USER").ok())?;
    let database = config.get_dbname().unwrap_or(&user);
    password_in(&text, [&host, &port, database, &user])
}

#[cfg(unix)]
fn is_readable_by_others(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &std::path::Path) -> bool {
    false
}

/// The name of a host in a password file. A directory of sockets is `localhost`.
fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(_) => "localhost".to_owned(),
    }
}

/// The password of the first line of a password file that matches: `HOST:PORT:DATABASE:USER:PASSWORD`, where `*` is
/// any value, and `\` escapes a colon or a backslash.
fn password_in(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut found = lines.map(fields).filter_map(|fields| {
        let (values, password) = fields.split_at_checked(4)?;
        let is_match = |(value, wanted): (&String, &str)| value == "*" || value == wanted;
        values.iter().zip(wanted).all(is_match).then(|| password.first().cloned())?
    });
    found.next()
}

fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut chars) = (vec![String::new()], line.chars());
    while let Some(char) = chars.next() {
        let char = match char {
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            char => char,
        };
        fields.last_mut().into_iter().for_each(|field| field.push(char));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_is_a_parameter_of_the_url() {
        for (url, base, schema) in [
            ("postgres://a@b/c", "postgres://a@b/c", "inbox"),
            ("postgres://a@b/c?schema=hooks", "postgres://a@b/c", "hooks"),
            ("postgres://a@b/c?x=1&schema=a%20b&y=2", "postgres://a@b/c?x=1&y=2", "a b"),
        ] {
            assert_eq!(split_schema(url), (base.to_owned(), schema.to_owned()), "{url}");
        }
    }

    #[test]
    fn password_on_the_command_line_is_refused_and_not_printed() {
        for url in ["postgres://a:hunter2@b/c", "postgres://a@b/c?password=hunter2"] {
            let error = Database::of_url(url, true).unwrap_err();
            assert!(error.to_string().contains("PGPASSWORD"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            let allowed = Database::of_url(url, false).unwrap();
            assert!(!format!("{allowed:?} {:?}", allowed.builder()).contains("hunter2"));
        }
        let error = Database::of_url("postgres://a:hunter2@b:port/c", true).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn first_matching_line_of_a_password_file_has_the_password() {
        let file = "# db:5432:app:inbox:comment\n\
                    other:5432:app:inbox:wrong\n\
                    db:5432:app\n\
                    db:*:a\\:pp:inbox:with\\:colon\\\\\n\
                    *:*:*:inbox:any\n";
        let password = |database| password_in(file, ["db", "5432", database, "inbox"]);
        assert_eq!(password("a:pp").as_deref(), Some("with:colon\\"));
        assert_eq!(password("app").as_deref(), Some("any"));
        assert_eq!(password_in(file, ["db", "5432", "app", "root"]), None);
        assert_eq!(password_in("", ["db", "5432", "app", "root"]), None);
    }
}
