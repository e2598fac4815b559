use super::schema::schema;
use crate::provider::{Text, mindee::Field};

schema! {
    /// An address.
    pub struct Address {
        street: Field<Text>,
        city: Field<Text>,
        state: Field<Text>,
        postal_code: Field<Text>,
        country: Field<Text>,
    }
}

schema! {
    /// An address as it is printed, and its parts.
    pub struct PostalAddress {
        address: Field<Text>,
        street_number: Field<Text>,
        street_name: Field<Text>,
        po_box: Field<Text>,
        address_complement: Field<Text>,
        city: Field<Text>,
        postal_code: Field<Text>,
        state: Field<Text>,
        country: Field<Text>,
    }
}
