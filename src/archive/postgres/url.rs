//! The URL of a database, completed by the environment as libpq does.

use std::{env, ffi::OsString, fmt};

use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{ChannelBinding, Host},
};

use super::{PostgresArchiveBuilder, error::OpenError, password, tls::TlsSettings};
use crate::archive::ArchiveError;

/// Reads an environment variable.
pub(super) type Env<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// The parameters that are taken out of a URL, because [`Config`] rejects them, or some of their values.
const OWN: [&str; 3] = ["schema", "sslmode", "sslrootcert"];

/// Parameters of libpq that are not supported. Only these are named in errors: in a malformed URL, what looks like the
/// name of a parameter may be a part of the password.
const UNSUPPORTED: [&str; 12] = [
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "gssencmode",
    "passfile",
    "service",
];

/// The URL of a database, with the settings that libpq reads from the environment.
///
/// `postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full&schema=NAME`, with the parameters of
/// [`tokio_postgres::Config`] and these:
///
/// | parameter | variable | meaning |
/// |---|---|---|
/// | `schema` | | the PostgreSQL schema of the archive. Default: `inbox` |
/// | `password` | `PGPASSWORD` | if neither is set, the file in `PGPASSFILE`, or else `~/.pgpass`, is searched for the first host |
/// | `sslmode` | `PGSSLMODE` | `disable`, `prefer`, `require`, `verify-ca` or `verify-full`, see below. Default: `prefer` |
/// | `sslrootcert` | `PGSSLROOTCERT` | a PEM file with root certificates, or `system`. Default: `~/.postgresql/root.crt` if it exists |
/// | `channel_binding` | `PGCHANNELBINDING` | `disable`, `prefer` or `require`. Default: `prefer` |
///
/// Parameters of the URL have precedence over variables. Variables that are empty count as not set.
///
/// # TLS
///
/// Requires the feature `postgres-rustls`. Without it, `prefer` connects without TLS, and modes above it are errors.
///
/// | `sslmode` | encrypted | certificate of the server |
/// |---|---|---|
/// | `disable` | no | |
/// | `prefer` | if the server supports it | not verified |
/// | `require` | yes | verified as by `verify-ca` if there is a root certificate file; **else not verified** |
/// | `verify-ca` | yes | issued by a root of the file, which is required. The host name is not verified |
/// | `verify-full` | yes | issued by a root of the file, or of the system if there is no file, for this host name |
///
/// Use `verify-full`: the modes above it in the table accept the certificate of an attacker who can redirect the
/// connection. `sslrootcert=system` uses the roots of the operating system (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace
/// them), and requires `verify-full`, which is then the default. Connections to Unix sockets are not encrypted.
///
/// Differences from libpq: a host name must be in the subject alternative names of the certificate, its common name is
/// ignored; a certificate of an authority (`CA:TRUE`) is not accepted as that of a server; `prefer` does not try again
/// without TLS if the handshake fails; client certificates and revocation lists are not supported.
///
/// The cryptography is the default provider that the process has installed in rustls, or else graviola, which requires
/// AVX2 and ADX on `x86_64` (processors since about 2014).
///
/// ```no_run
/// use tower_inbox::archive::PostgresUrl;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let url = PostgresUrl::parse_with_env("postgres://inbox@db.example.com/app?sslmode=verify-full")?;
/// let archive = url.builder()?.require_synchronous_standby(true).open().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    config: Config,
    schema: Option<String>,
    tls: TlsSettings,
    has_password: bool,
    warning: Option<String>,
}

impl PostgresUrl {
    /// Parses a URL, and reads the environment and the password file.
    ///
    /// A password file that is not used because of its permissions is logged as a warning; see
    /// [`warning`](Self::warning).
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Other`] if the URL or a variable is invalid, if a parameter is not supported, or if `sslmode`
    /// requires TLS and the feature `postgres-rustls` is not enabled. Errors do not contain parts of the URL.
    pub fn parse_with_env(url: &str) -> Result<Self, ArchiveError> {
        let parsed = Self::parse(url, &|name| env::var_os(name))?;
        if let Some(warning) = &parsed.warning {
            tracing::warn!("{warning}");
        }
        Ok(parsed)
    }

    fn parse(url: &str, env: Env<'_>) -> Result<Self, OpenError> {
        // Not without the scheme: `KEY=VALUE` pairs have no parameters to take out.
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(OpenError::Url);
        }
        let (url, [schema, mode, roots]) = take_parameters(url, OWN);
        // The error of the parser may contain parts of the password.
        let mut config: Config = url.parse().map_err(|_| invalid(&url))?;
        let mut tls = TlsSettings::of(mode, roots, env)?;
        if config.get_hosts().iter().all(is_socket) {
            tls = TlsSettings::DISABLED;
        }
        config.ssl_mode(tls.mode.of_driver());
        if !has_parameter(&url, "channel_binding") {
            config.channel_binding(channel_binding(env)?);
        }
        let has_password = config.get_password().is_some_and(|password| !password.is_empty());
        let mut warning = None;
        if !has_password {
            let found = password::find(&config, env);
            warning = found.warning;
            if let Some(password) = found.password {
                config.password(password);
            }
        }
        Ok(Self { config, schema, tls, has_password, warning })
    }

    /// Returns true if the URL itself contains a password, which must not be on a command line: other users of the
    /// machine can read it there.
    pub fn has_password(&self) -> bool {
        self.has_password
    }

    /// Returns the parameter `schema`.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Returns the reason why a password file was ignored, for programs without a log.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Returns a builder for opening the archive in this database, in the schema of the URL. Loads root certificates.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Other`] if the root certificates cannot be read.
    pub fn builder(&self) -> Result<PostgresArchiveBuilder, ArchiveError> {
        let builder = PostgresArchiveBuilder::with_config(Some(self.config.clone()));
        // Without the feature, modes that require TLS are errors of the parser.
        #[cfg(feature = "postgres-rustls")]
        let builder = self.tls.apply(builder)?;
        Ok(match &self.schema {
            Some(schema) => builder.schema(schema),
            None => builder,
        })
    }
}

