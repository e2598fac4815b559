//! placeholder
use super::*;
/// x
#[derive(Debug, serde::Deserialize, serde::Serialize)]
pub struct ImageGroup {
    /// id
    #[serde(rename = "_id")]
    pub id: String,
    /// status
    pub status: Status,
}
/// x
pub type Status = String;
/// x
pub struct FoxyAi;
impl Provider for FoxyAi {
    const NAME: &'static str = "foxyai";
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX;
}
impl Payload for ImageGroup {
    type Provider = FoxyAi;
    fn decode(b: &bytes::Bytes) -> Result<Self, DecodeError> {
        decode_json(b)
    }
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.id)
    }
}
/// x
pub fn image_group() -> ModelDraft<ImageGroup> {
    ModelDraft::new()
}
