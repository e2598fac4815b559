use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Document, Job, MindeeV1};
use crate::provider::{
    DecodeError, InferenceKey, OtherMembers, Payload, decode_json, members::open_struct,
};

/// A prediction of any product, as it came.
pub type Prediction = Map<String, Value>;

/// What Mindee V1 posts: a document with its prediction of type `P`, and the job that it was enqueued as.
///
/// A failed job has no document. Whether it is posted is not documented, but Mindee's own loader of webhooks is tested
/// with one. What polling adds, such as `api_request`, is in `other`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Response<P = Prediction> {
    /// The document. None where the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document<P>>,
    /// The job.
    pub job: Job,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Response<P> { job } strict { document } }

impl<P> Response<P> {
    /// What was found in the document as a whole, if there is one.
    pub fn prediction(&self) -> Option<&P> {
        Some(&self.document.as_ref()?.inference.prediction)
    }
}

impl<P: DeserializeOwned + Send + Sync + 'static> Payload for Response<P> {
    type Provider = MindeeV1;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `job.id`: the one id that a failed job has, too.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job.id)
    }
}
