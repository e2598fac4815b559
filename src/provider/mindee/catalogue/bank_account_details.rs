use super::{Address, schema::schema};
use crate::provider::{
    Text,
    mindee::{Field, Object},
};

schema! {
    /// The details of a bank account: catalogue model `bank_account_details`.
    pub struct BankAccountDetails {
        account_holder_name: Field<Text>,
        account_number: Field<Text>,
        bank_name: Field<Text>,
        account_type: Field<Text>,
        bic: Field<Text>,
        branch_address: Object<Address>,
        iban: Field<Text>,
    }
}
