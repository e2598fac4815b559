use std::{collections::BTreeMap, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Annotation, Status};
use crate::provider::{
    OtherMembers, Text,
    json::{AnyJson, open_struct, tolerant},
};

/// The run of a model on an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelRun {
    /// The name of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The version of the model, such as `1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// The status of the run. `None` if only the name is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The prediction. Empty where nothing was.
    #[serde(skip_serializing_if = "Results::is_absent")]
    pub results: Results,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable ModelRun { name, version, status, results } }

/// The model runs on an image, by the name of the model. Derefs to a map.
///
/// In JSON, an object; or a list of names, as in a client's request: each is a run without other members.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ModelRuns(Option<BTreeMap<Text, ModelRun>>);

/// The annotations of a model. Derefs to a slice.
///
/// In JSON, a list, or an object for a single annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Results(Option<Vec<Annotation>>);

impl ModelRuns {
    pub(super) fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl Results {
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl Deref for ModelRuns {
    type Target = BTreeMap<Text, ModelRun>;

    fn deref(&self) -> &Self::Target {
        const NONE: &BTreeMap<Text, ModelRun> = &BTreeMap::new();
        self.0.as_ref().unwrap_or(NONE)
    }
}

impl Deref for Results {
    type Target = [Annotation];

    fn deref(&self) -> &[Annotation] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for ModelRuns {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<Runs>::deserialize(json)?.map(|Runs(runs)| runs)))
    }
}

/// Runs that are not null.
struct Runs(BTreeMap<Text, ModelRun>);

impl<'de> Deserialize<'de> for Runs {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(RunsVisitor)
    }
}

struct RunsVisitor;

impl<'de> Visitor<'de> for RunsVisitor {
    type Value = Runs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of runs, or a list of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut runs: A) -> Result<Runs, A::Error> {
        tolerant::entries(&mut runs).map(Runs)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Runs, A::Error> {
        let names: Vec<Text> = tolerant::elements(&mut names)?;
        Ok(Runs(names.into_iter().map(|name| (name, ModelRun::default())).collect()))
    }
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<Annotations>::deserialize(json)?.map(|Annotations(all)| all)))
    }
}

/// Results that are not null.
struct Annotations(Vec<Annotation>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of annotations, or one of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Annotations, A::Error> {
        let members = OtherMembers::deserialize(MapAccessDeserializer::new(members))?;
        Ok(Annotations(vec![Annotation::of_object(members)]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Annotations, A::Error> {
        tolerant::elements(&mut list).map(Annotations)
    }
}
