use crate::provider::open_enum::open_enum;

open_enum! {
    /// What an identity document is.
    pub enum IdentityDocumentType {
        Passport = "Passport",
        NationalId = "National ID",
        DriverLicense = "Driver License",
        ResidencePermit = "Residence Permit",
    }
}
