//! Takes a leased delivery to its next state: decode, single flight of its inference, run the handler, settle.
//!
//! [`process`](processor::Processor::process) is one ordinary async function. The layer of a request and the workers
//! call it alike, and get its result as a value.

mod attempt;
mod expected;
mod failure;
mod handler_result;
mod in_flight;
mod leases;
mod processor;
mod rejection;
mod repeat;
mod request_context;
mod response_body;
pub(crate) mod retry_policy;
mod run;
mod shutdown;
mod single_flight;

pub use attempt::Attempt;
pub(crate) use attempt::Trigger;
pub use expected::Expected;
pub(crate) use expected::{Expectation, ExpectedResults, expected_name, expected_path, json_head};
pub use failure::Failure;
pub(crate) use failure::stated_reason;
pub use handler_result::Disposition;
pub(crate) use in_flight::InFlight;
pub(crate) use leases::Renewals;
pub use processor::Processor;
pub(crate) use processor::{HANDLER_TIMEOUT, Job, ProcessConfig, Processed};
pub(crate) use rejection::RejectedRequest;
pub use rejection::Rejection;
pub(crate) use repeat::Resolution;
pub use request_context::Clock;
pub(crate) use request_context::{RequestContext, logs_details};
pub use response_body::{BoxError, DELIVERY_ID, REPEAT, Repeat, ResponseBody};
pub(crate) use response_body::{accepted, as_the_first, mark_repeat};
pub use retry_policy::RetryPolicy;
pub use run::PayloadType;
pub(crate) use run::{Undecodable, load};
pub(crate) use shutdown::{Shutdown, last_writes};
