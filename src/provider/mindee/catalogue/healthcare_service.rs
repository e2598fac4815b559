use crate::provider::open_enum::open_enum;

open_enum! {
    /// What a copayment is for.
    pub enum HealthcareService {
        PrimaryCare = "primary_care",
        EmergencyRoom = "emergency_room",
        UrgentCare = "urgent_care",
        Specialist = "specialist",
        OfficeVisit = "office_visit",
        Prescription = "prescription",
    }
}
