use crate::provider::open_enum::open_enum;

open_enum! {
    /// A sex, as the catalogue's passport has it.
    pub enum PassportSex {
        Male = "Male",
        Female = "Female",
        Neither = "Other",
    }
}

open_enum! {
    /// A sex, as identity documents and licences have it.
    pub enum Sex {
        Male = "M",
        Female = "F",
        Neither = "Other",
    }
}
