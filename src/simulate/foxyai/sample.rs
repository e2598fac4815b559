//! Sample results of models, and the snapshots of a sample group.

use std::{collections::HashMap, num::NonZeroU32, time::SystemTime};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    object::RunOutcome,
    request::{NewGroup, NewImage},
    store::Store,
};
use crate::simulate::{Payloads, payloads::to_bytes};

/// The models of the images in a sample group.
const MODELS: [&str; 3] = ["room_classification", "condition_score", "finish_detection"];

/// Returns sample annotations of a model. Empty for models whose annotations were never seen, such as
/// `object_detection`: nothing was found.
pub(super) fn results(model: &str) -> Value {
    match model {
        "condition_score" => score("Condition", 4.25),
        "quality_score" => score("Quality", 3.5),
        "image_quality" => score("Image Quality", 0.875),
        "room_classification" => class("Pantry"),
        "scene_classification" => class("Front Yard"),
        "exterior_architectural_style_classification" => class("Cottage"),
        "general_damage" => class("No Damage"),
        "finish_detection" => json!([{
            "annotationType": "CENTROID",
            "class": "Shelf",
            "confidence": 0.8125,
            // The coordinates are strings.
            "centroid": {"x": "0.25", "y": "0.75"},
            "materials": [{"type": "Oak", "confidence": 0.6875}],
        }]),
        _ => json!([]),
    }
}

fn score(class: &str, score: f64) -> Value {
    json!([{"annotationType": "SCORE", "class": class, "score": score}])
}

fn class(class: &str) -> Value {
    json!([{"annotationType": "CLASSIFICATION", "class": class, "confidence": 0.9375}])
}

impl Payloads {
    /// Creates the snapshots of a new image group of FoxyAI, from the first to the completed one, each with a later
    /// `updatedAt`. The earlier state of each is the snapshot before it; that of the first is the group without images.
    /// The failure is a group whose model runs have failed.
    ///
    /// ```
    /// use tower_inbox::{provider::{Payload, foxyai::{ImageGroup, Status}}, simulate::Payloads};
    ///
    /// let snapshots = Payloads::of_foxyai();
    /// let last = ImageGroup::decode(snapshots.last().unwrap().result())?;
    /// assert_eq!(last.status, Some(Status::Completed));
    /// # Ok::<(), tower_inbox::provider::DecodeError>(())
    /// ```
    pub fn of_foxyai() -> Vec<Self> {
        let sample = |model: &str| RunOutcome::Completed(results(model));
        let (states, others) = (states(sample), states(sample));
        let failure = self::states(|_| RunOutcome::Failed).pop().unwrap_or_default();
        let snapshots = states.iter().zip(states.iter().skip(1)).zip(others.into_iter().skip(1));
        let payloads = snapshots.map(|((earlier, result), other)| {
            let payloads = Self::new(result.clone(), other).earlier(earlier.clone());
            payloads.failure(failure.clone()).enumeration("/status")
        });
        payloads.collect()
    }
}

/// Returns the states of a new group: empty, after two images were added, and after each model run.
fn states(outcome: impl Fn(&str) -> RunOutcome) -> Vec<Bytes> {
    let (mut store, now) = (Store::new(NonZeroU32::MAX), SystemTime::now());
    let Ok(group_id) = store.add_group(NewGroup::sample(), now) else { return Vec::new() };
    let images = ["pantry.jpg", "shelves.jpg"].map(|file| NewImage {
        url: format!("https://example.com/{file}"),
        models: MODELS.map(str::to_owned).to_vec(),
        group_ids: vec![group_id.clone()],
        ..NewImage::default()
    });
    let state = |store: &Store| store.group(&group_id).map(|group| to_bytes(&group));
    let mut states = Vec::from_iter(state(&store));
    let image_ids = store.add_images(images.to_vec(), now).unwrap_or_default();
    states.extend(state(&store));
    for image_id in &image_ids {
        for model in MODELS {
            store.end_run(image_id, model, outcome(model), now);
            states.extend(state(&store));
        }
    }
    states
}

impl NewGroup {
    /// A group without a webhook.
    pub(super) fn sample() -> Self {
        Self { name: Some("Mill Lane 3".to_owned()), metadata: Map::new(), webhook: None }
    }
}

/// Returns how a run of this model ends.
pub(super) fn outcome(model: &str, given: &HashMap<String, Value>, is_failing: bool) -> RunOutcome {
    if is_failing {
        return RunOutcome::Failed;
    }
    RunOutcome::Completed(given.get(model).cloned().unwrap_or_else(|| results(model)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{
        Payload,
        foxyai::{Annotation, ImageGroup, MODELS, Status},
    };

    #[test]
    fn sample_snapshots_are_decoded_and_end_with_the_completed_group() {
        let decode = |payloads: &Payloads| ImageGroup::decode(payloads.result()).unwrap();
        let groups: Vec<_> = Payloads::of_foxyai().iter().map(decode).collect();
        assert_eq!(groups.len(), 7);
        for pair in groups.windows(2) {
            assert!(pair[1].is_newer_than(&pair[0]), "{:?}", pair[1].updated_at);
            assert_eq!(pair[0].status, Some(Status::Processing));
        }
        let last = groups.last().unwrap();
        assert_eq!(last.status, Some(Status::Completed));
        assert!(last.other.is_empty() && last.images.iter().all(|image| image.models.len() == 3));
        assert_ne!(last.id, decode(&Payloads::of_foxyai()[0]).id, "ids are new");
        let failure = ImageGroup::decode(Payloads::of_foxyai()[0].failed_result().unwrap());
        assert_eq!(failure.unwrap().status, Some(Status::Failed));
    }

    #[test]
    fn sample_annotations_are_read_by_the_types_of_the_provider() {
        for model in MODELS {
            for annotation in results(model).as_array().unwrap() {
                let read: Annotation = serde_json::from_value(annotation.clone()).unwrap();
                assert!(!matches!(read, Annotation::Other(_)), "{model}: {read:?}");
            }
        }
    }

    #[test]
    fn snapshots_of_foxyai_have_the_one_before_as_their_earlier_state() {
        let snapshots = Payloads::of_foxyai();
        let first = ImageGroup::decode(snapshots[0].earlier_state().unwrap()).unwrap();
        assert!(first.images.is_empty());
        for pair in snapshots.windows(2) {
            assert_eq!(pair[1].earlier_state(), Some(pair[0].result()));
        }
    }
}
