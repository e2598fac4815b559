use std::ops::Deref;

use serde::{Deserialize, Serialize, de::Error};

use super::{Confidence, Locations};
use crate::provider::{OtherMembers, members::open_struct, read::empty};

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

open_struct! { or_empty Object<F> { confidence, locations } strict { fields } }

impl<F> Object<F> {
    /// What null is read as: an object without fields, if `F` can be one.
    fn empty<'de, E: Error>() -> Result<Self, E>
    where
        F: Deserialize<'de>,
    {
        empty().map(|fields: F| Self::from(fields))
    }
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
