use super::{Date, common::schema};
use crate::provider::{
    Text,
    mindee::{AnyField, Field, List, Object},
};

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
