use super::{Date, common::schema};
use crate::provider::{
    Text,
    json::open_enum,
    mindee::{Field, List},
};

schema! {
    /// A European vehicle registration, with the field codes of Council Directive 1999/37/EC: catalogue model
    /// `european_vehicle_registration`.
    pub struct EuropeanVehicleRegistration {
        document_number: Field<Text>,
        a: Field<Text>,
        b: Field<Date>,
        c1: Field<Text>,
        c2: Field<Text>,
        c3: Field<Text>,
        c4: Field<Text>,
        c4_1: Field<Text>,
        d1: Field<Text>,
        d2: Field<Text>,
        d2_1: Field<Text>,
        d3: Field<Text>,
        e: Field<Text>,
        f1: Field<f64>,
        f2: Field<f64>,
        f3: Field<f64>,
        g: Field<f64>,
        g1: Field<f64>,
        h: Field<Date>,
        i: Field<Date>,
        j: Field<VehicleCategory>,
        j1: Field<Text>,
        j2: Field<Text>,
        j3: Field<Text>,
        k: Field<Text>,
        p1: Field<f64>,
        p2: Field<f64>,
        p3: Field<Text>,
        p5: Field<Text>,
        p6: Field<f64>,
        s1: Field<f64>,
        x1: Field<Text>,
        y1: Field<f64>,
        y2: Field<f64>,
        y3: Field<f64>,
        y4: Field<f64>,
        y5: Field<f64>,
        y6: Field<f64>,
        z1: Field<Text>,
        z2: Field<Text>,
        z3: Field<Text>,
        z4: Field<Text>,
        z5: Field<Text>,
        mrz1: Field<Text>,
        mrz2: Field<Text>,
    }
}

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

schema! {
    /// A bill of lading: catalogue model `bill_of_lading`.
    pub struct BillOfLading {
        bill_of_lading_number: Field<Text>,
        shipper: Field<Text>,
        consignee: Field<Text>,
        notify_party: Field<Text>,
        carrier: Field<Text>,
        carrier_items: List<Field<Text>>,
        port_of_loading: Field<Text>,
        port_of_discharge: Field<Text>,
        place_of_delivery: Field<Text>,
        issue_date: Field<Date>,
        departure_date: Field<Date>,
    }
}
