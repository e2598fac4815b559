use super::{Image, ImageGroup};
use crate::provider::{ModelBuilder, Profile, Provider, json::open_enum};

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
pub fn image_group() -> ModelBuilder<ImageGroup> {
    ModelBuilder::new()
}

/// A single image, loaded into [`Image`].
///
/// ```
/// use tower_inbox::{Secret, provider::foxyai};
///
/// let model = foxyai::image().token_in_query("token", Secret::new("correct horse"));
/// # let _ = model;
/// ```
pub fn image() -> ModelBuilder<Image> {
    ModelBuilder::new()
}

/// The models that are known, by the names that [`Image::model`] takes (interface of the client app, and its recorded
/// result). The interface has `borken_window` for the last.
pub const MODELS: [&str; 20] = [
    "object_detection",
    "image_quality",
    "quality_score",
    "condition_score",
    "room_classification",
    "scene_classification",
    "finish_detection",
    "exterior_architectural_style_classification",
    "water_stain",
    "mold_mildew_and_moss",
    "standing_water",
    "soffit_and_fascia",
    "gutter",
    "roof_tarp",
    "roof_damage",
    "peeling_paint",
    "hole",
    "siding_damage",
    "general_damage",
    "broken_window",
];

open_enum! {
    /// How far a group, an image or a model's run has come (interface `StatusType` of the client app).
    ///
    /// Words that are not known yet are kept as they came.
    pub enum Status {
        /// All is there. A group without images is completed, too.
        Completed = "completed",
        /// More will come.
        Processing = "processing",
        /// A part failed, the rest is there.
        PartialFailure = "partial_failure",
        /// Not explained.
        Generating = "generating",
        /// Nothing will come.
        Failed = "failed",
    }
}
