//! The doctor: finds out why a delivery was rejected, by determining which scheme **would** have accepted it.
//!
//! For offline use: for the head, body and time of receipt of a rejected request, it tries variants of the scheme with
//! settings that are often wrong. Never return findings to the sender, who could learn from them.
//!
//! | tried | finding |
//! |---|---|
//! | the scheme as it is | the scheme accepts the request. Try the schemes of other models to find a swapped secret |
//! | the body without line breaks, without or with a final one, decompressed | the form of the body that was signed |
//! | secrets that were not valid at the time of receipt | a secret has expired, or is not valid yet |
//! | secrets without surrounding white space | a line break was copied with the secret |
//! | keys as text, and as base64 with or without `whsec_` | the key encoding |
//! | hexadecimal and base64, seconds and milliseconds | the format of the sender |
//! | the headers of well-known providers, with and without a timestamp, both sets of names of Standard Webhooks | the location of the signature |
//! | common headers and query parameters of tokens | the location of the token |
//! | any timestamp | clocks differ, or a recorded request was replayed |
//! | no prefix, another case, or `sha256=` | the prefix of the signature |
//! | the header as a comma-separated list | the header contains several signatures |
//!
//! [`examine_head`] examines only the head, without a secret and without hashing. The log line of a 401 contains its
//! finding.
//!
//! Each change to the body is combined with each other change. A body that was signed compressed, and then decompressed
//! by a proxy, cannot be verified, because it cannot be compressed to the same bytes again. A token cannot be verified
//! for a head from an archive, because archives never contain tokens.
//!
//! ```
//! use std::time::SystemTime;
//! use http::{HeaderName, Request};
//! use tower_inbox::signature::{HmacBody, Scheme, Secret, doctor};
//!
//! let header = HeaderName::from_static("x-signature");
//! let scheme = |secret: &str| HmacBody::new(header.clone(), Secret::new(secret));
//! let now = SystemTime::now();
//! let (mut head, ()) = Request::post("/hooks/invoices").body(())?.into_parts();
//! scheme("correct horse").signature("", b"{}", now)?.add_to(&mut head)?;
//!
//! let pasted = scheme("correct horse\n");
//! assert!(pasted.verify(&head, b"{}", now).is_err());
//! let findings = doctor::examine(&pasted, &head, b"{}", now);
//! assert_eq!(findings[0].to_string(), "secret main would match without the white space around it");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod examine;
mod head;

pub(super) use examine::other_prefixes;
pub use examine::{BodyChange, Difference, Finding, Variant, examine};
pub(super) use examine::{TIMED_HEADERS, TIMED_LISTS, TOKEN_HEADERS, TOKEN_PARAMETERS, WELL_KNOWN};
pub use head::{HeadFinding, examine_head};
