use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Number, Value};

use crate::provider::{
    Listed, OtherMembers, Text,
    json::{AnyJson, any_json, open_struct, unknown},
};

/// The member that determines the variant.
const TAG: &str = "annotationType";

/// An annotation of an image by a model. `annotationType` determines the variant.
///
/// Annotations of unknown types, such as the boxes of `object_detection`, are kept as JSON. So are annotations with
/// unexpected members, and elements that are not objects: one malformed annotation must not make a group undecodable.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "annotationType")]
#[non_exhaustive]
pub enum Annotation {
    /// `SCORE`: of `quality_score`, `condition_score` and `image_quality`.
    #[serde(rename = "SCORE")]
    Score(Score),
    /// `CLASSIFICATION`: of the room, the scene, the style and the damage models.
    #[serde(rename = "CLASSIFICATION")]
    Classification(Classification),
    /// `CENTROID`: of `finish_detection`.
    #[serde(rename = "CENTROID")]
    Centroid(Centroid),
    /// Any other JSON, usually an object. Kept as deep as [`OtherMembers`] are.
    #[serde(untagged, serialize_with = "unknown::serialize_unless_hidden")]
    Other(Value),
}

/// A grade.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// The graded property, such as `Condition`.
    pub class: Text,
    /// The grade, such as 2.995. The range is not documented.
    pub score: f64,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Score { class, score } }

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Classification {
    /// The class, such as `Living Room` or `No Damage`.
    pub class: Text,
    /// The confidence of the model, 0 to 1.
    pub confidence: f64,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Classification { class, confidence } }

impl<'de> Deserialize<'de> for Annotation {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        any_json(json)
    }
}

impl AnyJson for Annotation {
    type Members = OtherMembers;

    fn of_object(mut members: OtherMembers) -> Self {
        let Some(tag) = members.take(TAG) else { return Self::Other(object(members.into())) };
        of_kind(&tag, &members).unwrap_or_else(|| whole(tag, members))
    }

    fn of_other(other: Value) -> Self {
        Self::Other(other)
    }
}

fn object(members: Map<String, Value>) -> Value {
    Value::Object(members)
}

/// Returns `None` for an unknown type or format.
fn of_kind(tag: &Value, members: &OtherMembers) -> Option<Annotation> {
    match tag.as_str()? {
        "SCORE" => members.read_as().ok().map(Annotation::Score),
        "CLASSIFICATION" => members.read_as().ok().map(Annotation::Classification),
        "CENTROID" => members.read_as().ok().map(Annotation::Centroid),
        _ => None,
    }
}

fn whole(tag: Value, members: OtherMembers) -> Annotation {
    let mut all = Map::from(members);
    all.insert(TAG.to_owned(), tag);
    Annotation::Other(object(all))
}

/// An object, its centre and its possible materials: model `finish_detection`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Centroid {
    /// The class of the object, such as `Ceiling Light`.
    pub class: Text,
    /// The confidence of the model, 0 to 1.
    pub confidence: f64,
    /// The centre.
    pub centroid: Position,
    /// The possible materials: none, one or two in the recorded result. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub materials: Listed<Material>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Centroid { class, confidence, centroid, materials } }

/// A position on an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The distance from the left, as a fraction of the width.
    pub x: Coordinate,
    /// The distance from the top, as a fraction of the height.
    pub y: Coordinate,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Position { x, y } }

/// A coordinate, 0 to 1. FoxyAI sends a string, such as `"0.77"`; a number is accepted as well, and serialized as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Coordinate {
    /// A string.
    Text(Text),
    /// A number.
    Number(Number),
}

impl Coordinate {
    /// Returns the coordinate as a number; `None` for a string that is not a number.
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

/// A possible material.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Material {
    /// The material, such as `wood`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// The confidence of the model, 0 to 1.
    pub confidence: f64,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Material { kind = "type", confidence } }

#[cfg(test)]
mod annotation_tests {
    use super::*;

