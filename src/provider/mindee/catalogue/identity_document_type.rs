use crate::provider::words::words;

words! {
    /// What an identity document is.
    pub enum IdentityDocumentType {
        Passport = "Passport",
        NationalId = "National ID",
        DriverLicense = "Driver License",
        ResidencePermit = "Residence Permit",
    }
}
