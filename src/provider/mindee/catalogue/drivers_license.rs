use super::{Address, Date, Sex, schema::schema};
use crate::provider::{
    Text,
    mindee::{Field, Object},
};

schema! {
    /// A driver's licence: catalogue model `drivers_license`.
    pub struct DriversLicense {
        first_name: Field<Text>,
        last_name: Field<Text>,
        date_of_birth: Field<Date>,
        place_of_birth: Field<Text>,
        nationality: Field<Text>,
        sex: Field<Sex>,
        document_id: Field<Text>,
        issued_date: Field<Date>,
        expiry_date: Field<Date>,
        country_code: Field<Text>,
        issuing_authority: Field<Text>,
        address: Object<Address>,
        mrz: Field<Text>,
        category: Field<Text>,
    }
}
