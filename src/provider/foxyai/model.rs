use super::{Image, ImageGroup};
use crate::provider::{ModelBuilder, Profile, Provider, json::open_enum};

/// FoxyAI.
#[derive(Clone, Copy, Debug)]
pub struct FoxyAi;

impl Provider for FoxyAi {
    const NAME: &'static str = "foxyai";

    /// FoxyAI retries until a delivery is accepted, or until it considers the server unhealthy and gives up (article on
    /// webhooks). An undecodable delivery is answered 202: a retry would be undecodable, too, and rejections would make
    /// FoxyAI give up on later deliveries. The delivery is archived, and can be replayed.
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX;
}

/// Starts a model for groups of images, decoded to [`ImageGroup`].
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

/// Starts a model for single images, decoded to [`Image`].
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

/// The names of the known models, for [`Image::model`] (interface of the client app, and its recorded result). In the
/// interface, the last one is misspelled `borken_window`.
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
    /// The status of a group, an image or a model run (interface `StatusType` of the client app).
    ///
    /// Unknown values are kept.
    pub enum Status {
        /// All results are available. A group without images is completed, too.
        Completed = "completed",
        /// More results will follow.
        Processing = "processing",
        /// Some results failed, the others are available.
        PartialFailure = "partial_failure",
        /// Undocumented.
        Generating = "generating",
        /// No results will follow.
        Failed = "failed",
    }
}

impl Status {
    /// Returns true if no results will follow.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::PartialFailure | Self::Failed)
    }
}
