//! The fields of the fifteen catalogue models, as listed in Mindee's documentation (`mindee/platform-docs` f052097,
//! folder `model-fields`).

/// A field and its type: `string`, `date`, `number`, `classification {WORDS}`, `object: FIELDS`, `object_detection`. A
/// list has the suffix `[]`.
pub(crate) type Row = (&'static str, &'static str);

const ADDRESS: &str =
    "object: street string; city string; state string; postal_code string; country string";
const REGISTRATIONS: &str = "object[]: number string; type classification {VAT, SIRET, SIREN, NIF, CF, UID, STNR, HRA_HRB, TIN, \
    RFC, BTW, ABN, UEN, CVR, ORGNRO, INN, DPH, NIP, GSTIN, CRN, KVK, DIC, TAX_ID, CIF, GST_HST_CA, COC}";
const TAXES: &str = "object[]: rate number; base number; amount number";
const LINE_ITEMS: &str = "object[]: description string; quantity number; unit_price number; total_price number; product_code \
    string; tax_amount number; tax_rate number; unit_measure string";
const DOCUMENT_TYPE: &str = "classification {invoice, payslip, quote, purchase_order, statement, receipt, credit_note, \
    other_financial}";
const LOCALE: &str = "object: language string; country string; currency string";
const POSTAL_ADDRESS: &str = "object: address string; street_number string; street_name string; po_box string; address_complement \
    string; city string; postal_code string; state string; country string";
const PAYMENT_DETAILS: &str =
    "object[]: iban string; swift string; account_number string; routing_number string";
const CATEGORY: &str = "classification {food, gasoline, parking, toll, accommodation, transport, telecom, software, \
    shopping, energy, miscellaneous}";
const SUBCATEGORY: &str = "classification {restaurant, delivery, train, public, taxi, car_rental, plane, micromobility, \
    office_supplies, electronics, cultural, groceries, other}";
const AMOUNTS: &str = "object: per_100g number; per_serving number; daily_value number";
const PAYSLIP_ITEMS: &str = "object[]: name string; amount number";

pub(crate) const BANK_ACCOUNT_DETAILS: &[Row] = &[
    ("account_holder_name", "string"),
    ("account_number", "string"),
    ("bank_name", "string"),
    ("account_type", "string"),
    ("bic", "string"),
    ("branch_address", ADDRESS),
    ("iban", "string"),
];

pub(crate) const BANK_STATEMENT: &[Row] = &[
    ("account_holder_names", "string[]"),
    ("account_number", "string"),
    ("statement_period_start_date", "date"),
    ("statement_period_end_date", "date"),
    ("statement_date", "date"),
    ("beginning_balance", "number"),
    ("ending_balance", "number"),
    ("list_of_transactions", "object[]: date date; description string; amount number"),
    ("bank_name", "string"),
    ("account_type", "string"),
    ("currency", "string"),
    ("total_credits", "number"),
    ("total_debits", "number"),
    (
        "bank_address",
        "object: address string; street string; city string; state string; postal_code string; country string",
    ),
    ("branch_code", "string"),
    ("daily_balances", "object[]: date date; balance_amount number"),
    ("account_holder_address", ADDRESS),
];

pub(crate) const BILL_OF_LADING: &[Row] = &[
    ("bill_of_lading_number", "string"),
    ("shipper", "string"),
    ("consignee", "string"),
    ("notify_party", "string"),
    ("carrier", "string"),
    ("carrier_items", "string[]"),
    ("port_of_loading", "string"),
    ("port_of_discharge", "string"),
    ("place_of_delivery", "string"),
    ("issue_date", "date"),
    ("departure_date", "date"),
];

pub(crate) const BUSINESS_CARD: &[Row] = &[
    ("name", "string"),
    ("job_title", "string"),
    ("company", "string"),
    ("phone_number", "string"),
    ("email_address", "string"),
    ("website", "string"),
    ("address", "string"),
];

pub(crate) const DRIVERS_LICENSE: &[Row] = &[
    ("first_name", "string"),
    ("last_name", "string"),
    ("date_of_birth", "date"),
    ("place_of_birth", "string"),
    ("nationality", "string"),
    ("sex", "classification {M, F, Other}"),
    ("document_id", "string"),
    ("issued_date", "date"),
    ("expiry_date", "date"),
    ("country_code", "string"),
    ("issuing_authority", "string"),
    ("address", ADDRESS),
    ("mrz", "string"),
    ("category", "string"),
];

