//! `--listen`: serves the API.

use std::{
    ffi::OsStr,
    io::{self, Write},
    net::SocketAddr,
};

use serde_json::Value;
use tokio::net::TcpListener;
use tower_inbox::simulate::{Mindee, Target, Webhook};

use super::ServeArgs;
use crate::{
    CommandResult,
    console::{self, code},
    send::SecretArgument,
};

/// The id and the receiver of a webhook.
#[derive(Clone, Debug)]
pub(super) struct WebhookArgument {
    id: String,
    target: Target,
}

/// Parses `ID=URL`.
pub(super) fn parse_webhook(text: &str) -> Result<WebhookArgument, String> {
    let (id, url) = text.split_once('=').ok_or("use ID=URL")?;
    if id.is_empty() || id.contains(',') {
        return Err("the id is empty or has a comma; use ID=URL".to_owned());
    }
    let target = Target::url(url).map_err(|error| console::with_sources(&error))?;
    Ok(WebhookArgument { id: id.to_owned(), target })
}

pub(super) async fn run(
    address: SocketAddr,
    secret: &SecretArgument,
    file: Option<&OsStr>,
    args: ServeArgs,
) -> CommandResult {
    let mut mindee = Mindee::builder();
    for WebhookArgument { id, target } in args.webhook {
        mindee = mindee.webhook(Webhook::new(id, target, secret.secret()));
    }
    if let Some(file) = file {
        let result: Value = serde_json::from_slice(&console::read(file)?)?;
        mindee = mindee.default_result(result);
    }
    if let Some(time) = args.processing_time {
        mindee = mindee.processing_time(time);
    }
    if let Some(time) = args.storage {
        mindee = mindee.storage(time);
    }
    if args.delete_when_fetched {
        mindee = mindee.delete_when_fetched();
    }
    let unbound = |error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(unbound)?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    out.flush()?;
    mindee.build().serve(listener).await;
    Ok(code(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_is_parsed_at_the_first_equals_sign() {
        let webhook = parse_webhook("w1=http://127.0.0.1:3000/hooks?a=b").unwrap();
        assert_eq!(webhook.id, "w1");
        for text in ["w1", "=http://a/", "a,b=http://a/", "w1=https://a/", "w1=a"] {
            assert!(parse_webhook(text).is_err(), "{text}");
        }
    }
}
