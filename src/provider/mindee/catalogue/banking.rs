use super::{Address, Date, common::schema};
use crate::provider::{
    Text,
    mindee::{Field, List, Object},
};

schema! {
    /// Details of a bank account: catalogue model `bank_account_details`.
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

schema! {
    /// A bank statement: catalogue model `bank_statement`.
    pub struct BankStatement {
        account_holder_names: List<Field<Text>>,
        account_number: Field<Text>,
        statement_period_start_date: Field<Date>,
        statement_period_end_date: Field<Date>,
        statement_date: Field<Date>,
        beginning_balance: Field<f64>,
        ending_balance: Field<f64>,
        list_of_transactions: List<Object<Transaction>>,
        bank_name: Field<Text>,
        account_type: Field<Text>,
        currency: Field<Text>,
        total_credits: Field<f64>,
        total_debits: Field<f64>,
        bank_address: Object<BankAddress>,
        branch_code: Field<Text>,
        daily_balances: List<Object<DailyBalance>>,
        account_holder_address: Object<Address>,
    }
}

schema! {
    /// A transaction.
    pub struct Transaction {
        date: Field<Date>,
        description: Field<Text>,
        amount: Field<f64>,
    }
}

schema! {
    /// The address of a bank.
    pub struct BankAddress {
        address: Field<Text>,
        street: Field<Text>,
        city: Field<Text>,
        state: Field<Text>,
        postal_code: Field<Text>,
        country: Field<Text>,
    }
}

schema! {
    /// A daily balance.
    pub struct DailyBalance {
        date: Field<Date>,
        balance_amount: Field<f64>,
    }
}

schema! {
    /// A payslip: catalogue model `payslip`.
    pub struct Payslip {
        first_name: Field<Text>,
        last_name: Field<Text>,
        employee_address: Field<Text>,
        pay_period_start_date: Field<Date>,
        pay_period_end_date: Field<Date>,
        gross_pay: Field<f64>,
        net_pay: Field<f64>,
        deductions: List<Object<PayslipItem>>,
        taxes: List<Object<PayslipItem>>,
        employer_name: Field<Text>,
        employer_address: Field<Text>,
        social_security_number: Field<Text>,
        employee_id: Field<Text>,
    }
}

schema! {
    /// A deduction or a tax of a payslip.
    pub struct PayslipItem {
        name: Field<Text>,
        amount: Field<f64>,
    }
}
