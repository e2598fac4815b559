use super::schema::schema;
use crate::provider::mindee::Field;

schema! {
    /// A tax.
    pub struct Tax {
        rate: Field<f64>,
        base: Field<f64>,
        amount: Field<f64>,
    }
}
