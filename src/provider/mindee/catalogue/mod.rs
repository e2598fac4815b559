//! Structs for the models that Mindee's catalogue has ready, so that an extraction needs none of your own.
//!
//! A model that is made from the catalogue begins with these fields; who owns it adds, removes and renames some. So
//! every field may be absent or null, which is the same as one without a value; those that a struct does not name are in its
//! `other`, and words that are not known yet are kept. A field that says nothing is not written again.
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

mod address;
mod bank_account_details;
mod bank_statement;
mod bill_of_lading;
mod business_card;
mod company_registration;
mod date;
mod drivers_license;
mod european_vehicle_registration;
mod financial_document;
mod financial_document_type;
mod healthcare_service;
mod identity_document_type;
mod international_id;
mod invoice;
mod line_item;
mod locale;
mod nutrition_facts;
mod passport;
mod payment_details;
mod payslip;
mod purchase;
mod receipt;
mod receipt_type;
mod registration_type;
mod resume;
mod schema;
mod sex;
mod tax;
mod us_healthcare_card;
mod vehicle_category;

pub use address::{Address, PostalAddress};
pub use bank_account_details::BankAccountDetails;
pub use bank_statement::{BankAddress, BankStatement, DailyBalance, Transaction};
pub use bill_of_lading::BillOfLading;
pub use business_card::BusinessCard;
pub use company_registration::CompanyRegistration;
pub use date::Date;
pub use drivers_license::DriversLicense;
pub use european_vehicle_registration::EuropeanVehicleRegistration;
pub use financial_document::FinancialDocument;
pub use financial_document_type::FinancialDocumentType;
pub use healthcare_service::HealthcareService;
pub use identity_document_type::IdentityDocumentType;
pub use international_id::{InternationalId, MachineReadableZone};
pub use invoice::Invoice;
pub use line_item::LineItem;
pub use locale::Locale;
pub use nutrition_facts::{Amounts, Nutrient, NutritionFacts, ServingSize, Sodium};
pub use passport::Passport;
pub use payment_details::PaymentDetails;
pub use payslip::{Payslip, PayslipItem};
pub use purchase::{PurchaseCategory, PurchaseSubcategory};
pub use receipt::{Receipt, ReceiptLineItem};
pub use receipt_type::ReceiptType;
pub use registration_type::RegistrationType;
pub use resume::{Award, Education, Experience, LanguageSkill, Project, Resume};
pub use sex::{PassportSex, Sex};
pub use tax::Tax;
pub use us_healthcare_card::{Copayment, UsHealthcareCard};
pub use vehicle_category::VehicleCategory;
