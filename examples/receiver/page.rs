//! The page to operate the inbox.

use std::error::Error;

use axum::Router;
use tower_inbox::Inbox;

/// Adds the page at `/inbox`, with Basic authentication.
#[cfg(feature = "page")]
pub(crate) fn mount(app: Router, inbox: &Inbox) -> Result<Router, Box<dyn Error>> {
    let password = tower_inbox::Secret::from_env("INBOX_PAGE_PASSWORD")?;
    let guard = tower_inbox::page::Guard::basic("inbox", password)?;
    Ok(app.nest_service("/inbox", inbox.page(guard)))
}

#[cfg(not(feature = "page"))]
pub(crate) fn mount(_: Router, _: &Inbox) -> Result<Router, Box<dyn Error>> {
    Err("--page requires the feature `page`".into())
}
