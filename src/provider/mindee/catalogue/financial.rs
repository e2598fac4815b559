use super::{Address, Date, Locale, PostalAddress, common::schema};
use crate::provider::{
    Text,
    json::open_enum,
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
    /// A line item of a receipt.
    pub struct ReceiptLineItem {
        description: Field<Text>,
        quantity: Field<f64>,
        unit_price: Field<f64>,
        total_price: Field<f64>,
    }
}

schema! {
    /// An invoice, a receipt or another financial document: catalogue model `financial_document`.
    pub struct FinancialDocument {
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
        category: Field<PurchaseCategory>,
        subcategory: Field<PurchaseSubcategory>,
        receipt_number: Field<Text>,
        document_number: Field<Text>,
        tip: Field<f64>,
        time: Field<Text>,
    }
}

open_enum! {
    /// The type of a financial document.
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

open_enum! {
    /// The type of a receipt.
    pub enum ReceiptType {
        ExpenseReceipt = "expense_receipt",
        CreditCardReceipt = "credit_card_receipt",
    }
}

open_enum! {
    /// The category of a purchase.
    pub enum PurchaseCategory {
        Food = "food",
        Gasoline = "gasoline",
        Parking = "parking",
        Toll = "toll",
        Accommodation = "accommodation",
        Transport = "transport",
        Telecom = "telecom",
        Software = "software",
        Shopping = "shopping",
        Energy = "energy",
        Miscellaneous = "miscellaneous",
    }
}

open_enum! {
    /// The subcategory of a purchase.
    pub enum PurchaseSubcategory {
        Restaurant = "restaurant",
        Delivery = "delivery",
        Train = "train",
        Public = "public",
        Taxi = "taxi",
        CarRental = "car_rental",
        Plane = "plane",
        Micromobility = "micromobility",
        OfficeSupplies = "office_supplies",
        Electronics = "electronics",
        Cultural = "cultural",
        Groceries = "groceries",
        OtherPurchase = "other",
    }
}

schema! {
    /// A line item of an invoice.
    pub struct LineItem {
        description: Field<Text>,
        quantity: Field<f64>,
        unit_price: Field<f64>,
        total_price: Field<f64>,
        product_code: Field<Text>,
        tax_amount: Field<f64>,
        tax_rate: Field<f64>,
        unit_measure: Field<Text>,
    }
}

schema! {
    /// A tax.
    pub struct Tax {
        rate: Field<f64>,
        base: Field<f64>,
        amount: Field<f64>,
    }
}

schema! {
    /// Payment details.
    pub struct PaymentDetails {
        iban: Field<Text>,
        swift: Field<Text>,
        account_number: Field<Text>,
        routing_number: Field<Text>,
    }
}

schema! {
    /// The registration number of a company.
    pub struct CompanyRegistration {
        number: Field<Text>,
        kind = "type": Field<RegistrationType>,
    }
}

open_enum! {
    /// The type of a company registration.
    pub enum RegistrationType {
        Vat = "VAT",
        Siret = "SIRET",
        Siren = "SIREN",
        Nif = "NIF",
        Cf = "CF",
        Uid = "UID",
        Stnr = "STNR",
        HraHrb = "HRA_HRB",
        Tin = "TIN",
        Rfc = "RFC",
        Btw = "BTW",
        Abn = "ABN",
        Uen = "UEN",
        Cvr = "CVR",
        Orgnro = "ORGNRO",
        Inn = "INN",
        Dph = "DPH",
        Nip = "NIP",
        Gstin = "GSTIN",
        Crn = "CRN",
        Kvk = "KVK",
        Dic = "DIC",
        TaxId = "TAX_ID",
        Cif = "CIF",
        GstHstCa = "GST_HST_CA",
        Coc = "COC",
    }
}

schema! {
    /// Details of a bank account: catalogue model `bank_account_details`.
    pub struct BankAccountDetails {
        account_holder_name: Field<Text>,
        account_number: Field<Text>,
        bank_name: Field<Text>,
        account_type: Field<Text>,
        bic: Field<Text>,
        branch_address: Object<Address>,
        iban: Field<Text>,
    }
}

schema! {
    /// A bank statement: catalogue model `bank_statement`.
    pub struct BankStatement {
        account_holder_names: List<Field<Text>>,
        account_number: Field<Text>,
        statement_period_start_date: Field<Date>,
        statement_period_end_date: Field<Date>,
        statement_date: Field<Date>,
        beginning_balance: Field<f64>,
        ending_balance: Field<f64>,
        list_of_transactions: List<Object<Transaction>>,
        bank_name: Field<Text>,
        account_type: Field<Text>,
        currency: Field<Text>,
        total_credits: Field<f64>,
        total_debits: Field<f64>,
        bank_address: Object<BankAddress>,
        branch_code: Field<Text>,
        daily_balances: List<Object<DailyBalance>>,
        account_holder_address: Object<Address>,
    }
}

schema! {
    /// A transaction.
    pub struct Transaction {
        date: Field<Date>,
        description: Field<Text>,
        amount: Field<f64>,
    }
}

schema! {
    /// The address of a bank.
    pub struct BankAddress {
        address: Field<Text>,
        street: Field<Text>,
        city: Field<Text>,
        state: Field<Text>,
        postal_code: Field<Text>,
        country: Field<Text>,
    }
}

schema! {
    /// A daily balance.
    pub struct DailyBalance {
        date: Field<Date>,
        balance_amount: Field<f64>,
    }
}

schema! {
    /// A payslip: catalogue model `payslip`.
    pub struct Payslip {
        first_name: Field<Text>,
        last_name: Field<Text>,
        employee_address: Field<Text>,
        pay_period_start_date: Field<Date>,
        pay_period_end_date: Field<Date>,
        gross_pay: Field<f64>,
        net_pay: Field<f64>,
        deductions: List<Object<PayslipItem>>,
        taxes: List<Object<PayslipItem>>,
        employer_name: Field<Text>,
        employer_address: Field<Text>,
        social_security_number: Field<Text>,
        employee_id: Field<Text>,
    }
}

schema! {
    /// A deduction or a tax of a payslip.
    pub struct PayslipItem {
        name: Field<Text>,
        amount: Field<f64>,
    }
}
