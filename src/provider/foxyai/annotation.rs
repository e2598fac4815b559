use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::Centroid;

/// The member that tells the kinds of annotations apart.
const TAG: &str = "annotationType";

/// One thing that a model found on an image, told by its `annotationType`.
///
/// Kinds that are not known, such as the boxes of `object_detection`, are kept whole.
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
    /// Any other kind, or none: all of its members.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

/// A grade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Score {
    /// What was graded, such as `Condition`.
    pub class: String,
    /// The grade, such as 2.995. Its range is not documented.
    pub score: f64,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Classification {
    /// The class, such as `Living Room` or `No Damage`.
    pub class: String,
    /// How sure the model is, 0 to 1.
    pub confidence: f64,
}

impl<'de> Deserialize<'de> for Annotation {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Annotation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an annotation")
    }

    /// Where the tag comes first, the rest is read straight into its type; else all of it by way of a map.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Annotation, A::Error> {
        let mut read = Map::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if read.is_empty() && name == TAG {
                return of_kind(value, members);
            }
            read.insert(name, value);
        }
        match read.get(TAG).cloned() {
            Some(tag) => of_kind(tag, de::value::MapDeserializer::new(read.into_iter()))
                .map_err(de::Error::custom),
            None => Ok(Annotation::Other(read)),
        }
    }
}

fn of_kind<'de, A: MapAccess<'de>>(tag: Value, mut rest: A) -> Result<Annotation, A::Error> {
    let typed = MapAccessDeserializer::new(&mut rest);
    match tag.as_str() {
        Some("SCORE") => Score::deserialize(typed).map(Annotation::Score),
        Some("CLASSIFICATION") => {
            Classification::deserialize(typed).map(Annotation::Classification)
        }
        Some("CENTROID") => Centroid::deserialize(typed).map(Annotation::Centroid),
        _ => whole(tag, rest).map(Annotation::Other),
    }
}

fn whole<'de, A: MapAccess<'de>>(tag: Value, mut rest: A) -> Result<Map<String, Value>, A::Error> {
    let mut all = Map::from_iter([(TAG.to_owned(), tag)]);
    while let Some((name, value)) = rest.next_entry()? {
        all.insert(name, value);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Annotation {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_tag_may_stand_anywhere() {
        let first = read(r#"{"annotationType": "SCORE", "class": "Quality", "score": 3.5}"#);
        let last = read(r#"{"score": 3.5, "class": "Quality", "annotationType": "SCORE"}"#);
        assert!(matches!(first, Annotation::Score(_)));
        assert_eq!(first, last);
    }

    #[test]
    fn other_kinds_are_kept_whole_and_in_their_form() {
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
    fn a_known_kind_of_another_shape_is_a_mistake() {
        for json in [
            r#"{"annotationType": "SCORE", "class": "Quality"}"#,
            r#"{"class": "Quality", "annotationType": "SCORE"}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Annotation>(json).is_err(), "{json}");
        }
    }
}
