use super::schema::schema;
use crate::provider::{Text, mindee::Field};

schema! {
    /// A business card: catalogue model `business_card`.
    pub struct BusinessCard {
        name: Field<Text>,
        job_title: Field<Text>,
        company: Field<Text>,
        phone_number: Field<Text>,
        email_address: Field<Text>,
        website: Field<Text>,
        address: Field<Text>,
    }
}
