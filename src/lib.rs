//! Tower layers that receive the results of hosted models by webhook, inside any axum, hyper or tower server.
//!
//! **A 2xx answer means: the exact bytes of the delivery are on stable storage, and the handler will see it until it is
//! settled.** Not more: handlers run at least once, and in no particular order.
//!
//! | to | see |
//! |---|---|
//! | put an inbox around a service | [`Inbox`] |
//! | say what a path receives, and from whom | [`Model`], [`provider`] |
//! | write a handler | [`Inference`], [`Delivery`], [`Captures`]; with feature `axum` they are extractors |
//! | handle what no sender waits for | [`Inbox::work`], [`Workers`] |
//! | try again, replay, check new types | [`Inbox::retry`], [`Inbox::replay`], [`Inbox::check_types`] |
//! | look into the archive | [`Archive`], [`archive::Query`] |
//! | stack single steps by hand | [`layer`] |
//! | receive from a provider of your own | [`provider::Payload`], [`signature::Scheme`] |
//!
//! The README has a whole program, the answers to every kind of request, and the features.
//!
//! # Cancel safety
//!
//! From the archive on a delivery is handled in a task of its own. A server that drops the answer, since the client has
//! hung up, changes nothing about what was read whole. [`Inbox::stop`] waits for such tasks at the end.

pub mod archive;
#[cfg(feature = "axum")]
pub mod axum;
pub mod delivery;
mod inbox;
pub mod layer;
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
