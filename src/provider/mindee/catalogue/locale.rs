use super::schema::schema;
use crate::provider::{Text, mindee::Field};

schema! {
    /// Where a document comes from.
    pub struct Locale {
        language: Field<Text>,
        country: Field<Text>,
        currency: Field<Text>,
    }
}
