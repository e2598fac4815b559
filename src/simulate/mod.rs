//! Senders for tests of receivers: signed results with faults on demand, and the APIs of Mindee and FoxyAI as services.
//!
//! | to | see |
//! |---|---|
//! | post signed results, with or without a fault | [`Sender`] |
//! | choose a fault | [`Fault`] |
//! | post a message until it is accepted | [`Message`] |
//! | post to a URL, to a tower service in process, or through TLS | [`Target`] |
//! | test a receiver with all faults and malformed requests | [`Gauntlet`] |
//! | generate payloads | [`Payloads`] |
//! | enqueue files, poll jobs and fetch results, with webhooks | [`Mindee`], a tower service |
//! | create groups of images, with a webhook for each update | [`FoxyAi`], a tower service |
//!
//! The command `inbox simulate` does the same for receivers in other languages.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, service_fn};
//! use tower_inbox::{
//!     Inbox, MemoryArchive, Secret,
//!     provider::mindee,
//!     simulate::{Fault, Payloads, Product, Sender, Target},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let secret = Secret::new("correct horse");
//! let inbox = Inbox::builder(MemoryArchive::new())
//!     .model("/hooks/invoices", mindee::extraction::<mindee::Fields>().signed_with(secret.clone()))
//!     .build()?;
//! let app = inbox.layer().layer(service_fn(async |_: Request<_>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! }));
//!
//! let target = Target::service(app, "/hooks/invoices")?;
//! let sender = Sender::new(target, mindee::signature(secret));
//! let payloads = Payloads::of_mindee(Product::Extraction);
//! for report in sender.run(Fault::CutBody, &payloads).await? {
//!     assert!(report.is_expected(), "{report:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod fault;
mod foxyai;
mod gauntlet;
mod mindee;
mod payloads;
mod plan;
mod report;
mod retry;
mod sender;
mod server;
mod standard;
mod target;
mod wire;

pub use fault::{Fault, UnknownFault};
pub use foxyai::{FoxyAi, FoxyAiBuilder};
pub use gauntlet::{Gauntlet, Scenario, Verdict, VerdictKind};
pub use mindee::{Mindee, MindeeBuilder, Product, UnknownProduct, Webhook};
pub use payloads::{Payloads, PayloadsError};
pub use report::{Answer, Report};
pub use retry::{DeliveryOutcome, Message, Retries};
pub use sender::{NotRun, Sender};
pub use target::{Target, TargetError};