pub(crate) const EUROPEAN_VEHICLE_REGISTRATION: &[Row] = &[
    ("document_number", "string"),
    ("a", "string"),
    ("b", "date"),
    ("c1", "string"),
    ("c2", "string"),
    ("c3", "string"),
    ("c4", "string"),
    ("c4_1", "string"),
    ("d1", "string"),
    ("d2", "string"),
    ("d2_1", "string"),
    ("d3", "string"),
    ("e", "string"),
    ("f1", "number"),
    ("f2", "number"),
    ("f3", "number"),
    ("g", "number"),
    ("g1", "number"),
    ("h", "date"),
    ("i", "date"),
    ("j", "classification {M1, N1, N2, N3, L, O}"),
    ("j1", "string"),
    ("j2", "string"),
    ("j3", "string"),
    ("k", "string"),
    ("p1", "number"),
    ("p2", "number"),
    ("p3", "string"),
    ("p5", "string"),
    ("p6", "number"),
    ("s1", "number"),
    ("x1", "string"),
    ("y1", "number"),
    ("y2", "number"),
    ("y3", "number"),
    ("y4", "number"),
    ("y5", "number"),
    ("y6", "number"),
    ("z1", "string"),
    ("z2", "string"),
    ("z3", "string"),
    ("z4", "string"),
    ("z5", "string"),
    ("mrz1", "string"),
    ("mrz2", "string"),
];

pub(crate) const FINANCIAL_DOCUMENT: &[Row] = &[
    ("supplier_name", "string"),
    ("supplier_phone_number", "string"),
    ("customer_company_registration", REGISTRATIONS),
    ("supplier_company_registration", REGISTRATIONS),
    ("invoice_number", "string"),
    ("date", "date"),
    ("total_amount", "number"),
    ("total_net", "number"),
    ("total_tax", "number"),
    ("taxes", TAXES),
    ("line_items", LINE_ITEMS),
    ("document_type", DOCUMENT_TYPE),
    ("locale", LOCALE),
    ("customer_name", "string"),
    ("customer_address", POSTAL_ADDRESS),
    ("shipping_address", POSTAL_ADDRESS),
    ("billing_address", POSTAL_ADDRESS),
    ("supplier_address", POSTAL_ADDRESS),
    ("due_date", "date"),
    ("po_number", "string"),
    ("reference_numbers", "string[]"),
    ("payment_date", "date"),
    ("supplier_payment_details", PAYMENT_DETAILS),
    ("supplier_website", "string"),
    ("supplier_email", "string"),
    ("customer_id", "string"),
    ("category", CATEGORY),
    ("subcategory", SUBCATEGORY),
    ("receipt_number", "string"),
    ("document_number", "string"),
    ("tip", "number"),
    ("time", "string"),
];

pub(crate) const INTERNATIONAL_ID: &[Row] = &[
    ("given_names", "string"),
    ("surnames", "string"),
    ("date_of_birth", "date"),
    ("place_of_birth", "string"),
    ("nationality", "string"),
    ("sex", "classification {M, F, Other}"),
    ("document_number", "string"),
    ("date_of_issue", "date"),
    ("date_of_expiry", "date"),
    ("authority", "string"),
    ("address", ADDRESS),
    ("document_type", "classification {Passport, National ID, Driver License, Residence Permit}"),
    ("mrz", "object: line_1 string; line_2 string; line_3 string"),
];

pub(crate) const INVOICE: &[Row] = &[
    ("supplier_name", "string"),
    ("supplier_phone_number", "string"),
    ("customer_company_registration", REGISTRATIONS),
    ("supplier_company_registration", REGISTRATIONS),
    ("invoice_number", "string"),
    ("date", "date"),
    ("total_amount", "number"),
    ("total_net", "number"),
    ("total_tax", "number"),
    ("taxes", TAXES),
    ("line_items", LINE_ITEMS),
    ("document_type", DOCUMENT_TYPE),
    ("locale", LOCALE),
    ("customer_name", "string"),
    ("customer_address", POSTAL_ADDRESS),
    ("shipping_address", POSTAL_ADDRESS),
    ("billing_address", POSTAL_ADDRESS),
    ("supplier_address", POSTAL_ADDRESS),
    ("due_date", "date"),
    ("po_number", "string"),
    ("reference_numbers", "string[]"),
    ("payment_date", "date"),
    ("supplier_payment_details", PAYMENT_DETAILS),
    ("supplier_website", "string"),
    ("supplier_email", "string"),
    ("customer_id", "string"),
];

