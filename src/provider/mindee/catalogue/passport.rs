use super::{Date, PassportSex, schema::schema};
use crate::provider::{Text, mindee::Field};

schema! {
    /// A passport: catalogue model `passport`.
    pub struct Passport {
        given_names: Field<Text>,
        surnames: Field<Text>,
        date_of_birth: Field<Date>,
        place_of_birth: Field<Text>,
        passport_number: Field<Text>,
        issuing_country: Field<Text>,
        nationality: Field<Text>,
        date_of_issue: Field<Date>,
        date_of_expiry: Field<Date>,
        sex: Field<PassportSex>,
        mrz_line_1: Field<Text>,
        mrz_line_2: Field<Text>,
    }
}
