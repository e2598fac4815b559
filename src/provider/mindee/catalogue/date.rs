use crate::provider::Text;

/// A date as text, by ISO 8601, such as `2022-08-23`.
pub type Date = Text;
