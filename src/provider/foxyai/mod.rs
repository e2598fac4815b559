//! FoxyAI: scores and classes of rooms, finishes and damage in images of properties.
//!
//! FoxyAI does not sign requests: put a token into the query of the URL. It sends the whole group after each update,
//! and does not guarantee the order: keep a state only if it [is newer](ImageGroup::is_newer_than) than the one that
//! you have.
//!
//! Sources: FoxyAI's article on webhooks (2022-12-06) and, for the format of a group, the interface and the recorded
//! result in the client app `calebmiles020415/east-street-360pv`. No real body was available: it is assumed to have the
//! format that a GET returns.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, foxyai::{ImageGroup, Annotation, Status}};
//!
//! let body = Bytes::from_static(br#"{
//!     "_id": "g1", "name": "Elm Street 4", "status": "processing",
//!     "createdAt": "2026-03-01T09:00:00.000Z", "updatedAt": "2026-03-01T09:00:07.250Z",
//!     "images": [{
//!         "_id": "i1", "url": "https://example.com/kitchen.jpg", "status": "completed",
//!         "createdAt": "2026-03-01T09:00:00.000Z", "updatedAt": "2026-03-01T09:00:05.000Z",
//!         "models": {"condition_score": {"name": "condition_score", "version": "1.0", "status": "completed",
//!             "results": [{"annotationType": "SCORE", "class": "Condition", "score": 3.5}]}}
//!     }]
//! }"#);
//!
//! let group = ImageGroup::decode(&body)?;
//! assert_eq!(group.status, Some(Status::Processing));
//! assert_eq!(group.key().to_string(), "g1@2026-03-01T09:00:07.250Z");
//! for image in &group.images {
//!     for annotation in image.annotations() {
//!         if let Annotation::Score(score) = annotation {
//!             assert_eq!((score.class.as_str(), score.score), ("Condition", 3.5));
//!         }
//!     }
//! }
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

mod annotation;
mod image;
mod model;
mod model_run;
mod timestamp;

pub use annotation::{Annotation, Centroid, Classification, Coordinate, Material, Position, Score};
pub use image::{ComputedMetrics, Image, ImageGroup, Means};
pub use model::{FoxyAi, MODELS, Status, image, image_group};
pub use model_run::{ModelRun, ModelRuns, Results};
