use super::{
    CompanyRegistration, Date, FinancialDocumentType, LineItem, Locale, PaymentDetails,
    PostalAddress, Tax, schema::schema,
};
use crate::provider::{
    Text,
    mindee::{Field, List, Object},
};

schema! {
    /// An invoice: catalogue model `invoice`.
    pub struct Invoice {
        supplier_name: Field<Text>,
        supplier_phone_number: Field<Text>,
        customer_company_registration: List<Object<CompanyRegistration>>,
        supplier_company_registration: List<Object<CompanyRegistration>>,
        invoice_number: Field<Text>,
        date: Field<Date>,
        total_amount: Field<f64>,
        total_net: Field<f64>,
        total_tax: Field<f64>,
        taxes: List<Object<Tax>>,
        line_items: List<Object<LineItem>>,
        document_type: Field<FinancialDocumentType>,
        locale: Object<Locale>,
        customer_name: Field<Text>,
        customer_address: Object<PostalAddress>,
        shipping_address: Object<PostalAddress>,
        billing_address: Object<PostalAddress>,
        supplier_address: Object<PostalAddress>,
        due_date: Field<Date>,
        po_number: Field<Text>,
        reference_numbers: List<Field<Text>>,
        payment_date: Field<Date>,
        supplier_payment_details: List<Object<PaymentDetails>>,
        supplier_website: Field<Text>,
        supplier_email: Field<Text>,
        customer_id: Field<Text>,
    }
}
