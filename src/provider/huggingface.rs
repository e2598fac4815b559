//! The Hugging Face Hub: events of repositories, not results of models.
//!
//! The Hub does not sign requests: it sends a secret in [`X-Webhook-Secret`](SECRET). The header `Webhook-Id`
//! identifies a delivery in every attempt and manual replay, and is the key. The id in the member `webhook` is that of
//! the webhook.
//!
//! The Hub suspends a webhook whose deliveries are not answered 2xx. An undecodable delivery is therefore answered 202.
//!
//! Sources: the page on webhooks in `huggingface/hub-docs`, which shows bodies. The tests use bodies of our own in that
//! format. `Webhook-Id` and the suspension are from its pull requests 2749 and 2773 of 2026.
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
//! assert_eq!(event.event.scope.as_deref(), Some("repo.content"));
//! assert_eq!(event.updated_refs[0].new_sha.as_deref(), Some("c379"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use bytes::Bytes;
use http::HeaderName;
use serde::Serialize;
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, Listed, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    decode_json, json::open_struct, standard::message_id,
};
use crate::delivery::Delivery;

/// The header with the secret, for [`token_in_header`](ModelBuilder::token_in_header).
pub const SECRET: HeaderName = HeaderName::from_static("x-webhook-secret");

/// The Hugging Face Hub.
#[derive(Clone, Copy, Debug)]
pub struct HuggingFace;

impl Provider for HuggingFace {
    const NAME: &'static str = "huggingface";

    /// Any status but 2xx is a failure, which is retried and counts towards the suspension of the webhook (page on
    /// webhooks since September 2026; hub-docs, pull request 2773). The number and the interval of retries are not
    /// published.
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// An event in a repository.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub event: What,
    /// The repository. Without members if absent.
    pub repo: Repo,
    /// Branches and tags that changed. Empty if absent.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub updated_refs: Listed<UpdatedRef>,
    /// The discussion or pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discussion: Option<Value>,
    /// The comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Value>,
    /// The webhook. Without members if absent.
    pub webhook: Hook,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event { event, repo, updated_refs = "updatedRefs", discussion, comment, webhook } }

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct What {
    /// `create`, `delete`, `update` or `move`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// `repo`, `repo.content`, `repo.config`, `discussion` or `discussion.comment`. Treat a longer value as an update
    /// of the scope with which it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { What { action, scope } }

/// A repository.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Repo {
    /// `model`, `dataset` or `space`. In JSON: `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Owner and name, separated by a slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether the repository is private.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// The latest commit of `main`. Absent from events of discussions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_sha: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable Repo { kind = "type", name, id, private, head_sha = "headSha" } }

/// A branch or tag that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdatedRef {
    /// Its name, such as `refs/heads/main`. In JSON: `ref`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The previous commit. Null for a new branch or tag.
    pub old_sha: Option<String>,
    /// The current commit. Null for a deleted branch or tag.
    pub new_sha: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { UpdatedRef { name = "ref", old_sha = "oldSha", new_sha = "newSha" } }

/// A webhook.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hook {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The version of the format, 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable Hook { id, version } }

impl Payload for Event {
    type Provider = HuggingFace;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The repository, with the event as the version: the body has no id that distinguishes two such events.
    fn key(&self) -> InferenceKey {
        let What { action, scope, .. } = &self.event;
        let [action, scope] = [action, scope].map(|word| word.as_deref().unwrap_or_default());
        let repo = self.repo.id.as_deref().unwrap_or_default();
        InferenceKey::versioned(repo, format!("{scope}:{action}"))
    }

    /// `Webhook-Id`, which is the same in every attempt and replay; without it, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match message_id(delivery) {
            Some(id) => InferenceKey::new(id),
            None => InferenceKey::of_body(delivery),
        }
    }
}

/// Starts a model for a webhook of the Hub, decoded to [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
