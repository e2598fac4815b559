use crate::provider::open_enum::open_enum;

open_enum! {
    /// The category of a vehicle (Regulation (EU) 2018/858).
    pub enum VehicleCategory {
        M1 = "M1",
        N1 = "N1",
        N2 = "N2",
        N3 = "N3",
        L = "L",
        O = "O",
    }
}
