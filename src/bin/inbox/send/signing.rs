//! How a request is signed: the options `--as`, `--secret`, and those of `--as hmac`.

use std::{env, error::Error, ffi::OsStr, fmt};

use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser},
};
use http::HeaderName;
use tower_inbox::{
    Secret,
    signature::{Encoding, HmacBody, KeyEncoding, Scheme},
};
use zeroize::Zeroizing;

use super::provider::{HMAC, SchemeResult, named, provider_values};
use crate::Failure;

/// The options that select a signature scheme.
#[derive(Args, Debug)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SigningArgs {
    /// The provider whose signature or token is used, or `hmac`
    #[arg(
        long = "as",
        value_name = "PROVIDER",
        value_parser = PossibleValuesParser::new(provider_values())
    )]
    pub(crate) provider: Option<String>,
    /// The signing secret, the token, or the private key in hexadecimal or in base64 after whsk_
    ///
    /// The environment variable `INBOX_SECRET` is used without this option. Unlike arguments, it is not shown in
    /// process lists.
    #[arg(
        long,
        value_name = "SECRET",
        requires = "provider",
        value_parser = OsStringValueParser::new().map(SecretArgument::from)
    )]
    secret: Option<SecretArgument>,
    /// The header or query parameter of a token, if it is not the provider's default
    #[arg(long, value_name = "NAME", requires = "provider")]
    token_name: Option<String>,
    /// With --as hmac: the header of the signature
    #[arg(long, value_name = "NAME", requires = "provider")]
    header: Option<HeaderName>,
    /// With --as hmac: the text before the signature, such as sha256=
    #[arg(long, value_name = "TEXT", requires = "header")]
    prefix: Option<String>,
    /// With --as hmac: the encoding of the signature
    #[arg(long, value_enum, value_name = "ENCODING", default_value_t, hide_default_value = true)]
    encoding: SignatureText,
    /// With --as hmac: how the text of the secret becomes the key
    #[arg(long, value_enum, value_name = "ENCODING", default_value_t, hide_default_value = true)]
    key: KeyText,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SignatureText {
    /// Hexadecimal digits (default)
    #[default]
    Hex,
    /// Base64
    Base64,
}

/// How the text of a secret becomes a key.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum KeyText {
    /// The text as it is (default)
    #[default]
    Text,
    /// The bytes that the text encodes in base64
    Base64,
}

impl SigningArgs {
    /// The selected scheme; None without `--as`.
    pub(crate) fn scheme(&self) -> Result<Option<Box<dyn Scheme>>, Box<dyn Error>> {
        let Some(provider) = &self.provider else { return Ok(None) };
        let secret = SecretArgument::or_environment(self.secret.clone())?;
        let scheme = if provider == HMAC {
            self.hmac(&secret)?
        } else if self.header.is_some() {
            return Err(Failure::usage(
                "--header, --prefix, --encoding and --key require --as hmac",
            )
            .into());
        } else {
            named(provider, self.token_name.as_deref(), &secret)?
        };
        scheme.check()?;
        Ok(Some(scheme))
    }

    /// The selected scheme.
    ///
    /// # Errors
    ///
    /// Also without `--as`.
    pub(crate) fn required_scheme(&self) -> SchemeResult {
        let missing = || Failure::usage("missing --as PROVIDER, such as --as mindee");
        self.scheme()?.ok_or_else(|| missing().into())
    }

    fn hmac(&self, secret: &SecretArgument) -> SchemeResult {
        let header = self.header.clone();
        let header = header.ok_or_else(|| Failure::usage("--as hmac requires --header NAME"))?;
        let scheme = HmacBody::new(header, secret.secret())
            .encoding(match self.encoding {
                SignatureText::Hex => Encoding::Hex,
                SignatureText::Base64 => Encoding::Base64,
            })
            .key(match self.key {
                KeyText::Text => KeyEncoding::Text,
                KeyText::Base64 => KeyEncoding::Base64,
            })
            .prefix(self.prefix.clone().unwrap_or_default());
        Ok(Box::new(scheme))
    }
}

/// A secret from the command line or the environment. The provider decides how it is decoded.
#[derive(Clone)]
pub(crate) struct SecretArgument(Zeroizing<Vec<u8>>);

impl SecretArgument {
    /// The secret of an option, or that in the environment variable `INBOX_SECRET`.
    pub(crate) fn or_environment(option: Option<Self>) -> Result<Self, Failure> {
        let secret = option.or_else(|| env::var_os("INBOX_SECRET").map(Self::from));
        secret.ok_or_else(|| Failure::usage("missing secret; use --secret or INBOX_SECRET"))
    }

    pub(crate) fn secret(&self) -> Secret {
        Secret::new(&*self.0)
    }

    /// The text of a private key.
    #[cfg(feature = "ed25519")]
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<T: AsRef<OsStr>> From<T> for SecretArgument {
    fn from(text: T) -> Self {
        Self(Zeroizing::new(text.as_ref().as_encoded_bytes().to_vec()))
    }
}

/// Redacted, because arguments may be printed.
impl fmt::Debug for SecretArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretArgument")
    }
}
