//! The TLS settings of libpq: `sslmode` and `sslrootcert`, from the URL or the environment.

use std::path::PathBuf;

use tokio_postgres::config::SslMode as DriverMode;

#[cfg(feature = "postgres-rustls")]
use super::PostgresArchiveBuilder;
use super::{
    error::OpenError,
    url::{Env, variable},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Result<Self, OpenError> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            // Also for `allow` of libpq, which connects without TLS first.
            _ => Err(OpenError::SslMode),
        }
    }

    /// The mode for the driver, which does not verify: the connector does.
    pub(super) fn of_driver(self) -> DriverMode {
        match self {
            Self::Disable => DriverMode::Disable,
            Self::Prefer => DriverMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => DriverMode::Require,
        }
    }
}

/// Where root certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    System,
    File(PathBuf),
}

/// How the certificate of the server is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(feature = "postgres-rustls")]
pub(super) enum Verification<'s> {
    None,
    /// Without the host name.
    Issuer(&'s Roots),
    Full(&'s Roots),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    roots: Option<Roots>,
}

impl TlsSettings {
    pub(super) const DISABLED: Self = Self { mode: SslMode::Disable, roots: None };

    /// The settings of these parameters of a URL, completed by the environment.
    pub(super) fn of(
        mode: Option<String>,
        roots: Option<String>,
        env: Env<'_>,
    ) -> Result<Self, OpenError> {
        let mode = if mode.is_some() { mode } else { variable(env, "PGSSLMODE")? };
        let roots = if roots.is_some() { roots.map(Into::into) } else { env("PGSSLROOTCERT") };
        let roots = match roots.filter(|roots| !roots.is_empty()) {
            Some(system) if system == "system" => Some(Roots::System),
            Some(file) => Some(Roots::File(file.into())),
            None => default_file(env).map(Roots::File),
        };
        let is_system = roots == Some(Roots::System);
        let default = if is_system { SslMode::VerifyFull } else { SslMode::Prefer };
        let mode = mode.as_deref().map_or(Ok(default), SslMode::parse)?;
        if mode >= SslMode::Require && !cfg!(feature = "postgres-rustls") {
            return Err(OpenError::NoTls);
        }
        match mode {
            SslMode::Prefer | SslMode::Require | SslMode::VerifyCa if is_system => {
                Err(OpenError::WeakSslMode)
            }
            SslMode::VerifyCa if roots.is_none() => Err(OpenError::NoRoots),
            _ => Ok(Self { mode, roots }),
        }
    }

    #[cfg(feature = "postgres-rustls")]
    pub(super) fn verification(&self) -> Verification<'_> {
        match (self.mode, &self.roots) {
            (SslMode::VerifyFull, roots) => {
                Verification::Full(roots.as_ref().unwrap_or(&Roots::System))
            }
            (SslMode::VerifyCa | SslMode::Require, Some(roots)) => Verification::Issuer(roots),
            _ => Verification::None,
        }
    }

    /// Sets the connector of a builder.
    #[cfg(feature = "postgres-rustls")]
    pub(super) fn apply(
        &self,
        builder: PostgresArchiveBuilder,
    ) -> Result<PostgresArchiveBuilder, OpenError> {
        if self.mode == SslMode::Disable {
            return Ok(builder);
        }
        Ok(builder.tls(super::rustls::connector(self.verification())?))
    }
}

/// `~/.postgresql/root.crt`, if it exists.
fn default_file(env: Env<'_>) -> Option<PathBuf> {
    let file = PathBuf::from(env("HOME").filter(|home| !home.is_empty())?);
    Some(file.join(".postgresql/root.crt")).filter(|file| file.exists())
}

#[cfg(all(test, feature = "postgres-rustls"))]
mod tests {
    use super::*;

    type Variables<'v> = &'v [(&'v str, &'v str)];

    fn settings(url: [&str; 2], variables: Variables<'_>) -> Result<TlsSettings, OpenError> {
        let [mode, roots] = url.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        TlsSettings::of(mode, roots, &|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn verification_follows_sslmode_and_sslrootcert_as_in_libpq() {
        let file = Roots::File("ca.pem".into());
        for (url, wanted) in [
            (["", ""], Verification::None),
            (["prefer", "ca.pem"], Verification::None),
            (["require", ""], Verification::None),
            (["require", "ca.pem"], Verification::Issuer(&file)),
            (["verify-ca", "ca.pem"], Verification::Issuer(&file)),
            (["verify-full", "ca.pem"], Verification::Full(&file)),
            (["verify-full", ""], Verification::Full(&Roots::System)),
            (["", "system"], Verification::Full(&Roots::System)),
        ] {
            assert_eq!(settings(url, &[]).unwrap().verification(), wanted, "{url:?}");
        }
    }

    #[test]
    fn invalid_and_weak_combinations_are_errors() {
        for url in [["allow", ""], ["verify", ""], ["verify-ca", ""], ["require", "system"]] {
            assert!(settings(url, &[]).is_err(), "{url:?}");
        }
    }

    #[test]
    fn parameters_of_the_url_have_precedence_over_variables() {
        let variables = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "ca.pem")];
        let of_variables = settings(["", ""], &variables).unwrap();
        assert_eq!(of_variables.verification(), Verification::Full(&Roots::File("ca.pem".into())));
        let of_url = settings(["disable", ""], &variables).unwrap();
        assert_eq!(of_url.mode, SslMode::Disable);
        let of_both = settings(["", "other.pem"], &variables).unwrap();
        assert_eq!(of_both.roots, Some(Roots::File("other.pem".into())));
        let empty = settings(["", ""], &[("PGSSLMODE", ""), ("PGSSLROOTCERT", "")]).unwrap();
        assert_eq!((empty.mode, empty.roots), (SslMode::Prefer, None));
    }

    #[test]
    fn root_certificate_file_in_the_home_directory_is_used_if_it_exists() {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME", home.path().to_str().unwrap())];
        assert_eq!(settings(["require", ""], &variables).unwrap().roots, None);
        let file = home.path().join(".postgresql/root.crt");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        let roots = Roots::File(file);
        let settings = settings(["require", ""], &variables).unwrap();
        assert_eq!(settings.verification(), Verification::Issuer(&roots));
    }
}
