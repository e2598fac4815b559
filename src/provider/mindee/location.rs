use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smallvec::SmallVec;

use crate::provider::{Listed, OtherMembers, json::open_struct};

/// A location in a file (Mindee's `OpenAPI`, `FieldLocation`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Location {
    /// The outline on the page. Empty if absent or null.
    pub polygon: Polygon,
    /// The page, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Location { polygon, page } }

/// The locations of a field.
pub type Locations = Listed<Location>;

/// A point on a page, in fractions of the page's width and height: from 0 at the top left to 1 at the bottom right.
///
/// In JSON, an array of two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The distance from the left, as a fraction of the width.
    pub x: f64,
    /// The distance from the top, as a fraction of the height.
    pub y: f64,
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        <[f64; 2]>::deserialize(json).map(|[x, y]| Self { x, y })
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        [Coordinate(self.x), Coordinate(self.y)].serialize(json)
    }
}

/// Serializes integers without a decimal point, as Mindee does.
struct Coordinate(f64);

impl Serialize for Coordinate {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            json.serialize_i64(self.0 as i64)
        } else {
            json.serialize_f64(self.0)
        }
    }
}

/// An outline on a page, clockwise. Derefs to its points: at least three in Mindee's `OpenAPI` description, four in all
/// fixtures.
///
/// Up to four points do not allocate. Empty if absent or null.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Polygon(SmallVec<[Point; 4]>);

impl Deref for Polygon {
    type Target = [Point];

    fn deref(&self) -> &[Point] {
        &self.0
    }
}

impl FromIterator<Point> for Polygon {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        Self(points.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Polygon {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let points = Option::<Points>::deserialize(json)?;
        Ok(points.map(|Points(points)| Self(points)).unwrap_or_default())
    }
}

impl Serialize for Polygon {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_seq(self.iter())
    }
}

/// The points of a polygon that is not null.
struct Points(SmallVec<[Point; 4]>);

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(PointsVisitor)
    }
}

struct PointsVisitor;

impl<'de> de::Visitor<'de> for PointsVisitor {
    type Value = Points;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of points")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut array: A) -> Result<Points, A::Error> {
        let mut points = SmallVec::new();
        while let Some(point) = array.next_element()? {
            points.push(point);
        }
        Ok(Points(points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_coordinates_are_serialized_without_a_decimal_point() {
        let json = "[[0,1],[0.5,-2],[1e300,0.25],[0,0],[1,1]]";
        let polygon: Polygon = serde_json::from_str(json).unwrap();
        assert_eq!(polygon.len(), 5);
        assert_eq!(polygon[1], Point { x: 0.5, y: -2.0 });
        assert_eq!(
            serde_json::to_string(&polygon).unwrap(),
            "[[0,1],[0.5,-2],[1e+300,0.25],[0,0],[1,1]]"
        );
    }

    #[test]
    fn point_requires_two_numbers() {
        for json in ["[[0]]", "[[0,0,0]]", r#"[["0","0"]]"#, "[[]]", "[0,0]"] {
            assert!(serde_json::from_str::<Polygon>(json).is_err(), "{json}");
        }
    }
}