    fn read(json: &str) -> Annotation {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn annotation_type_can_be_at_any_position() {
        let first = read(r#"{"annotationType": "SCORE", "class": "Quality", "score": 3.5}"#);
        let last = read(r#"{"score": 3.5, "class": "Quality", "annotationType": "SCORE"}"#);
        assert!(matches!(first, Annotation::Score(_)));
        assert_eq!(first, last);
    }

    #[test]
    fn annotations_of_unknown_types_are_kept_as_json() {
        for json in [
            r#"{"annotationType":"BOX","box":[0,0.5],"class":"Stove"}"#,
            r#"{"annotationType":7}"#,
            r#"{"class":"Stove"}"#,
            "{}",
        ] {
            let annotation = read(json);
            assert!(matches!(annotation, Annotation::Other(_)), "{json}");
            assert_eq!(serde_json::to_string(&annotation).unwrap(), json);
        }
        let last = read(r#"{"box": [1], "annotationType": "BOX"}"#);
        assert_eq!(last, read(r#"{"annotationType": "BOX", "box": [1]}"#));
    }

    #[test]
    fn deeply_nested_annotation_is_truncated() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            read(&format!(r#"{{"annotationType":"BOX","box":{open}1{close}}}"#))
        };
        let json = |levels| serde_json::to_string(&nested(levels)).unwrap();
        assert!(json(64).contains("[1]"));
        assert!(json(65).contains("[null]"));
    }

    #[test]
    fn last_of_repeated_members_counts() {
        let repeated =
            read(r#"{"annotationType":"BOX","score":1,"annotationType":"SCORE","class":"a"}"#);
        assert_eq!(repeated, read(r#"{"annotationType":"SCORE","score":1,"class":"a"}"#));
        let repeated = read(r#"{"annotationType":"BOX","score":1,"score":2}"#);
        assert_eq!(repeated, read(r#"{"annotationType":"BOX","score":2}"#));
        let repeated = read(r#"{"annotationType":"SCORE","score":1,"class":"a","class":"b"}"#);
        let Annotation::Other(members) = repeated else { panic!("{repeated:?}") };
        assert_eq!(members["class"], "b", "kept whole, since it is not what a score was so far");
    }

    #[test]
    fn annotation_of_known_type_with_unexpected_members_is_kept_as_json() {
        for json in [
            r#"{"annotationType":"SCORE","class":"Quality"}"#,
            r#"{"annotationType":"SCORE","class":"Quality","score":"good"}"#,
            r#"{"annotationType":"CENTROID","class":"Tap","confidence":1,"centroid":[0,1]}"#,
        ] {
            let annotation = read(json);
            assert!(matches!(annotation, Annotation::Other(_)), "{json}");
            let written = serde_json::to_value(&annotation).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(json).unwrap());
        }
        for json in ["[]", "[1,{}]", "\"Kitchen\"", "7", "-1", "0.5", "true", "null"] {
            let annotation = read(json);
            assert!(matches!(annotation, Annotation::Other(_)), "{json}");
            assert_eq!(serde_json::to_string(&annotation).unwrap(), json);
        }
    }
}

#[cfg(test)]
mod centroid_tests {
    use super::*;

    #[test]
    fn coordinates_as_strings_and_numbers_round_trip() {
        let json = r#"{"x":"0.7723298435745015","y":1}"#;
        let position: Position = serde_json::from_str(json).unwrap();
        assert_eq!(position.x.value(), Some(0.772_329_843_574_501_5));
        assert_eq!(position.y.value(), Some(1.0));
        assert_eq!(serde_json::to_string(&position).unwrap(), json);
    }

    #[test]
    fn coordinate_that_is_not_a_number_has_no_value() {
        for text in ["", "left", "NaN", "inf", "1e400"] {
            assert_eq!(Coordinate::Text(text.into()).value(), None, "{text}");
        }
    }
}
