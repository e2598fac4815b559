//! AssemblyAI: thin notices that a transcript can be fetched.
//!
//! Nothing is signed: the caller chooses a header and its value, which comes back with every notice. What a request is
//! about can be put into the query of the URL.
//!
//! Sources: the guide on webhooks in AssemblyAI's API description, read; it shows the bodies, and the ones that are
//! tested here are our own after it.
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

    /// Waits for ten seconds for a 2xx, and tries up to ten times, ten seconds apart; any 4xx ends the delivery for
    /// good (guide on webhooks).
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX
        .answered_within(Duration::from_secs(10))
        .tried_for(Duration::from_secs(90));
}

open_enum! {
    /// How it ended (guide on webhooks).
    pub enum Status {
        Completed = "completed",
        Error = "error",
    }
}

/// Something can be fetched. Which kind it is, its members tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Notice {
    /// A transcript.
    Transcript(Transcript),
    /// A recording without what was to be left out.
    RedactedAudio(RedactedAudio),
    /// What was said in a streaming session, whole.
    Session(Session),
}

/// A transcript that can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Transcript {
    /// The id to fetch it with.
    pub transcript_id: String,
    /// How it ended. Absent where it was null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Transcript { transcript_id, status } }

/// A redacted recording that can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RedactedAudio {
    /// Where it lies. May be signed, and so a secret for a while.
    pub redacted_audio_url: String,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    /// Members that are not known here, as they came.
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
    /// What was sent in it.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub messages: Listed<Value>,
    /// Members that are not known here, as they came.
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

    /// The id of transcript or session; of a recording, which has none, the digest of its URL.
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

/// What decides which kind it is.
#[derive(Deserialize)]
struct Peek {
    session_id: Option<IgnoredAny>,
    redacted_audio_url: Option<IgnoredAny>,
}

/// Transcripts of AssemblyAI, loaded into [`Notice`].
pub fn notice() -> ModelBuilder<Notice> {
    ModelBuilder::new()
}
