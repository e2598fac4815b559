use super::{Address, Date, common::schema};
use crate::provider::{
    Text,
    json::open_enum,
    mindee::{Field, Object},
};

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

open_enum! {
    /// The type of an identity document.
    pub enum IdentityDocumentType {
        Passport = "Passport",
        NationalId = "National ID",
        DriverLicense = "Driver License",
        ResidencePermit = "Residence Permit",
    }
}

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

open_enum! {
    /// The sex in the catalogue's passport.
    pub enum PassportSex {
        Male = "Male",
        Female = "Female",
        Neither = "Other",
    }
}

open_enum! {
    /// The sex in identity documents and driver's licences.
    pub enum Sex {
        Male = "M",
        Female = "F",
        Neither = "Other",
    }
}
