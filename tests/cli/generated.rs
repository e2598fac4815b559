use serde::{Deserialize, Serialize};
use tower_inbox::provider::mindee::{AnyField, Field, List, Object, Value};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Certificate {
    #[serde(default)]
    pub r#type: Field<String>,
    #[serde(default, rename = "Total TTC (€)")]
    pub total_ttc: Field<f64>,
    #[serde(default, rename = "total_ttc")]
    pub total_ttc2: Field<f64>,
    #[serde(default, rename = "1099_form")]
    pub n1099_form: Field<bool>,
    // Null in the sample: the type is a guess.
    #[serde(default)]
    pub valid_until: Field<String>,
    // Empty in the sample: the type is a guess.
    #[serde(default)]
    pub seals: List<Field<String>>,
    #[serde(default)]
    pub marks: List<Field<String>>,
    #[serde(default)]
    pub readings: List<Field<Value>>,
    #[serde(default)]
    pub oddities: List<AnyField>,
    #[serde(default)]
    pub issuer: Object<Issuer>,
    #[serde(default)]
    pub growers: List<Object<Growers>>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Issuer {
    #[serde(default)]
    pub name: Field<String>,
    #[serde(default)]
    pub address: Object<Address>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Address {
    #[serde(default)]
    pub city: Field<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Growers {
    #[serde(default)]
    pub name: Field<String>,
    #[serde(default)]
    pub share: Field<f64>,
    #[serde(default)]
    pub address: Object<Address>,
    #[serde(default)]
    pub field: Object<Field2>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Field2 {
    #[serde(default)]
    pub hectares: Field<f64>,
}
