//! A web page to operate an inbox: what arrives, what failed and why, and the actions for it.
//!
//! [`Inbox::page`](crate::Inbox::page) returns a tower service. It is rendered on the server, works without its script,
//! and loads nothing from elsewhere. There is no page without a [`Guard`].
//!
//! ```
//! use axum::Router;
//! use tower_inbox::{Inbox, MemoryArchive, Secret, page::Guard};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let inbox = Inbox::builder(MemoryArchive::new()).build()?;
//! let guard = Guard::basic("inbox", Secret::new("correct horse battery staple"))?;
//! let app: Router = Router::new()
//!     // … the routes of the models …
//!     .layer(inbox.layer())
//!     .nest_service("/inbox", inbox.page(guard));
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! All its links are relative queries, so it works at any path and behind a proxy that rewrites the path. Changes are
//! made by POST, are rejected if another site triggers them, and are logged with the user of the guard.
//!
//! Only senders have other paths: `temporary/TOKEN` below that of the page is a temporary endpoint, which a user has
//! created to see what a sender sends. It needs no guard, because the token is a secret, and is unknown to all others.

mod action;
mod activity;
mod address;
mod body;
mod confirm;
mod curl;
mod deliveries;
mod delivery;
mod doctor;
mod drift;
mod events;
mod filter;
mod format;
mod guard;
mod history;
mod html;
mod latency;
mod listing;
mod nodes;
mod overview;
mod quarantine;
mod search;
mod service;
mod temporary;
mod tree;

pub use guard::{Guard, GuardError};
pub use service::PageService;
