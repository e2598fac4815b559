use super::ImageGroup;
use crate::provider::{ModelDraft, Profile, Provider};

/// FoxyAI.
#[derive(Clone, Copy, Debug)]
pub struct FoxyAi;

impl Provider for FoxyAi {
    const NAME: &'static str = "foxyai";

    /// FoxyAI posts until it is accepted, or until it judges the server too unhealthy and gives up (article on
    /// webhooks). What cannot be decoded stays so when it comes again: to refuse it would only cost the endpoint its
    /// health, and the deliveries after it. It is archived, and can be replayed.
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX;
}

/// A group of images, loaded into [`ImageGroup`].
///
/// ```
/// use tower_inbox::{Secret, provider::foxyai};
///
/// let model = foxyai::image_group().token_in_query("token", Secret::new("correct horse"));
/// # let _ = model;
/// ```
pub fn image_group() -> ModelDraft<ImageGroup> {
    ModelDraft::new()
}
