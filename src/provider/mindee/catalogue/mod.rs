//! Structs for the models in Mindee's catalogue.
//!
//! A model from the catalogue starts with these fields; its owner can add, remove and rename fields. Every field can
//! therefore be absent or null, which is the same as a field without a value. Unknown fields are in `other`, and
//! unknown enum values are kept. An empty field is not serialized.
//!
//! Source: Mindee's documentation of the catalogue (`mindee/platform-docs`, folder `model-fields`, 2026-08-20).
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, mindee::{self, catalogue::{Invoice, FinancialDocumentType}}};
//!
//! let body = Bytes::from_static(br#"{"inference": {"id": "i1", "model": {"id": "m1"}, "file": {"name": "a.pdf"},
//!     "result": {"fields": {
//!         "total_amount": {"value": 12.5},
//!         "document_type": {"value": "credit_note"},
//!         "line_items": {"items": [{"fields": {"description": {"value": "tea"}}}]},
//!         "our_reference": {"value": "A-7"}
//!     }}}}"#);
//!
//! let response = mindee::Extraction::<Invoice>::decode(&body)?;
//! if let Ok(invoice) = response.fields() {
//!     assert_eq!(invoice.total_amount.value, Some(12.5));
//!     assert_eq!(invoice.document_type.value, Some(FinancialDocumentType::CreditNote));
//!     assert_eq!(invoice.line_items[0].description.value.as_deref(), Some("tea"));
//!     assert_eq!(invoice.due_date.value, None);
//!     assert!(invoice.other.get("our_reference").is_some());
//! }
//! let model = mindee::extraction::<Invoice>();
//! # let _ = model;
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

mod common;
mod financial;
mod health;
mod identity;
mod transport;

pub use common::{Address, Date, Locale, PostalAddress};
pub use financial::{
    BankAccountDetails, BankAddress, BankStatement, DailyBalance, Payslip, PayslipItem, Transaction,
};
pub use financial::{
    CompanyRegistration, FinancialDocument, FinancialDocumentType, Invoice, LineItem,
    PaymentDetails, PurchaseCategory, PurchaseSubcategory, Receipt, ReceiptLineItem, ReceiptType,
    RegistrationType, Tax,
};
pub use health::{
    Amounts, Copayment, HealthcareService, Nutrient, NutritionFacts, ServingSize, Sodium,
    UsHealthcareCard,
};
pub use identity::{Award, BusinessCard, Education, Experience, LanguageSkill, Project, Resume};
pub use identity::{
    DriversLicense, IdentityDocumentType, InternationalId, MachineReadableZone, Passport,
    PassportSex, Sex,
};
pub use transport::{BillOfLading, EuropeanVehicleRegistration, VehicleCategory};
