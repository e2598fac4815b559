use super::schema::schema;
use crate::provider::{Text, mindee::Field};

schema! {
    /// A line of an invoice.
    pub struct LineItem {
        description: Field<Text>,
        quantity: Field<f64>,
        unit_price: Field<f64>,
        total_price: Field<f64>,
        product_code: Field<Text>,
        tax_amount: Field<f64>,
        tax_rate: Field<f64>,
        unit_measure: Field<Text>,
    }
}
