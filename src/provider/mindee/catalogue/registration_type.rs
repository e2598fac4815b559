use crate::provider::open_enum::open_enum;

open_enum! {
    /// The register that the number of a company is of.
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
