use super::schema::schema;
use crate::provider::{
    Text,
    mindee::{Field, List, Object},
};

schema! {
    /// The nutrition facts of a food: catalogue model `nutrition_facts`.
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
    /// How much a serving is.
    pub struct ServingSize {
        amount: Field<f64>,
        unit: Field<Text>,
    }
}

schema! {
    /// How much sodium there is.
    pub struct Sodium {
        per_100g: Field<f64>,
        per_serving: Field<f64>,
        unit: Field<Text>,
        daily_value: Field<f64>,
    }
}

schema! {
    /// How much of a nutrient there is.
    pub struct Nutrient {
        name: Field<Text>,
        per_100g: Field<f64>,
        per_serving: Field<f64>,
        unit: Field<Text>,
        daily_value: Field<f64>,
    }
}

schema! {
    /// How much of a nutrient there is.
    pub struct Amounts {
        per_100g: Field<f64>,
        per_serving: Field<f64>,
        daily_value: Field<f64>,
    }
}
