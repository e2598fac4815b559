//! Schemes that sign a text of timestamp, body and headers: the template, where sender and receiver find each other's
//! values, and what is common to all keys.

mod hmac_template;
mod placement;
mod shape;
#[expect(clippy::module_inception, reason = "the folder is named after what it is about")]
mod template;

pub use hmac_template::HmacTemplate;
pub use placement::Placement;
#[cfg(feature = "ed25519")]
pub(super) use shape::{Shape, slices};
