use super::{Date, schema::schema};
use crate::provider::{
    Text,
    mindee::{Field, List, Object},
};

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
