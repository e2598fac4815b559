use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Means over the images of a group.
///
/// Keys are names for people: rooms such as `Kitchen`, and `Interior`, `Exterior`, `ImageGroupCondition` and
/// `ImageGroupQuality`. A room without images is absent; one that is null is taken for absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ComputedMetrics {
    /// The mean condition score of a room.
    #[serde(deserialize_with = "numbers")]
    pub condition: BTreeMap<String, f64>,
    /// The mean quality score of a room.
    #[serde(deserialize_with = "numbers")]
    pub quality: BTreeMap<String, f64>,
}

/// Leaves out nulls, which JavaScript writes for the mean of nothing.
fn numbers<'de, D: Deserializer<'de>>(json: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let numbers = Option::<BTreeMap<String, Option<f64>>>::deserialize(json)?.unwrap_or_default();
    Ok(numbers.into_iter().filter_map(|(room, number)| Some((room, number?))).collect())
}
