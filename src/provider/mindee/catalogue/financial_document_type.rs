use crate::provider::words::words;

words! {
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
