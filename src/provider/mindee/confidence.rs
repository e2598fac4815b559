use crate::provider::open_enum::open_enum;

open_enum! {
    /// How sure the model is of a field (page "Automation and confidence score").
    ///
    /// Null or absent unless the option is on. Words that are not known yet are kept as they came.
    pub enum Confidence {
        /// Nearly always right.
        Certain = "Certain",
        /// Mostly right.
        High = "High",
        /// Worth a look.
        Medium = "Medium",
        /// Likely wrong. Not in Mindee's `OpenAPI`, but in its documentation and fixtures.
        Low = "Low",
    }
}
