//! A server to play with, and to test against from outside.
//!
//! ```text
//! cargo run --example receiver --features axum -- --secret S
//! ```
//!
//! Its handlers answer the decoded inference in the provider's own form. Send it SIGTERM to stop it: what was begun is
//! answered, archived and settled first.

use std::{env, error::Error, ffi::OsString, path::PathBuf};

use axum::{Json, Router, routing::post};
use lexopt::{
    Arg::{Long, Short},
    ValueExt,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tower_inbox::{
    DiskArchive, Inbox, Inference, Model, Secret,
    provider::{
        ModelDraft, foxyai,
        mindee::{self, Extraction},
    },
    signature::BodyForm,
};
use tracing_subscriber::EnvFilter;

const HELP: &str = "\
Receives webhooks, archives them, and answers what it decoded.

  --listen ADDRESS       where to listen (127.0.0.1:3000; port 0 takes a free one)
  --archive DIR          where to keep deliveries (./inbox)
  --secret S             the signing secret of Mindee's endpoint (or INBOX_SECRET)
  --token T              the query parameter `token` of FoxyAI's URL (the secret, if not given)
  --without-line-breaks  also accept signatures over the body without CR and LF
  --unsigned             accept whatever is posted, from anybody

POST /hooks/mindee/extraction
POST /hooks/foxyai/image-group?token=T

What is logged is set by RUST_LOG (info).";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();

    let inbox = Inbox::builder(DiskArchive::open(&options.archive).await?)
        .model("/hooks/mindee/extraction", options.extraction())
        .model("/hooks/foxyai/image-group", options.image_group())
        .claim("/hooks")
        .build()?;
    let app = Router::new()
        .route("/hooks/mindee/extraction", post(on_extraction))
        .route("/hooks/foxyai/image-group", post(on_image_group))
        .layer(inbox.layer());

    let mut stop = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(&options.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            stop.recv().await;
        })
        .await?;
    inbox.settled().await;
    Ok(())
}

async fn on_extraction(extraction: Inference<Extraction>) -> Json<Inference<Extraction>> {
    Json(extraction)
}

async fn on_image_group(
    group: Inference<foxyai::ImageGroup>,
) -> Json<Inference<foxyai::ImageGroup>> {
    Json(group)
}

struct Options {
    listen: String,
    archive: PathBuf,
    /// Secret and token; `None` accepts whatever is posted.
    secrets: Option<(Secret, Secret)>,
    form: BodyForm,
}

impl Options {
    fn extraction(&self) -> Model {
        let model: ModelDraft<Extraction> = mindee::extraction();
        match &self.secrets {
            Some((secret, _)) => {
                model.verified_by(mindee::signature(secret.clone()).form(self.form))
            }
            None => model.unsigned(),
        }
    }

    fn image_group(&self) -> Model {
        match &self.secrets {
            Some((_, token)) => foxyai::image_group().token_in_query("token", token.clone()),
            None => foxyai::image_group().unsigned(),
        }
    }

    fn parse() -> Result<Self, Box<dyn Error>> {
        let (mut listen, mut archive) = ("127.0.0.1:3000".to_owned(), PathBuf::from("inbox"));
        let (mut secret, mut token) = (env::var_os("INBOX_SECRET"), None);
        let (mut form, mut unsigned) = (BodyForm::Raw, false);
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("listen") => listen = arguments.value()?.string()?,
                Long("archive") => archive = arguments.value()?.into(),
                Long("secret") => secret = Some(arguments.value()?),
                Long("token") => token = Some(arguments.value()?),
                Long("without-line-breaks") => form = BodyForm::RawOrWithoutLineBreaks,
                Long("unsigned") => unsigned = true,
                Long("help") | Short('h') => {
                    println!("{HELP}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let secrets = if unsigned { None } else { Some(secrets(secret, token)?) };
        Ok(Self { listen, archive, secrets, form })
    }
}

fn secrets(
    secret: Option<OsString>,
    token: Option<OsString>,
) -> Result<(Secret, Secret), Box<dyn Error>> {
    let secret = secret.ok_or(
        "there is no secret: give --secret or INBOX_SECRET, or --unsigned to accept anything",
    )?;
    let token = token.unwrap_or_else(|| secret.clone());
    Ok((Secret::new(secret.as_encoded_bytes()), Secret::new(token.as_encoded_bytes())))
}
