use crate::provider::open_enum::open_enum;

open_enum! {
    /// What a document about money is.
    pub enum FinancialDocumentType {
        Invoice = "invoice",
        Payslip = "payslip",
        Quote = "quote",
        PurchaseOrder = "purchase_order",
        Statement = "statement",
        Receipt = "receipt",
        CreditNote = "credit_note",
        OtherFinancial = "other_financial",
    }
}
