//! The password of a connection: `PGPASSWORD`, or the password file of libpq.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio_postgres::{Config, config::Host};

use super::url::Env;

/// The directories of sockets that a password file names `localhost`: the defaults of PostgreSQL and of Debian.
#[cfg(unix)]
const SOCKETS: [&str; 3] = ["/tmp", "/var/run/postgresql", "/run/postgresql"];

#[derive(Default)]
pub(super) struct Found {
    pub(super) password: Option<Vec<u8>>,
    /// The reason why the password file was ignored.
    pub(super) warning: Option<String>,
}

/// Returns the password in `PGPASSWORD`, or else that of the first matching line of the password file. A file that is
/// missing is no error.
pub(super) fn find(config: &Config, env: Env<'_>) -> Found {
    let set = |name| env(name).filter(|value| !value.is_empty());
    if let Some(password) = set("PGPASSWORD") {
        return Found { password: Some(password.into_encoded_bytes()), warning: None };
    }
    let file = set("PGPASSFILE").map(PathBuf::from);
    let Some(file) = file.or_else(|| Some(PathBuf::from(set("HOME")?).join(".pgpass"))) else {
        return Found::default();
    };
    match read(&file) {
        Ok(Some(text)) => {
            let user = config.get_user().map(str::to_owned);
            let user = user.or_else(|| set("USER")?.into_string().ok());
            let password = user.and_then(|user| password_of(&text, config, &user));
            Found { password: password.map(String::into_bytes), warning: None }
        }
        Ok(None) => Found::default(),
        Err(warning) => Found { password: None, warning: Some(warning) },
    }
}

/// Reads a password file. Fails with a warning if the file is ignored.
fn read(file: &Path) -> Result<Option<String>, String> {
    let Ok(metadata) = fs::metadata(file) else { return Ok(None) };
    let name = file.display();
    if !metadata.is_file() {
        return Err(format!("password file {name} is ignored: it is not a regular file"));
    }
    if is_accessible_to_others(&metadata) {
        return Err(format!(
            "password file {name} is ignored: others can read it; run 'chmod 600 {name}'"
        ));
    }
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(format!("password file {name} is ignored: {error}")),
    }
}

#[cfg(unix)]
fn is_accessible_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_accessible_to_others(_: &fs::Metadata) -> bool {
    false
}

/// The password for the first host of a configuration.
fn password_of(text: &str, config: &Config, user: &str) -> Option<String> {
    let host = host_name(config.get_hosts().first()?);
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let database = config.get_dbname().unwrap_or(user);
    password_in(text, [&host, &port, database, user])
}

/// The name of a host in a password file.
fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) if SOCKETS.iter().any(|default| path == Path::new(default)) => {
            "localhost".to_owned()
        }
        #[cfg(unix)]
        Host::Unix(path) => path.to_string_lossy().into_owned(),
    }
}

/// The password of the first line of a password file that matches: `HOST:PORT:DATABASE:USER:PASSWORD`, where `*` is
/// any value, and `\` escapes the character after it. Lines that begin with `#` are comments.
fn password_in(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| {
        let (values, rest) = fields.split_at_checked(4)?;
        let is_match = |(value, wanted): (&&str, &str)| *value == "*" || unescaped(value) == wanted;
        values.iter().zip(wanted).all(is_match).then(|| rest.first().map(|text| unescaped(text)))?
    })
}

/// Splits a line at colons that are not escaped.
fn fields(line: &str) -> Vec<&str> {
    let mut is_escaped = false;
    line.split(|char| {
        let is_end = char == ':' && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        is_end
    })
    .collect()
}

fn unescaped(field: &str) -> String {
    let mut chars = field.chars();
    let next = || {
        let char = chars.next()?;
        // A backslash at the end is itself.
        if char == '\\' { chars.next().or(Some(char)) } else { Some(char) }
    };
    std::iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn first_matching_line_of_a_password_file_has_the_password() {
        let file = "# db:5432:app:inbox:comment\n\
                    other:5432:app:inbox:wrong\n\
                    db:5432:app\n\
                    \n\
                    db:5432:\\*:inbox:star\n\
                    db:*:a\\:pp:inbox:with\\:colon\\\\\r\n\
                    *:*:*:inbox:any:ignored\n";
        let password = |database| password_in(file, ["db", "5432", database, "inbox"]);
        assert_eq!(password("a:pp").as_deref(), Some("with:colon\\"));
        assert_eq!(password("*").as_deref(), Some("star"), "an escaped * is no wildcard");
        assert_eq!(password("app").as_deref(), Some("any"));
        assert_eq!(password_in(file, ["db", "5432", "app", "root"]), None);
        assert_eq!(password_in("", ["db", "5432", "app", "root"]), None);
    }

    #[cfg(unix)]
    #[test]
    fn default_directory_of_sockets_is_localhost_in_a_password_file() {
        for (url, host) in [
            ("postgres:///c?host=/run/postgresql", "localhost"),
            ("postgres:///c?host=/srv/sockets", "/srv/sockets"),
            ("postgres://db,other/c", "db"),
        ] {
            let config: Config = url.parse().unwrap();
            assert_eq!(host_name(&config.get_hosts()[0]), host);
        }
    }

    #[cfg(unix)]
    #[test]
    fn password_file_that_others_can_read_is_ignored_with_a_warning() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".pgpass");
        fs::write(&file, "*:*:*:*:hunter2\n").unwrap();
        let config: Config = "postgres://inbox@db/app".parse().unwrap();
        let home = |name: &str| (name == "HOME").then(|| OsString::from(dir.path()));
        for (mode, is_used) in [(0o644, false), (0o610, false), (0o600, true), (0o400, true)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let found = find(&config, &home);
            assert_eq!(found.password.is_some(), is_used, "{mode:o}");
            assert_eq!(found.warning.is_none(), is_used, "{mode:o}");
            assert!(!found.warning.unwrap_or_default().contains("hunter2"));
        }
        fs::remove_file(&file).unwrap();
        let missing = find(&config, &home);
        assert!(missing.password.is_none() && missing.warning.is_none());
    }

    #[test]
    fn password_variable_is_used_before_the_file_unless_it_is_empty() {
        let config: Config = "postgres://inbox@db/app".parse().unwrap();
        let set = |value: &str| {
            let value = OsString::from(value);
            find(&config, &|name| (name == "PGPASSWORD").then(|| value.clone())).password
        };
        assert_eq!(set("hunter2").as_deref(), Some(&b"hunter2"[..]));
        assert_eq!(set(""), None);
    }
}
