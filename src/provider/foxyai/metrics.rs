use std::{collections::BTreeMap, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};

use crate::provider::{OtherMembers, Text, members::open_struct, tolerant};

/// Means over the images of a group, by name for people: rooms such as `Kitchen`, and `Interior`, `Exterior`,
/// `ImageGroupCondition` and `ImageGroupQuality`. A room without images is absent or null, which is what JavaScript
/// writes for the mean of nothing.
///
/// Derefs to a map.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Means(BTreeMap<Text, Option<f64>>);

impl Deref for Means {
    type Target = BTreeMap<Text, Option<f64>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Means {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(MeansVisitor)
    }
}

struct MeansVisitor;

impl<'de> Visitor<'de> for MeansVisitor {
    type Value = Means;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut means: A) -> Result<Means, A::Error> {
        tolerant::entries(&mut means).map(Means)
    }
}

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

open_struct! { ComputedMetrics { condition, quality } }
