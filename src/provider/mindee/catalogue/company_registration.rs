use super::{RegistrationType, schema::schema};
use crate::provider::{Text, mindee::Field};

schema! {
    /// A number under which a company is registered.
    pub struct CompanyRegistration {
        number: Field<Text>,
        kind = "type": Field<RegistrationType>,
    }
}
