//! The steps of a request, each a tower layer of its own.
//!
//! ```text
//! route ─▶ buffer ─▶ verify ─▶ archive ─▶ accept ─▶ dedup ─▶ decode ─▶ single ─▶ run ─▶ your service
//! ```
//!
//! [`Inbox`](crate::Inbox) puts them into this order. Whoever wants other middleware between two of them stacks them
//! by hand with `tower::ServiceBuilder`. The body type of a request says how far it has come, and each layer accepts
//! only what the one before it makes, so that a wrong order does not compile:
//!
//! ```compile_fail,E0277
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Service, ServiceBuilder, service_fn};
//! use tower_inbox::{archive::MemoryArchive, layer::*};
//!
//! let custody = Custody::new(MemoryArchive::new());
//! let mut service = ServiceBuilder::new()
//!     .layer(RouteLayer::new(Models::new()))
//!     .layer(BufferLayer::new(Budget::default()))
//!     // The archive before the signature: strangers could fill the disk.
//!     .layer(ArchiveLayer::new(custody))
//!     .layer(VerifyLayer::new())
//!     .layer(DedupLayer::new())
//!     .layer(DecodeLayer::new())
//!     .layer(SingleLayer::new())
//!     .layer(RunLayer::new())
//!     .service(service_fn(async |_: Request<InboxBody<Full<bytes::Bytes>>>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//!     }));
//! let _ = service.call(Request::new(Full::<bytes::Bytes>::default()));
//! ```
//!
//! With the two layers exchanged it does:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Service, ServiceBuilder, service_fn};
//! use tower_inbox::{archive::MemoryArchive, layer::*};
//!
//! let custody = Custody::new(MemoryArchive::new());
//! let mut service = ServiceBuilder::new()
//!     .layer(RouteLayer::new(Models::new()))
//!     .layer(BufferLayer::new(Budget::default()))
//!     .layer(VerifyLayer::new())
//!     .layer(ArchiveLayer::new(custody))
//!     .layer(DedupLayer::new())
//!     .layer(DecodeLayer::new())
//!     .layer(SingleLayer::new())
//!     .layer(RunLayer::new())
//!     .service(service_fn(async |_: Request<InboxBody<Full<bytes::Bytes>>>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//!     }));
//! let _ = service.call(Request::new(Full::<bytes::Bytes>::default()));
//! ```
//!
//! No layer changes the error type of the service inside, and a refusal is a response, never an error: an error would
//! close the connection.

mod accept;
mod archive;
mod attempt;
mod background;
mod body;
mod buffer;
mod claim;
mod clock;
mod custody;
mod decode;
mod dedup;
mod future;
mod handling;
mod judge;
pub(crate) mod metrics;
mod ready;
mod refusal;
mod reply;
mod route;
mod run;
mod single;
pub mod step;
mod taken;
mod terms;
mod verdict;
mod verify;

pub use accept::{AcceptFuture, AcceptLayer, AcceptService};
pub use archive::{ArchiveFuture, ArchiveLayer, ArchiveService};
pub use attempt::Attempt;
pub(crate) use attempt::Cause;
pub use background::Retries;
pub(crate) use background::{Job, Limits, Taken};
pub use body::{Held, InboxBody, Routed};
pub use buffer::{Budget, BufferLayer, BufferService, DEFAULT_BYTES_IN_FLIGHT, ReadBody};
pub use clock::Clock;
pub use custody::Custody;
pub use decode::{DecodeLayer, DecodeService};
pub use dedup::{DedupLayer, DedupService};
pub use future::StepFuture;
use ready::take_ready;
pub use refusal::Refusal;
pub use reply::{DELIVERY_ID, Reply};
pub use route::{Captures, ModelError, Models, RouteLayer, RouteService};
pub use run::{RunFuture, RunLayer, RunService};
pub use single::{SingleLayer, SingleService};
pub(crate) use taken::{Given, request_again};
pub(crate) use terms::Terms;
use verdict::Verdict;
pub use verify::{Quarantine, VerifyLayer, VerifyService};