/// Without user and password.
impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUrl")
            .field("hosts", &self.config.get_hosts())
            .field("database", &self.config.get_dbname())
            .field("schema", &self.schema)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

fn is_socket(host: &Host) -> bool {
    match host {
        Host::Tcp(_) => false,
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn channel_binding(env: Env<'_>) -> Result<ChannelBinding, OpenError> {
    let value = variable(env, "PGCHANNELBINDING")?;
    match value.as_deref() {
        None | Some("prefer") => Ok(ChannelBinding::Prefer),
        Some("disable") => Ok(ChannelBinding::Disable),
        Some("require") => Ok(ChannelBinding::Require),
        Some(_) => Err(OpenError::ChannelBinding),
    }
}

/// The value of a variable. None if it is empty.
pub(super) fn variable(env: Env<'_>, name: &'static str) -> Result<Option<String>, OpenError> {
    let value = env(name).filter(|value| !value.is_empty());
    value.map(OsString::into_string).transpose().map_err(|_| OpenError::Variable(name))
}

/// Removes parameters from a URL, and returns their values.
fn take_parameters<const N: usize>(url: &str, names: [&str; N]) -> (String, [Option<String>; N]) {
    let mut values = [const { None }; N];
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), values) };
    let is_other = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut slots = names.iter().zip(&mut values);
        let Some((_, slot)) = slots.find(|(wanted, _)| **wanted == name) else { return true };
        *slot = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
        false
    };
    let others: Vec<_> = query.split('&').filter(is_other).collect();
    let separator = if others.is_empty() { "" } else { "?" };
    (format!("{base}{separator}{}", others.join("&")), values)
}

fn has_parameter(url: &str, name: &str) -> bool {
    let is_name = |pair: &str| pair.split_once('=').is_some_and(|(key, _)| key == name);
    url.split_once('?').is_some_and(|(_, query)| query.split('&').any(is_name))
}

/// The reason why a URL is invalid.
fn invalid(url: &str) -> OpenError {
    match UNSUPPORTED.into_iter().find(|name| has_parameter(url, name)) {
        Some(name) => OpenError::Parameter(name),
        None => OpenError::Url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, variables: &[(&str, &str)]) -> Result<PostgresUrl, OpenError> {
        PostgresUrl::parse(url, &|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn own_parameters_are_taken_out_of_the_url() {
        for (url, base, schema) in [
            ("postgres://a@b/c", "postgres://a@b/c", None),
            ("postgres://a@b/c?schema=hooks", "postgres://a@b/c", Some("hooks")),
            ("postgres://a@b/c?x=1&schema=a%20b+&y=2", "postgres://a@b/c?x=1&y=2", Some("a b+")),
        ] {
            let (others, [found]) = take_parameters(url, ["schema"]);
            assert_eq!((others.as_str(), found.as_deref()), (base, schema), "{url}");
        }
    }

    #[test]
    fn password_is_that_of_the_url_or_else_of_the_environment() {
        let variables = [("PGPASSWORD", "hunter2")];
        let password =
            |url| parse(url, &variables).unwrap().config.get_password().unwrap().to_vec();
        assert_eq!(password("postgres://a:b@c/d"), b"b");
        assert_eq!(password("postgres://a@c/d?password=b"), b"b");
        assert_eq!(password("postgres://a@c/d"), b"hunter2");
        assert!(parse("postgres://a:b@c/d", &[]).unwrap().has_password());
        assert!(!parse("postgres://a@c/d", &variables).unwrap().has_password());
    }

    #[test]
    fn errors_and_debug_output_have_no_password() {
        for url in [
            "postgres://a:hunter2@b:port/c",
            "postgres://a:hunter2@b/c?sslmode=hunter2",
            "postgres://a:x?hunter2=y@b/c?z",
            "postgres://a@b/c?channel_binding=hunter2",
            "host=b password=hunter2",
        ] {
            let error = parse(url, &[]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let url = parse("postgres://a:hunter2@b/c", &[]).unwrap();
        assert!(!format!("{url:?} {:?}", url.builder().unwrap()).contains("hunter2"));
    }

    #[test]
    fn parameter_that_is_not_supported_is_named() {
        let error = parse("postgres://a@b/c?sslcert=client.pem", &[]).unwrap_err();
        assert!(error.to_string().contains("sslcert"), "{error}");
    }

    #[test]
    fn channel_binding_is_read_from_the_url_or_the_environment() {
        for (url, variable, wanted) in [
            ("postgres://a@b/c", "", ChannelBinding::Prefer),
            ("postgres://a@b/c", "require", ChannelBinding::Require),
            ("postgres://a@b/c?channel_binding=disable", "require", ChannelBinding::Disable),
        ] {
            let url = parse(url, &[("PGCHANNELBINDING", variable)]).unwrap();
            assert_eq!(url.config.get_channel_binding(), wanted);
        }
        assert!(parse("postgres://a@b/c", &[("PGCHANNELBINDING", "x")]).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn sslmode_is_ignored_for_unix_sockets() {
        let url = "postgres:///c?host=/run/postgresql&sslmode=verify-full";
        assert_eq!(parse(url, &[]).unwrap().tls, TlsSettings::DISABLED);
    }
}
