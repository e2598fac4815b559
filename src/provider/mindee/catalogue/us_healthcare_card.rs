use super::{Date, HealthcareService, schema::schema};
use crate::provider::{
    Text,
    mindee::{Field, List, Object},
};

schema! {
    /// A healthcare card of the United States: catalogue model `us_healthcare_card`.
    pub struct UsHealthcareCard {
        company_name: Field<Text>,
        plan_name: Field<Text>,
        member_name: Field<Text>,
        member_id: Field<Text>,
        issuer_80840: Field<Text>,
        dependents: List<Field<Text>>,
        group_number: Field<Text>,
        payer_id: Field<Text>,
        rx_bin: Field<Text>,
        rx_id: Field<Text>,
        rx_grp: Field<Text>,
        rx_pcn: Field<Text>,
        copayments: List<Object<Copayment>>,
        enrollment_date: Field<Date>,
    }
}

schema! {
    /// What the insured pays for a service.
    pub struct Copayment {
        service_name: Field<HealthcareService>,
        service_fees: Field<f64>,
    }
}
