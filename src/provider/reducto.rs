//! Reducto: thin notices that a document was parsed.
//!
//! In the mode called Svix a notice is signed, with headers named `svix-…`. In the direct mode nothing is: put a token
//! into the URL. The result is fetched with `job_id`.
//!
//! Sources: Reducto's pages on Svix and direct webhooks, read. The signature is that of Standard Webhooks under other
//! names, verified with the vector of its specification; no posted body was found.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, reducto::{Notice, Status}};
//!
//! let body = Bytes::from_static(br#"{"status": "Completed", "job_id": "j1", "metadata": {"order": 7}}"#);
//! let notice = Notice::decode(&body)?;
//! assert_eq!(notice.status, Some(Status::Completed));
//! assert_eq!(notice.key().id(), "j1");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json,
    json::{open_enum, open_struct},
};
use crate::signature::{SecretSet, StandardWebhooks};

/// Reducto.
#[derive(Clone, Copy, Debug)]
pub struct Reducto;

impl Provider for Reducto {
    const NAME: &'static str = "reducto";

    /// The direct mode tries three times more; Svix has its own schedule, and disables an endpoint that fails for long
    /// (pages on webhooks). The same bytes would come again.
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// Standard Webhooks in headers named `svix-…` (page on Svix webhooks).
impl SignedProvider for Reducto {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets).svix()
    }
}

open_enum! {
    /// How a job ended (page on direct webhooks).
    pub enum Status {
        Completed = "Completed",
        Failed = "Failed",
    }
}

/// A job has ended, and can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The id to fetch the result with.
    pub job_id: String,
    /// What the caller gave along, echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Notice { status, job_id, metadata } }

impl Payload for Notice {
    type Provider = Reducto;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `job_id`: a job ends once.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job_id)
    }
}

/// An account at Reducto, loaded into [`Notice`].
pub fn notice() -> ModelBuilder<Notice> {
    ModelBuilder::new()
}
