//! Reducto: notices of parsed documents.
//!
//! In Svix mode, notices are signed, with headers with the prefix `svix-`. In direct mode, they are not signed: put a
//! token into the URL. Fetch the result with `job_id`.
//!
//! Sources: Reducto's pages on Svix and direct webhooks. The signature is that of Standard Webhooks with other header
//! names, tested with the vector of its specification. No real body was available.
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

    /// Direct mode retries three times. Svix has its own schedule, and disables an endpoint that keeps failing (pages
    /// on webhooks). A retry sends the same bytes.
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// Standard Webhooks, with headers with the prefix `svix-` (page on Svix webhooks).
impl SignedProvider for Reducto {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets).svix()
    }
}

open_enum! {
    /// The outcome of a job (page on direct webhooks).
    pub enum Status {
        Completed = "Completed",
        Failed = "Failed",
    }
}

/// A notice that the result of a job can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The id of the result.
    pub job_id: String,
    /// The caller's metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Notice { status, job_id, metadata } }

impl Payload for Notice {
    type Provider = Reducto;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `job_id`: a job finishes once.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job_id)
    }
}

/// Starts a model for an account at Reducto, decoded to [`Notice`].
pub fn notice() -> ModelBuilder<Notice> {
    ModelBuilder::new()
}
