use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Number, Value};

use crate::provider::{Listed, OtherMembers, Text, members::open_struct};

/// A thing, the middle of it, and what it may be made of: model `finish_detection`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Centroid {
    /// What it is, such as `Ceiling Light`.
    pub class: Text,
    /// How sure the model is, 0 to 1.
    pub confidence: f64,
    /// The middle of it.
    pub centroid: Position,
    /// What it may be made of: none, one or two in the recorded result. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub materials: Listed<Material>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Centroid { class, confidence, centroid, materials } }

/// A position on an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// From the left, in parts of the width.
    pub x: Coordinate,
    /// From the top, in parts of the height.
    pub y: Coordinate,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Position { x, y } }

/// A coordinate, 0 to 1. FoxyAI writes a text, such as `"0.77"`; a number is read as well. Written as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Coordinate {
    /// As text.
    Text(Text),
    /// As a number.
    Number(Number),
}

impl Coordinate {
    /// The coordinate as a number; `None` for a text that is none.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.parse().ok().filter(|value: &f64| value.is_finite()),
            Self::Number(number) => number.as_f64(),
        }
    }
}

impl<'de> Deserialize<'de> for Coordinate {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        match Value::deserialize(json)? {
            Value::String(text) => Ok(Self::Text(text.into())),
            Value::Number(number) => Ok(Self::Number(number)),
            _ => Err(de::Error::custom("expected a coordinate as a text or a number")),
        }
    }
}

/// What something may be made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Material {
    /// The material, such as `wood`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// How sure the model is, 0 to 1.
    pub confidence: f64,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Material { kind = "type", confidence } }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_texts_or_numbers_and_stay_so() {
        let json = r#"{"x":"0.7723298435745015","y":1}"#;
        let position: Position = serde_json::from_str(json).unwrap();
        assert_eq!(position.x.value(), Some(0.772_329_843_574_501_5));
        assert_eq!(position.y.value(), Some(1.0));
        assert_eq!(serde_json::to_string(&position).unwrap(), json);
    }

    #[test]
    fn a_text_that_is_no_number_has_no_value() {
        for text in ["", "left", "NaN", "inf", "1e400"] {
            assert_eq!(Coordinate::Text(text.into()).value(), None, "{text}");
        }
    }
}
