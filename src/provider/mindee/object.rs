use std::{iter, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, value::MapDeserializer},
};

use super::{Confidence, Locations};
use crate::provider::{
    OtherMembers,
    members::read_members,
    read::{Given, unless_null},
};

/// A field that consists of fields. Derefs to them: `F` is a struct of your own, or [`Fields`](super::Fields).
///
/// In JSON an object with `fields`, or null for one without fields.
///
/// ```
/// use serde::Deserialize;
/// use tower_inbox::provider::mindee::{Field, Object};
///
/// #[derive(Deserialize)]
/// struct Address {
///     city: Field<String>,
/// }
///
/// let address: Object<Address> = serde_json::from_str(r#"{"fields": {"city": {"value": "Paris"}}}"#)?;
/// assert_eq!(address.city.value.as_deref(), Some("Paris"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Object<F> {
    /// What it consists of.
    pub fields: F,
    /// How sure the model is of it as a whole. Null or absent unless the option is on, and mostly even then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Where it stands. Null, absent or empty unless the option is on.
    #[serde(skip_serializing_if = "Locations::is_absent")]
    pub locations: Locations,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// The members of an object.
struct Wire<F> {
    fields: Given<F>,
    confidence: Option<Confidence>,
    locations: Locations,
    other: OtherMembers,
}

read_members! { Wire<F> { confidence, locations } strict { fields } }

/// Null is an object without fields, if `F` can be one.
impl<'de, F: Deserialize<'de>> Deserialize<'de> for Object<F> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let Some(wire) = unless_null::<_, Wire<F>>(json)? else {
            return Ok(no_fields::<F, _>()?.into());
        };
        let Wire { fields, confidence, locations, other } = wire;
        let fields = fields.or_missing("fields")?.map_or_else(no_fields, Ok)?;
        Ok(Self { fields, confidence, locations, other })
    }
}

fn no_fields<'de, F: Deserialize<'de>, E: Error>() -> Result<F, E> {
    F::deserialize(MapDeserializer::new(iter::empty::<(&str, ())>()))
}

impl<F> Deref for Object<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.fields
    }
}

impl<F> From<F> for Object<F> {
    fn from(fields: F) -> Self {
        Self {
            fields,
            confidence: None,
            locations: Locations::default(),
            other: OtherMembers::default(),
        }
    }
}
