use super::schema::schema;
use crate::provider::{Text, mindee::Field};

schema! {
    /// Where to pay.
    pub struct PaymentDetails {
        iban: Field<Text>,
        swift: Field<Text>,
        account_number: Field<Text>,
        routing_number: Field<Text>,
    }
}
