use super::{Address, Date, common::schema};
use crate::provider::{
    Text,
    json::open_enum,
    mindee::{AnyField, Field, List, Object},
};

schema! {
    /// A passport: catalogue model `passport`.
    pub struct Passport {
        given_names: Field<Text>,
        surnames: Field<Text>,
        date_of_birth: Field<Date>,
        place_of_birth: Field<Text>,
        passport_number: Field<Text>,
        issuing_country: Field<Text>,
        nationality: Field<Text>,
        date_of_issue: Field<Date>,
        date_of_expiry: Field<Date>,
        sex: Field<PassportSex>,
        mrz_line_1: Field<Text>,
        mrz_line_2: Field<Text>,
    }
}

schema! {
    /// An identity document of any country: catalogue model `international_id`.
    pub struct InternationalId {
        given_names: Field<Text>,
        surnames: Field<Text>,
        date_of_birth: Field<Date>,
        place_of_birth: Field<Text>,
        nationality: Field<Text>,
        sex: Field<Sex>,
        document_number: Field<Text>,
        date_of_issue: Field<Date>,
        date_of_expiry: Field<Date>,
        authority: Field<Text>,
        address: Object<Address>,
        document_type: Field<IdentityDocumentType>,
        mrz: Object<MachineReadableZone>,
    }
}

schema! {
    /// The machine-readable zone of an identity document.
    pub struct MachineReadableZone {
        line_1: Field<Text>,
        line_2: Field<Text>,
        line_3: Field<Text>,
    }
}

open_enum! {
    /// The type of an identity document.
    pub enum IdentityDocumentType {
        Passport = "Passport",
        NationalId = "National ID",
        DriverLicense = "Driver License",
        ResidencePermit = "Residence Permit",
    }
}

schema! {
    /// A driver's licence: catalogue model `drivers_license`.
    pub struct DriversLicense {
        first_name: Field<Text>,
        last_name: Field<Text>,
        date_of_birth: Field<Date>,
        place_of_birth: Field<Text>,
        nationality: Field<Text>,
        sex: Field<Sex>,
        document_id: Field<Text>,
        issued_date: Field<Date>,
        expiry_date: Field<Date>,
        country_code: Field<Text>,
        issuing_authority: Field<Text>,
        address: Object<Address>,
        mrz: Field<Text>,
        category: Field<Text>,
    }
}

open_enum! {
    /// The sex in the catalogue's passport.
    pub enum PassportSex {
        Male = "Male",
        Female = "Female",
        Neither = "Other",
    }
}

open_enum! {
    /// The sex in identity documents and driver's licences.
    pub enum Sex {
        Male = "M",
        Female = "F",
        Neither = "Other",
    }
}

schema! {
    /// A business card: catalogue model `business_card`.
    pub struct BusinessCard {
        name: Field<Text>,
        job_title: Field<Text>,
        company: Field<Text>,
        phone_number: Field<Text>,
        email_address: Field<Text>,
        website: Field<Text>,
        address: Field<Text>,
    }
}

schema! {
    /// A résumé: catalogue model `resume`.
    pub struct Resume {
        name: Field<Text>,
        address: Field<Text>,
        phone_number: Field<Text>,
        email: Field<Text>,
        linkedin_profile: Field<Text>,
        education: List<Object<Education>>,
        experience: List<Object<Experience>>,
        skills: List<Field<Text>>,
        languages: List<Object<LanguageSkill>>,
        projects: List<Object<Project>>,
        awards_certifications: List<Object<Award>>,
        summary_objective: Field<Text>,
        candidate_photo: Option<AnyField>,
    }
}

schema! {
    /// A school.
    pub struct Education {
        school_name: Field<Text>,
        degree: Field<Text>,
        dates_attended: Field<Text>,
        gpa: Field<f64>,
        relevant_coursework: Field<Text>,
    }
}

schema! {
    /// A job.
    pub struct Experience {
        company_name: Field<Text>,
        job_title: Field<Text>,
        dates_employed: Field<Text>,
        responsibilities: Field<Text>,
    }
}

schema! {
    /// A language.
    pub struct LanguageSkill {
        language: Field<Text>,
        proficiency: Field<Text>,
    }
}

schema! {
    /// A project.
    pub struct Project {
        project_name: Field<Text>,
        description: Field<Text>,
        technologies_used: Field<Text>,
    }
}

schema! {
    /// An award or a certificate.
    pub struct Award {
        name: Field<Text>,
        date_received: Field<Date>,
    }
}
