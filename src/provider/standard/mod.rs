//! Any sender that follows [Standard Webhooks](https://www.standardwebhooks.com): a thin event with the headers
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`.
//!
//! Senders that are known by name have types of their own: [`openai`](super::openai), [`gemini`](super::gemini),
//! [`replicate`](super::replicate), [`reducto`](super::reducto), [`recall`](super::recall). This is for all others.
//!
//! The payload is only recommended, and senders deviate. `event`, `event_type` and `eventType` are read where there is no
//! `type`, `payload` where there is no `data`, and a time may be a number. An event without data is decoded if the type
//! for it can be read from null.
//!
//! Sources: the specification and the libraries of `standard-webhooks/standard-webhooks`. The signature is verified
//! with the vector of its test suites; the payload `{type, timestamp, data}` is what the specification recommends.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, standard::Event};
//!
//! #[derive(Deserialize)]
//! struct Labelled {
//!     image: String,
//! }
//!
//! let body = Bytes::from_static(
//!     br#"{"type": "image.labelled", "timestamp": "2026-03-01T09:00:00Z", "data": {"image": "i1"}}"#,
//! );
//! let event = Event::<Labelled>::decode(&body)?;
//! assert_eq!(event.kind.as_deref(), Some("image.labelled"));
//! assert_eq!(event.data.image, "i1");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

mod event;
mod id;

pub use event::{Event, Standard, event};
pub(super) use id::message_id;
