//! The steps of a request, each a tower layer.
//!
//! ```text
//! route ─▶ buffer ─▶ verify ─▶ archive ─▶ dispatch ─▶ process ─▶ your service
//! ```
//!
//! [`Inbox`](crate::Inbox) stacks them in this order. To put other middleware between two of them, stack them with
//! `tower::ServiceBuilder`. All layers have the same response body, [`ResponseBody`], so that layers of tower-http fit
//! around and between them. The body type of a request encodes how far it has come, and each layer accepts only what
//! the one before it makes, so that a wrong order does not compile:
//!
//! ```compile_fail,E0277
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Service, ServiceBuilder, service_fn};
//! use tower_inbox::{archive::MemoryArchive, layer::*};
//!
//! let processor = Processor::new(MemoryArchive::new());
//! let mut service = ServiceBuilder::new()
//!     .layer(RouteLayer::new(Models::new()))
//!     .layer(BufferLayer::new(Budget::default()))
//!     // Archived before it is verified: strangers could fill the disk.
//!     .layer(ArchiveLayer::inline(&processor))
//!     .layer(VerifyLayer::new())
//!     .layer(DispatchLayer::new())
//!     .layer(ProcessLayer::new())
//!     .service(service_fn(async |_: Request<InboxBody<Full<bytes::Bytes>>>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//!     }));
//! let _ = service.call(Request::new(Full::<bytes::Bytes>::default()));
//! ```
//!
//! With the two layers exchanged it compiles:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Service, ServiceBuilder, service_fn};
//! use tower_inbox::{archive::MemoryArchive, layer::*};
//!
//! let processor = Processor::new(MemoryArchive::new());
//! let mut service = ServiceBuilder::new()
//!     .layer(RouteLayer::new(Models::new()))
//!     .layer(BufferLayer::new(Budget::default()))
//!     .layer(VerifyLayer::new())
//!     .layer(ArchiveLayer::inline(&processor))
//!     .layer(DispatchLayer::new())
//!     .layer(ProcessLayer::new())
//!     .service(service_fn(async |_: Request<InboxBody<Full<bytes::Bytes>>>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//!     }));
//! let _ = service.call(Request::new(Full::<bytes::Bytes>::default()));
//! ```
//!
//! No layer changes the error type of the inner service, and a rejection is a response, never an error: an error would
//! close the connection.

mod archive;
mod batch;
mod body;
mod buffer;
mod dispatch;
mod future;
mod process;
mod route;
pub mod step;
mod verify;

use std::mem;

pub use archive::{ArchiveFuture, ArchiveLayer, ArchiveService};
pub use batch::{Batch, BatchLayer, BatchService, EachStatus, InBatch};
pub use body::{BufferedBody, InboxBody, RoutedBody};
pub use buffer::{Budget, BufferFuture, BufferLayer, BufferService, DEFAULT_BYTES_IN_FLIGHT};
pub use dispatch::{DispatchLayer, DispatchService};
pub use future::StepFuture;
pub use process::{ProcessFuture, ProcessLayer, ProcessService};
pub(crate) use route::PeerAddress;
pub use route::{ModelError, Models, RouteLayer, RouteService};
pub use verify::{Quarantine, VerifyFuture, VerifyLayer, VerifyService};

pub use crate::{
    delivery::Captures,
    process::{
        Attempt, BoxError, Clock, DELIVERY_ID, Disposition, Failure, PayloadType, Processor,
        REPEAT, Rejection, Repeat, ResponseBody,
    },
};

/// Takes the service that was polled ready, and leaves a clone in its place.
///
/// Only the one that was polled ready may be called: it may hold a permit that its clones do not have.
fn take_ready<S: Clone>(inner: &mut S) -> S {
    let clone = inner.clone();
    mem::replace(inner, clone)
}
