//! Tower layers that receive the results of hosted models by webhook, inside any axum, hyper or tower server.
//!
//! **A 2xx means: the exact bytes of this delivery are durable in the archive, and the handler will see it until it is
//! settled, across crashes and restarts.** It does not mean that the handler succeeded or ran only once, or that
//! deliveries arrive in order.
//!
//! | to | see |
//! |---|---|
//! | put an inbox around a service | [`Inbox`] |
//! | define what a path receives, and from whom | [`Model`], [`provider`] |
//! | write a handler | [`Inference`], [`Delivery`], [`Captures`]; with feature `axum` they are extractors |
//! | process deliveries in the background | [`Inbox::start_workers`], [`Workers`], [`RetryPolicy`] |
//! | retry, replay, check new types | [`Inbox::retry`], [`Inbox::replay`], [`Inbox::check_types`] |
//! | look into the archive | [`Archive`], [`archive::Query`] |
//! | stack single layers | [`layer`] |
//! | receive from a provider of your own | [`provider::Payload`], [`signature::Scheme`] |
//!
//! The README has a whole program, the responses to every kind of request, and the features.
//!
//! # Cancel safety
//!
//! From the archive on, a delivery is processed in a task of its own. A server that drops the response because the client
//! has hung up does not stop the processing. [`Inbox::shutdown`] waits for such tasks at the end.

pub mod archive;
#[cfg(feature = "axum")]
pub mod axum;
pub mod delivery;
mod inbox;
pub mod layer;
mod log_limit;
mod metrics;
mod process;
pub mod provider;
pub mod signature;
mod supervise;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

#[cfg(feature = "disk")]
pub use archive::DiskArchive;
pub use archive::{Archive, Counts, MemoryArchive};
pub use delivery::{Captures, Delivery, DeliveryId, Digest, ModelName, Outcome, Receipt};
pub use inbox::{
    BuildError, Inbox, InboxBuilder, InboxLayer, InboxService, NotReleased, NotReplayed, Released,
    Replay, ReplayError, Replayed, Replaying, TypeReport,
};
pub use process::RetryPolicy;
pub use provider::{Inference, Model};
pub use signature::Secret;
pub use worker::{HandlerService, RunningWorkers, Workers, WorkersError};

#[cfg(all(doctest, feature = "axum", feature = "disk"))]
#[doc = include_str!("../README.md")]
struct Readme;
