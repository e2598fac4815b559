use super::{
    CompanyRegistration, Date, Locale, PurchaseCategory, PurchaseSubcategory, ReceiptType, Tax,
    schema::schema,
};
use crate::provider::{
    Text,
    mindee::{Field, List, Object},
};

schema! {
    /// A receipt: catalogue model `receipt`.
    pub struct Receipt {
        supplier_name: Field<Text>,
        supplier_address: Field<Text>,
        supplier_phone_number: Field<Text>,
        supplier_company_registration: List<Object<CompanyRegistration>>,
        receipt_number: Field<Text>,
        date: Field<Date>,
        time: Field<Text>,
        total_amount: Field<f64>,
        total_net: Field<f64>,
        total_tax: Field<f64>,
        taxes: List<Object<Tax>>,
        tips_gratuity: Field<f64>,
        line_items: List<Object<ReceiptLineItem>>,
        document_type: Field<ReceiptType>,
        purchase_category: Field<PurchaseCategory>,
        purchase_subcategory: Field<PurchaseSubcategory>,
        locale: Object<Locale>,
    }
}

schema! {
    /// A line of a receipt.
    pub struct ReceiptLineItem {
        description: Field<Text>,
        quantity: Field<f64>,
        unit_price: Field<f64>,
        total_price: Field<f64>,
    }
}
