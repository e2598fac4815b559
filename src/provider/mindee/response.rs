use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error, Unexpected},
};

use super::{ErrorResponse, FailedInference, Mindee, Processed};
use crate::provider::{
    DecodeError, InferenceKey, OtherMembers, Payload, Text, decode_json, members::read_members,
};

/// What an endpoint of Mindee V2 is posted: a processed inference with a result of type `R`, or a failed one.
///
/// The two have nothing in common but that each is an object: the member `inference` makes it a processed one, the
/// member `inference_id` a failed one (fixtures `v2/extraction/*` and `v2/webhook/failed.json`). It is written in the
/// form in which it is posted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Response<R> {
    /// There is a result.
    Processed(Processed<R>),
    /// There is none, and why.
    Failed(FailedInference),
}

impl<R> Response<R> {
    /// The result, or why there is none.
    ///
    /// # Errors
    ///
    /// If the inference failed.
    pub fn result(&self) -> Result<&R, &FailedInference> {
        match self {
            Self::Processed(processed) => Ok(&processed.result),
            Self::Failed(failed) => Err(failed),
        }
    }

    /// The inference with its result, if there is one.
    pub fn processed(&self) -> Option<&Processed<R>> {
        match self {
            Self::Processed(processed) => Some(processed),
            Self::Failed(_) => None,
        }
    }

    /// The failed inference, if it failed.
    pub fn failed(&self) -> Option<&FailedInference> {
        match self {
            Self::Processed(_) => None,
            Self::Failed(failed) => Some(failed),
        }
    }

    /// The id of the inference, whether it failed or not.
    pub fn id(&self) -> &str {
        match self {
            Self::Processed(processed) => &processed.id,
            Self::Failed(failed) => &failed.inference_id,
        }
    }

    /// The tag that the file was sent with, if any, whether the inference failed or not.
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::Processed(processed) => processed.file.alias.as_deref(),
            Self::Failed(failed) => failed.file_alias.as_deref(),
        }
    }
}

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Response<R> {
    type Provider = Mindee;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `inference.id` or `inference_id`. Mindee sends no id of the delivery.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(self.id())
    }
}

/// All members of both forms, so that one pass is enough whatever their order.
struct Wire<R> {
    inference: Option<Processed<R>>,
    inference_id: Option<Text>,
    model_id: Option<Text>,
    file_name: Option<Text>,
    file_alias: Option<Text>,
    error: Option<ErrorResponse>,
    created_at: Option<Text>,
    other: OtherMembers,
}

read_members! {
    Wire<R> { inference, inference_id, model_id, file_name, file_alias, error, created_at }
}

impl<R> Wire<R> {
    fn into_response<E: Error>(mut self) -> Result<Response<R>, E> {
        if let Some(mut processed) = self.inference.take() {
            processed.beside = self.beside().map_err(E::custom)?;
            return Ok(Response::Processed(processed));
        }
        let inference_id = self.inference_id.ok_or_else(|| {
            let expected = "an object with `inference`, or with `inference_id` of a failed one";
            E::invalid_value(Unexpected::Map, &expected)
        })?;
        Ok(Response::Failed(FailedInference {
            inference_id,
            model_id: self.model_id.ok_or_else(|| E::missing_field("model_id"))?,
            file_name: self.file_name.ok_or_else(|| E::missing_field("file_name"))?,
            file_alias: self.file_alias,
            error: self.error,
            created_at: self.created_at.ok_or_else(|| E::missing_field("created_at"))?,
            other: self.other,
        }))
    }

    /// All that stands beside a processed inference, even what has a meaning for a failed one.
    fn beside(self) -> Result<OtherMembers, serde_json::Error> {
        let mut beside = self.other;
        beside.add("inference_id", self.inference_id)?;
        beside.add("model_id", self.model_id)?;
        beside.add("file_name", self.file_name)?;
        beside.add("file_alias", self.file_alias)?;
        beside.add("error", self.error)?;
        beside.add("created_at", self.created_at)?;
        Ok(beside)
    }
}

impl<'de, R: Deserialize<'de>> Deserialize<'de> for Response<R> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Wire::deserialize(json)?.into_response()
    }
}

impl<R: Serialize> Serialize for Response<R> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Processed(processed) => {
                Posted { inference: processed, beside: &processed.beside }.serialize(json)
            }
            Self::Failed(failed) => failed.serialize(json),
        }
    }
}

#[derive(Serialize)]
#[serde(bound = "R: Serialize")]
struct Posted<'a, R> {
    inference: &'a Processed<R>,
    #[serde(flatten)]
    beside: &'a OtherMembers,
}
