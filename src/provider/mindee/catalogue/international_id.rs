use super::{Address, Date, IdentityDocumentType, Sex, schema::schema};
use crate::provider::{
    Text,
    mindee::{Field, Object},
};

schema! {
    /// An identity document of any country: catalogue model `international_id`.
    pub struct InternationalId {
        given_names: Field<Text>,
        surnames: Field<Text>,
        date_of_birth: Field<Date>,
        place_of_birth: Field<Text>,
        nationality: Field<Text>,
        sex: Field<Sex>,
        document_number: Field<Text>,
        date_of_issue: Field<Date>,
        date_of_expiry: Field<Date>,
        authority: Field<Text>,
        address: Object<Address>,
        document_type: Field<IdentityDocumentType>,
        mrz: Object<MachineReadableZone>,
    }
}

schema! {
    /// The machine-readable zone of an identity document.
    pub struct MachineReadableZone {
        line_1: Field<Text>,
        line_2: Field<Text>,
        line_3: Field<Text>,
    }
}
