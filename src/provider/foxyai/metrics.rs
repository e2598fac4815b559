use std::collections::BTreeMap;

use serde::Serialize;

use crate::provider::{OtherMembers, Text, members::read_members};

/// Means over the images of a group, by name for people: rooms such as `Kitchen`, and `Interior`, `Exterior`,
/// `ImageGroupCondition` and `ImageGroupQuality`. A room without images is absent or null, which is what JavaScript
/// writes for the mean of nothing.
pub type Means = BTreeMap<Text, Option<f64>>;

/// Means over the images of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComputedMetrics {
    /// The mean condition score of each room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Means>,
    /// The mean quality score of each room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Means>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

read_members! { ComputedMetrics { condition, quality } }
