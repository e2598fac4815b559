use crate::provider::open_enum::open_enum;

open_enum! {
    /// What was bought.
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
    /// What was bought, more closely.
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
