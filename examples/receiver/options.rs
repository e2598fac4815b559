//! The command line.

use std::{env, error::Error, ffi::OsString, time::Duration};

use lexopt::{
    Arg::{Long, Short},
    Parser, ValueExt,
};
use tower_inbox::{Secret, signature::BodyForm};

use crate::{conduct::Conduct, senders::Senders};

const HELP: &str = "\
Receives webhooks, archives them, and answers what it decoded.

  --listen ADDRESS       where to listen (127.0.0.1:3000; port 0 takes a free one)
  --archive DIR|URL      where to keep deliveries (or INBOX_ARCHIVE; ./inbox): a directory, or with the feature
                         `postgres` a URL, postgres://USER@HOST/DATABASE?schema=NAME, which may contain a password
                         in INBOX_ARCHIVE only; PGPASSWORD, PGPASSFILE and ~/.pgpass are read. With the feature
                         `postgres-rustls`, sslmode=verify-full and sslrootcert=FILE encrypt the connections
  --secret S             the secret of all who sign with one (or INBOX_SECRET); for Standard Webhooks and
                         Replicate in base64, with or without whsec_, else their paths are left out
  --token T              the token of all who do not sign (the secret, if not given)
  --fal-key KEY          fal's public key, the `x` in its JWKS, or in base64 or hexadecimal; without it
                         fal's path is left out
  --without-line-breaks  also accept Mindee's signatures over the body without CR and LF
  --unsigned             accept whatever is posted, from anybody
  --background N         answer at once, and have N workers run the handlers
  --handler-log FILE     each run of a handler appends a line: MODEL INFERENCE-KEY DELIVERY-ID ATTEMPT
  --fail P               handlers answer 500 with this probability, from 0 to 1
  --slow MS              delay of each handler in milliseconds
  --abort-on KEY         handlers end the process, as a crash does, at the inference of this key
  --page                 serve a page to operate the inbox at /inbox, with the feature `page`: for the user `inbox`
                         with the password in INBOX_PAGE_PASSWORD, which must be set

  POST /hooks/...                 proved by
  mindee/extraction               X-Signature
  mindee/classification           X-Signature
  mindee/crop                     X-Signature
  mindee/split                    X-Signature
  mindee/ocr                      X-Signature
  mindee-v1                       X-Mindee-Hmac-Signature
  foxyai/image-group?token=T      the token
  foxyai/image?token=T            the token
  standard                        webhook-signature
  replicate                       webhook-signature
  baseten                         X-BASETEN-SIGNATURE
  assemblyai                      the token in X-Webhook-Secret
  fal                             X-Fal-Webhook-Signature

What is logged is set by RUST_LOG (info).";

pub(crate) struct Options {
    pub(crate) listen: String,
    /// A directory, or the URL of a database.
    pub(crate) archive: OsString,
    /// None accepts unsigned requests.
    pub(crate) senders: Option<Senders>,
    /// The number of workers in background mode.
    pub(crate) background: Option<usize>,
    pub(crate) conduct: Conduct,
    /// Whether to serve the page to operate the inbox.
    pub(crate) page: bool,
}

/// The options for senders, before they are checked.
struct Given {
    secret: Option<OsString>,
    token: Option<OsString>,
    fal_key: Option<String>,
    form: BodyForm,
    unsigned: bool,
}

fn probability(number: f64) -> Result<f64, String> {
    let is_one = (0.0..=1.0).contains(&number);
    is_one.then_some(number).ok_or_else(|| format!("--fail {number}: say a number from 0 to 1"))
}

impl Options {
    pub(crate) fn parse() -> Result<Self, Box<dyn Error>> {
        let mut listen = "127.0.0.1:3000".to_owned();
        let mut archive = env::var_os("INBOX_ARCHIVE").unwrap_or_else(|| "inbox".into());
        let mut given = Given::by_environment();
        let (mut background, mut conduct, mut page) = (None, Conduct::default(), false);
        let mut arguments = Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("listen") => listen = arguments.value()?.string()?,
                Long("archive") => archive = arguments.value()?,
                Long("secret") => given.secret = Some(arguments.value()?),
                Long("token") => given.token = Some(arguments.value()?),
                Long("fal-key") => given.fal_key = Some(arguments.value()?.string()?),
                Long("without-line-breaks") => given.form = BodyForm::RawOrWithoutLineBreaks,
                Long("unsigned") => given.unsigned = true,
                Long("background") => background = Some(arguments.value()?.parse()?),
                Long("handler-log") => conduct.log = Some(arguments.value()?.into()),
                Long("fail") => conduct.fail = probability(arguments.value()?.parse()?)?,
                Long("slow") => conduct.slow = Duration::from_millis(arguments.value()?.parse()?),
                Long("abort-on") => conduct.abort_on = Some(arguments.value()?.string()?),
                Long("page") => page = true,
                Long("help") | Short('h') => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Self { listen, archive, senders: given.senders()?, background, conduct, page })
    }
}

impl Given {
    fn by_environment() -> Self {
        let secret = env::var_os("INBOX_SECRET");
        Self { secret, token: None, fal_key: None, form: BodyForm::Raw, unsigned: false }
    }

    fn senders(self) -> Result<Option<Senders>, Box<dyn Error>> {
        if self.unsigned {
            return Ok(None);
        }
        let secret = self.secret.ok_or(
            "there is no secret: give --secret or INBOX_SECRET, or --unsigned to accept anything",
        )?;
        let token = self.token.unwrap_or_else(|| secret.clone());
        Ok(Some(Senders {
            secret: Secret::new(secret.as_encoded_bytes()),
            token: Secret::new(token.as_encoded_bytes()),
            fal_key: self.fal_key.as_deref().map(str::parse).transpose()?,
            form: self.form,
        }))
    }
}
