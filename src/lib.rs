//! Tower layers that receive the webhooks of hosted models inside any axum, hyper or tower server. Each delivery is verified
//! and written to a durable archive before it is decoded; then it is deduplicated, decoded to your type, and passed to your
//! handler until it is processed.
//!
//! **A 2xx means: the exact bytes of this delivery are durable in the archive, and the handler runs until the delivery is
//! settled, across crashes and restarts.** It does not mean that the handler succeeded or ran only once, or that
//! deliveries arrive in order.
//!
//! ```no_run
//! use axum::{Router, body::Body, http::StatusCode, routing::post};
//! use tower_inbox::{DiskArchive, Inbox, Inference, Secret, provider::replicate::{self, Prediction}};
//!
//! async fn on_prediction(prediction: Inference<Prediction<Vec<String>>>) -> StatusCode {
//!     println!("{}: {:?}", prediction.id, prediction.output);
//!     StatusCode::OK
//! }
//!
//! # async fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let secret = Secret::from_env("REPLICATE_SECRET")?;
//! let inbox = Inbox::builder(DiskArchive::open("inbox").await?)
//!     .model("/hooks/replicate", replicate::prediction::<Vec<String>>().signed_with(secret))
//!     .build()?;
//! let routes = Router::new().route("/hooks/replicate", post(on_prediction));
//! inbox.start_workers::<Body>(routes.clone())?;
//! let app = routes.layer(inbox.layer());
//! # Ok(app)
//! # }
//! ```
//!
//! The [`guide`] starts with [a whole program](guide::getting_started). The reference:
//!
//! | task | see |
//! |---|---|
//! | put an inbox around a service | [`Inbox`] |
//! | define what a path receives, and from whom | [`Model`], [`provider`] |
//! | write a handler | [`Inference`], [`Delivery`], [`Captures`]; with the feature `axum` they are extractors |
//! | process deliveries in the background | [`Inbox::start_workers`], [`Workers`], [`RetryPolicy`] |
//! | retry, replay, check new types | [`Inbox::retry`], [`Inbox::replay`], [`Inbox::check_types`] |
//! | answer health probes | [`Inbox::health`] |
//! | read the archive | [`Archive`], [`archive::Query`] |
//! | stack single layers | [`layer`] |
//! | receive from a provider of your own | [`Model::json`], [`provider::Payload`], [`signature::Scheme`] |
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `disk` (default) | [`DiskArchive`](archive): an archive in a directory |
//! | `postgres` | [`PostgresArchive`](archive): an archive in a PostgreSQL database, shared by several nodes |
//! | `postgres-rustls` | TLS for that archive, with the settings of libpq (not in `full`) |
//! | `axum` | extractors for handlers; depends on `axum-core` only |
//! | `ed25519` | Ed25519 signatures: fal, and version `v1a` of Standard Webhooks |
//! | `metrics` | metrics through the `metrics` facade |
//! | `simulate` | senders for tests of receivers: signed results with faults on demand, and the APIs of Mindee and FoxyAI as services |
//! | `page` | [`Inbox::page`](page): a web page to operate an inbox |
//! | `testing` | signed posts in process, samples, and the conformance suite for archives |
//! | `cli`, `cli-tls` | the command `inbox`; `https://` URLs for it (not in `full`) |
//! | `full` | all of the above but `cli-tls` and `postgres-rustls` |
//!
//! A feature adds API, and never changes behaviour. One exception: with `postgres-rustls`, `archive::PostgresUrl` uses TLS
//! if the server supports it, unless the URL has `sslmode=disable`.
//!
//! # Cancel safety
//!
//! Once a delivery is archived, it is processed in a separate task. A server that drops the response because the client has
//! hung up does not stop the processing. [`Inbox::shutdown`] waits for these tasks.

pub mod archive;
#[cfg(feature = "axum")]
pub mod axum;
pub mod delivery;
#[cfg(doc)]
pub mod guide;
mod inbox;
mod latency;
pub mod layer;
mod log_limit;
mod metrics;
#[cfg(feature = "page")]
pub mod page;
mod process;
pub mod provider;
pub mod signature;
#[cfg(feature = "simulate")]
pub mod simulate;
mod supervise;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

#[cfg(feature = "disk")]
pub use archive::DiskArchive;
pub use archive::{Archive, Counts, MemoryArchive};
pub use delivery::{Captures, Delivery, DeliveryId, Digest, ModelName, Outcome, Receipt};
pub use inbox::{
    BuildError, ExpectError, Expectations, Health, HealthReason, HealthReport, HealthService,
    Inbox, InboxBuilder, InboxLayer, InboxService, NotReleased, NotReplayed, OverdueResult,
    Released, Replay, ReplayError, Replayed, Replaying, TypeReport,
};
pub use process::{Expected, RetryPolicy};
pub use provider::{Inference, Model};
pub use signature::Secret;
pub use worker::{HandlerService, RouteProbe, RunningWorkers, Workers, WorkersError};

#[cfg(all(doctest, feature = "axum", feature = "disk"))]
#[doc = include_str!("../README.md")]
struct Readme;
