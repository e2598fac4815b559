use crate::provider::words::words;

words! {
    /// What a receipt is.
    pub enum ReceiptType {
        ExpenseReceipt = "expense_receipt",
        CreditCardReceipt = "credit_card_receipt",
    }
}
