//! The Hugging Face Hub: events of repositories. Not results of models.
//!
//! Nothing is signed: a secret comes as it is, in [`X-Webhook-Secret`](SECRET). A delivery has no id: the one in
//! `webhook` is the hook's.
//!
//! Sources: the page on webhooks in `huggingface/hub-docs`, read; it shows whole bodies, and the ones that are tested
//! here are our own after it.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, huggingface::Event};
//!
//! let body = Bytes::from_static(br#"{"event": {"action": "update", "scope": "repo.content"},
//!     "repo": {"type": "model", "name": "acme/cats", "id": "r1", "private": false, "headSha": "c379"},
//!     "updatedRefs": [{"ref": "refs/heads/main", "oldSha": null, "newSha": "c379"}],
//!     "webhook": {"id": "w1", "version": 3}}"#);
//! let event = Event::decode(&body)?;
//! assert_eq!(event.event.scope, "repo.content");
//! assert_eq!(event.updated_refs[0].new_sha.as_deref(), Some("c379"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use bytes::Bytes;
use http::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, Listed, ModelDraft, OtherMembers, Payload, Profile, Provider,
    decode_json,
};
use crate::delivery::Delivery;

/// The header with the secret, for [`token_in_header`](ModelDraft::token_in_header).
pub const SECRET: HeaderName = HeaderName::from_static("x-webhook-secret");

/// The Hugging Face Hub.
#[derive(Clone, Copy, Debug)]
pub struct HuggingFace;

impl Provider for HuggingFace {
    const NAME: &'static str = "huggingface";

    /// The settings of a hook show what each delivery was answered, and can send it again by hand (page on webhooks).
    /// Tries of its own are not mentioned.
    const PROFILE: Profile = Profile::REPORTS_FAILURES;
}

/// Something happened in a repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub event: What,
    /// Where.
    pub repo: Repo,
    /// Branches and tags that moved. Empty where it is absent.
    #[serde(default, skip_serializing_if = "Listed::is_absent")]
    pub updated_refs: Listed<UpdatedRef>,
    /// The discussion or pull request that it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discussion: Option<Value>,
    /// The comment that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Value>,
    /// The hook, which is not the delivery.
    pub webhook: Hook,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct What {
    /// `create`, `delete`, `update` or `move`.
    pub action: String,
    /// `repo`, `repo.content`, `repo.config`, `discussion` or `discussion.comment`. A longer one that begins so is an
    /// update of it.
    pub scope: String,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Repo {
    /// `model`, `dataset` or `space`. On the wire it is `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Owner and name, with a slash between.
    pub name: String,
    /// The id of the repository.
    pub id: String,
    /// Whether strangers cannot see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// The latest commit of `main`. Absent from events of discussions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// A branch or tag that moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdatedRef {
    /// Its name, such as `refs/heads/main`. On the wire it is `ref`.
    #[serde(rename = "ref")]
    pub name: String,
    /// Where it was. Null where it is new.
    pub old_sha: Option<String>,
    /// Where it is. Null where it was deleted.
    pub new_sha: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// The hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hook {
    /// Its id.
    pub id: String,
    /// The version of the format, 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl Payload for Event {
    type Provider = HuggingFace;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The repository, with what happened as the version: no id tells two such events apart.
    fn key(&self) -> InferenceKey {
        let What { action, scope, .. } = &self.event;
        InferenceKey::versioned(&self.repo.id, format!("{scope}:{action}"))
    }

    /// The digest of the body, which does.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        InferenceKey::new(delivery.digest().to_string())
    }
}

/// A hook at the Hub, loaded into [`Event`].
pub fn event() -> ModelDraft<Event> {
    ModelDraft::new()
}
