//! The doctor: why was a delivery refused? It tells what **would** have matched, and accepts nothing.
//!
//! Offline: for the head and the body of a refused request, its time of receipt and the scheme that refused it, it
//! tries a closed list of things that are often mistaken. Never call it to answer a request: whoever sends can learn
//! from its findings.
//!
//! | tried | told |
//! |---|---|
//! | all as it was | no difference: the scheme accepts it. Ask the schemes of other models this to find a swapped secret |
//! | the body without line breaks, without the last one, with one more, unzipped | which form of the body was signed |
//! | secrets that were not valid at the time of receipt | that a secret has expired, or is not valid yet |
//! | secrets without the white space around them | that a line break was copied along |
//! | keys read as text, and as base64 with or without `whsec_` before it | how the secret becomes a key |
//! | hexadecimal and base64, seconds and milliseconds | what the sender writes |
//! | the headers of well-known providers, with and without a time, both sets of names of Standard Webhooks | where the signature is |
//! | the headers, and the parameters of the query, that tokens are often in | where the token is |
//! | any time | that clocks differ, or that a recorded request was sent again |
//! | the prefix missing, in another case, or `sha256=` | what stands before the signature |
//! | the header read as a list with commas | that a header holds several signatures |
//!
//! What the head alone shows, [`examine_head`] finds without a secret and without hashing. The log line of a 401 carries it.
//!
//! Each change to the body is tried with each of the others. A body that a proxy unzipped after it was signed zipped is not
//! on the list: nobody can zip it to the same bytes again. A token cannot be looked into where
//! the head comes from an archive, which never holds it.
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
mod well_known;

pub(super) use examine::other_prefixes;
pub use examine::{BodyChange, Difference, Finding, Variant, examine};
pub use head::{HeadFinding, examine_head};
pub(super) use well_known::{
    TIMED_HEADERS, TIMED_LISTS, TOKEN_HEADERS, TOKEN_PARAMETERS, WELL_KNOWN,
};