pub(crate) const NUTRITION_FACTS: &[Row] = &[
    ("serving_per_box", "number"),
    ("serving_size", "object: amount number; unit string"),
    ("calories", AMOUNTS),
    ("total_fat", AMOUNTS),
    ("saturated_fat", AMOUNTS),
    ("trans_fat", AMOUNTS),
    ("cholesterol", AMOUNTS),
    ("total_carbohydrate", AMOUNTS),
    ("dietary_fiber", AMOUNTS),
    ("total_sugars", AMOUNTS),
    ("added_sugars", AMOUNTS),
    ("protein", AMOUNTS),
    ("sodium", "object: per_100g number; per_serving number; unit string; daily_value number"),
    (
        "nutrients",
        "object[]: name string; per_100g number; per_serving number; unit string; daily_value number",
    ),
];

pub(crate) const PASSPORT: &[Row] = &[
    ("given_names", "string"),
    ("surnames", "string"),
    ("date_of_birth", "date"),
    ("place_of_birth", "string"),
    ("passport_number", "string"),
    ("issuing_country", "string"),
    ("nationality", "string"),
    ("date_of_issue", "date"),
    ("date_of_expiry", "date"),
    ("sex", "classification {Male, Female, Other}"),
    ("mrz_line_1", "string"),
    ("mrz_line_2", "string"),
];

pub(crate) const PAYSLIP: &[Row] = &[
    ("first_name", "string"),
    ("last_name", "string"),
    ("employee_address", "string"),
    ("pay_period_start_date", "date"),
    ("pay_period_end_date", "date"),
    ("gross_pay", "number"),
    ("net_pay", "number"),
    ("deductions", PAYSLIP_ITEMS),
    ("taxes", PAYSLIP_ITEMS),
    ("employer_name", "string"),
    ("employer_address", "string"),
    ("social_security_number", "string"),
    ("employee_id", "string"),
];

pub(crate) const RECEIPT: &[Row] = &[
    ("supplier_name", "string"),
    ("supplier_address", "string"),
    ("supplier_phone_number", "string"),
    ("supplier_company_registration", REGISTRATIONS),
    ("receipt_number", "string"),
    ("date", "date"),
    ("time", "string"),
    ("total_amount", "number"),
    ("total_net", "number"),
    ("total_tax", "number"),
    ("taxes", TAXES),
    ("tips_gratuity", "number"),
    (
        "line_items",
        "object[]: description string; quantity number; unit_price number; total_price number",
    ),
    ("document_type", "classification {expense_receipt, credit_card_receipt}"),
    ("purchase_category", CATEGORY),
    ("purchase_subcategory", SUBCATEGORY),
    ("locale", LOCALE),
];

pub(crate) const RESUME: &[Row] = &[
    ("name", "string"),
    ("address", "string"),
    ("phone_number", "string"),
    ("email", "string"),
    ("linkedin_profile", "string"),
    (
        "education",
        "object[]: school_name string; degree string; dates_attended string; gpa number; relevant_coursework \
        string",
    ),
    (
        "experience",
        "object[]: company_name string; job_title string; dates_employed string; responsibilities string",
    ),
    ("skills", "string[]"),
    ("languages", "object[]: language string; proficiency string"),
    ("projects", "object[]: project_name string; description string; technologies_used string"),
    ("awards_certifications", "object[]: name string; date_received date"),
    ("summary_objective", "string"),
    ("candidate_photo", "object_detection"),
];

pub(crate) const US_HEALTHCARE_CARD: &[Row] = &[
    ("company_name", "string"),
    ("plan_name", "string"),
    ("member_name", "string"),
    ("member_id", "string"),
    ("issuer_80840", "string"),
    ("dependents", "string[]"),
    ("group_number", "string"),
    ("payer_id", "string"),
    ("rx_bin", "string"),
    ("rx_id", "string"),
    ("rx_grp", "string"),
    ("rx_pcn", "string"),
    (
        "copayments",
        "object[]: service_name classification {primary_care, emergency_room, urgent_care, specialist, \
        office_visit, prescription}; service_fees number",
    ),
    ("enrollment_date", "date"),
];
