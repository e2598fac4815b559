use crate::provider::words::words;

words! {
    /// A sex, as the catalogue's passport has it.
    pub enum PassportSex {
        Male = "Male",
        Female = "Female",
        Neither = "Other",
    }
}

words! {
    /// A sex, as identity documents and licences have it.
    pub enum Sex {
        Male = "M",
        Female = "F",
        Neither = "Other",
    }
}
