use crate::provider::open_enum::open_enum;

open_enum! {
    /// What a receipt is.
    pub enum ReceiptType {
        ExpenseReceipt = "expense_receipt",
        CreditCardReceipt = "credit_card_receipt",
    }
}
