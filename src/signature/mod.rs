//! Who sent it: secrets, the schemes that check them, and the proof that a scheme gives.
//!
//! Pure computation without I/O. Every comparison with a secret takes the same time wherever the two differ.

mod error;
mod hmac_body;
mod none;
mod proof;
mod scheme;
mod secret;
mod token;

pub use error::{SchemeError, SignatureError};
pub use hmac_body::{BodyForm, HmacBody};
pub use none::Unsigned;
pub use proof::{ParseProofError, Proof};
pub use scheme::Scheme;
pub use secret::{Secret, SecretError, SecretSet};
pub use token::QueryToken;
