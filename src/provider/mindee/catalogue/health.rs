use super::{Date, common::schema};
use crate::provider::{
    Text,
    json::open_enum,
    mindee::{Field, List, Object},
};

schema! {
    /// A US healthcare card: catalogue model `us_healthcare_card`.
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
    /// A copayment for a service.
    pub struct Copayment {
        service_name: Field<HealthcareService>,
        service_fees: Field<f64>,
    }
}

open_enum! {
    /// The service of a copayment.
    pub enum HealthcareService {
        PrimaryCare = "primary_care",
        EmergencyRoom = "emergency_room",
        UrgentCare = "urgent_care",
        Specialist = "specialist",
        OfficeVisit = "office_visit",
        Prescription = "prescription",
    }
}

schema! {
    /// Nutrition facts of a food: catalogue model `nutrition_facts`.
    pub struct NutritionFacts {
        serving_per_box: Field<f64>,
        serving_size: Object<ServingSize>,
        calories: Object<Amounts>,
        total_fat: Object<Amounts>,
        saturated_fat: Object<Amounts>,
        trans_fat: Object<Amounts>,
        cholesterol: Object<Amounts>,
        total_carbohydrate: Object<Amounts>,
        dietary_fiber: Object<Amounts>,
        total_sugars: Object<Amounts>,
        added_sugars: Object<Amounts>,
        protein: Object<Amounts>,
        sodium: Object<Sodium>,
        nutrients: List<Object<Nutrient>>,
    }
}

schema! {
    /// A serving size.
    pub struct ServingSize {
        amount: Field<f64>,
        unit: Field<Text>,
    }
}

schema! {
    /// An amount of sodium.
    pub struct Sodium {
        per_100g: Field<f64>,
        per_serving: Field<f64>,
        unit: Field<Text>,
        daily_value: Field<f64>,
    }
}

schema! {
    /// An amount of a nutrient.
    pub struct Nutrient {
        name: Field<Text>,
        per_100g: Field<f64>,
        per_serving: Field<f64>,
        unit: Field<Text>,
        daily_value: Field<f64>,
    }
}

schema! {
    /// An amount of a nutrient.
    pub struct Amounts {
        per_100g: Field<f64>,
        per_serving: Field<f64>,
        daily_value: Field<f64>,
    }
}
