use std::{collections::BTreeMap, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::{Annotation, Status};
use crate::provider::{OtherMembers, Text, members::read_members, tolerant};

/// What one model made of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelRun {
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The model's version, such as `1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// How far the run has come. None where nothing is known of it but its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What was found. Empty where nothing was.
    #[serde(skip_serializing_if = "Results::is_absent")]
    pub results: Results,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

read_members! { nullable ModelRun { name, version, status, results } }

/// The runs of models on an image, by the model's name. Derefs to a map.
///
/// In JSON an object; or a list of names, which is what a client asks for: each is a run of which nothing else is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ModelRuns(Option<BTreeMap<Text, ModelRun>>);

/// What a model found: a list of annotations. Derefs to a slice.
///
/// In JSON a list. An object, which is what one model may write, is read as a list of this one annotation.
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
        json.deserialize_option(RunsVisitor)
    }
}

struct RunsVisitor;

impl<'de> Visitor<'de> for RunsVisitor {
    type Value = ModelRuns;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of runs, or a list of names")
    }

    fn visit_none<E>(self) -> Result<ModelRuns, E> {
        Ok(ModelRuns::default())
    }

    fn visit_unit<E>(self) -> Result<ModelRuns, E> {
        Ok(ModelRuns::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<ModelRuns, D::Error> {
        json.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut runs: A) -> Result<ModelRuns, A::Error> {
        tolerant::entries(&mut runs).map(|runs| ModelRuns(Some(runs)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<ModelRuns, A::Error> {
        let names: Vec<Text> = tolerant::elements(&mut names)?;
        Ok(ModelRuns(Some(names.into_iter().map(|name| (name, ModelRun::default())).collect())))
    }
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_option(ResultsVisitor)
    }
}

struct ResultsVisitor;

impl<'de> Visitor<'de> for ResultsVisitor {
    type Value = Results;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of annotations, or one of them")
    }

    fn visit_none<E>(self) -> Result<Results, E> {
        Ok(Results::default())
    }

    fn visit_unit<E>(self) -> Result<Results, E> {
        Ok(Results::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Results, D::Error> {
        json.deserialize_any(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Results, A::Error> {
        Annotation::of_members(members).map(|only| Results(Some(vec![only])))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Results, A::Error> {
        tolerant::elements(&mut list).map(|list| Results(Some(list)))
    }
}
