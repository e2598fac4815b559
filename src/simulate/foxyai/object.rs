//! Groups, images and model runs, and their JSON.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::delivery::Webhook;
use crate::provider::foxyai::Status;

/// A group of images, without the images.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// In the order in which they were added.
    pub(super) image_ids: Vec<String>,
    pub(super) webhook: Option<Webhook>,
}

/// An image and its model runs.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) name: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) group_ids: Vec<String>,
    /// The number of models that were requested.
    pub(super) requested: usize,
    /// The runs that have ended.
    pub(super) runs: Vec<Run>,
    pub(super) webhook: Option<Webhook>,
}

/// A model run that has ended.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) model: String,
    pub(super) outcome: RunOutcome,
}

/// How a model run ended.
#[derive(Clone, Debug)]
pub(super) enum RunOutcome {
    /// With these annotations.
    Completed(Value),
    Failed,
}

impl Group {
    /// The group as it is posted and returned.
    pub(super) fn json(&self, images: &[&Image]) -> Value {
        let group = json!({
            "_id": self.id,
            "createdAt": self.created_at.to_string(),
            "updatedAt": self.updated_at.to_string(),
            "status": combined(images.iter().map(|image| image.status())),
            "metaData": self.metadata,
            "computedMetrics": metrics(images),
            "images": images.iter().map(|image| image.json()).collect::<Vec<_>>(),
        });
        with_name(group, self.name.as_deref())
    }
}

impl Image {
    pub(super) fn status(&self) -> Status {
        let missing = (self.runs.len() < self.requested).then_some(Status::Processing);
        combined(self.runs.iter().map(|run| run.outcome.status()).chain(missing))
    }

    /// The image as it is posted, and as a part of a group.
    pub(super) fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| (run.model.clone(), run.json()));
        let image = json!({
            "_id": self.id,
            "url": self.url,
            "createdAt": self.created_at.to_string(),
            "updatedAt": self.updated_at.to_string(),
            "tags": self.tags,
            "imageGroups": self.group_ids,
            "status": self.status(),
            "models": runs.collect::<Map<_, _>>(),
        });
        with_name(image, self.name.as_deref())
    }

    /// Returns the score of a model, if it has one.
    fn score(&self, model: &str) -> Option<f64> {
        let run = self.runs.iter().find(|run| run.model == model)?;
        match &run.outcome {
            RunOutcome::Completed(results) => results.pointer("/0/score")?.as_f64(),
            RunOutcome::Failed => None,
        }
    }
}

impl Run {
    fn json(&self) -> Value {
        let results = match &self.outcome {
            RunOutcome::Completed(results) => results.clone(),
            RunOutcome::Failed => json!([]),
        };
        json!({
            "name": self.model, "version": "1.0", "status": self.outcome.status(), "results": results,
        })
    }
}

impl RunOutcome {
    fn status(&self) -> Status {
        match self {
            Self::Completed(_) => Status::Completed,
            Self::Failed => Status::Failed,
        }
    }
}

/// Adds the name, if there is one. FoxyAI leaves out a name that is missing.
fn with_name(mut object: Value, name: Option<&str>) -> Value {
    if let (Some(members), Some(name)) = (object.as_object_mut(), name) {
        members.insert("name".to_owned(), name.into());
    }
    object
}

/// The status of a whole, from those of its parts. Without parts it is completed, as an empty group is.
fn combined(parts: impl Iterator<Item = Status>) -> Status {
    let parts: Vec<_> = parts.collect();
    let all = |status: &Status| parts.iter().all(|part| part == status);
    if parts.iter().any(|part| !part.is_final()) {
        Status::Processing
    } else if all(&Status::Completed) {
        Status::Completed
    } else if all(&Status::Failed) {
        Status::Failed
    } else {
        Status::PartialFailure
    }
}

/// The mean scores of all images. The means of rooms are left out.
fn metrics(images: &[&Image]) -> Value {
    let mean = |model| {
        let scores: Vec<f64> = images.iter().filter_map(|image| image.score(model)).collect();
        let count = u32::try_from(scores.len()).ok().filter(|count| *count > 0)?;
        Some(scores.iter().sum::<f64>() / f64::from(count))
    };
    let means = |name: &str, model| match mean(model) {
        Some(mean) => json!({ name: mean }),
        None => json!({}),
    };
    json!({
        "condition": means("ImageGroupCondition", "condition_score"),
        "quality": means("ImageGroupQuality", "quality_score"),
    })
}

/// A time in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp(u64);

/// In FoxyAI's format: RFC 3339 with milliseconds and `Z`.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(self.0);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

/// The times of updates. Each is later than the one before, because `updatedAt` is the only version of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Timestamp,
}

impl Clock {
    pub(super) fn next(&mut self, now: SystemTime) -> Timestamp {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or_default();
        self.last = Timestamp(now.max(self.last.0 + 1));
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_update_has_a_later_time_than_the_one_before() {
        let mut clock = Clock::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_355_607_250);
        let times = [now, now, now - Duration::from_secs(5), now + Duration::from_secs(1)];
        let texts = times.map(|time| clock.next(time).to_string());
        let expected = ["07.250Z", "07.251Z", "07.252Z", "08.250Z"];
        assert_eq!(texts, expected.map(|end| format!("2026-03-01T09:00:{end}")));
    }

    #[test]
    fn status_of_a_whole_is_that_of_its_parts() {
        use Status::{Completed, Failed, PartialFailure, Processing};
        for (parts, expected) in [
            (vec![], Completed),
            (vec![Completed, Completed], Completed),
            (vec![Completed, Failed, Processing], Processing),
            (vec![Completed, Failed], PartialFailure),
            (vec![Completed, PartialFailure], PartialFailure),
            (vec![Failed, Failed], Failed),
        ] {
            assert_eq!(combined(parts.clone().into_iter()), expected, "{parts:?}");
        }
    }
}
