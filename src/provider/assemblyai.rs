//! AssemblyAI: notices that a transcript can be fetched.
//!
//! AssemblyAI does not sign requests. The caller chooses a header and its value, which every notice carries. The query
//! of the URL can identify the request.
//!
//! Sources: the webhook guide in AssemblyAI's API description, which shows bodies. The tests use bodies of our own in
//! that format.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, assemblyai::{Notice, Status}};
//!
//! let body = Bytes::from_static(br#"{"transcript_id": "t1", "status": "completed"}"#);
//! let Notice::Transcript(transcript) = Notice::decode(&body)? else { return Ok(()) };
//! assert_eq!((transcript.transcript_id.as_str(), transcript.status), ("t1", Some(Status::Completed)));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, Listed, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    decode_json,
    json::{open_enum, open_struct},
};
use crate::delivery::Digest;

/// AssemblyAI.
#[derive(Clone, Copy, Debug)]
pub struct AssemblyAi;

impl Provider for AssemblyAi {
    const NAME: &'static str = "assemblyai";

    /// Timeout: 10 s. Up to ten attempts, 10 s apart. A 4xx ends the delivery (guide on webhooks).
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX
        .answered_within(Duration::from_secs(10))
        .tried_for(Duration::from_secs(90));
}

open_enum! {
    /// The outcome of a job (guide on webhooks).
    pub enum Status {
        Completed = "completed",
        Error = "error",
    }
}

/// A notice that a result can be fetched. The members determine the variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Notice {
    /// A transcript.
    Transcript(Transcript),
    /// A recording with redactions.
    RedactedAudio(RedactedAudio),
    /// The transcript of a whole streaming session.
    Session(Session),
}

/// A transcript that can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Transcript {
    /// The id of the result.
    pub transcript_id: String,
    /// The outcome. Absent if it was null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Transcript { transcript_id, status } }

/// A redacted recording that can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RedactedAudio {
    /// The URL of the recording. It may be signed: treat it as a secret.
    pub redacted_audio_url: String,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { RedactedAudio { redacted_audio_url, status } }

/// A streaming session that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Session {
    /// The id of the session.
    pub session_id: String,
    /// The messages of the session.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub messages: Listed<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Session { session_id, messages } }

impl Payload for Notice {
    type Provider = AssemblyAi;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        match decode_json(body)? {
            Peek { session_id: Some(_), .. } => decode_json(body).map(Self::Session),
            Peek { redacted_audio_url: Some(_), .. } => decode_json(body).map(Self::RedactedAudio),
            _ => decode_json(body).map(Self::Transcript),
        }
    }

    /// The id of the transcript or session; for a recording, which has no id, the digest of its URL.
    fn key(&self) -> InferenceKey {
        match self {
            Self::Transcript(transcript) => InferenceKey::new(&transcript.transcript_id),
            Self::Session(session) => InferenceKey::new(&session.session_id),
            Self::RedactedAudio(audio) => {
                InferenceKey::new(Digest::of(audio.redacted_audio_url.as_bytes()).to_string())
            }
        }
    }
}

/// The members that determine the variant.
#[derive(Deserialize)]
struct Peek {
    session_id: Option<IgnoredAny>,
    redacted_audio_url: Option<IgnoredAny>,
}

/// Starts a model for transcripts of AssemblyAI, decoded to [`Notice`].
pub fn notice() -> ModelBuilder<Notice> {
    ModelBuilder::new()
}
