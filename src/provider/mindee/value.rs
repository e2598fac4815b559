use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

/// The value of a field whose type is not known beforehand. Null is not one: a field without a value holds `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Value {
    /// Text; also dates (`2022-08-23`), times and the classes of a classification.
    String(String),
    /// A boolean.
    Bool(bool),
    /// A number. Whether it was written with a decimal point is kept: `2145` or `2145.0`.
    Number(Number),
    /// An array or an object. None is documented; should one come, it is kept.
    Other(Box<serde_json::Value>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is one; the nearest that an `f64` can hold.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// The number, if it is one without a decimal point that an `i64` can hold.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number),
            other => Self::Other(Box::new(other)),
        }
    }
}

/// Through `serde_json::Value`, which alone can read numbers where its feature `arbitrary_precision` is on somewhere.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(json).map(Self::from)
    }
}
