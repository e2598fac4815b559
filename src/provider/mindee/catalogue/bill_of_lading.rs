use super::{Date, schema::schema};
use crate::provider::{
    Text,
    mindee::{Field, List},
};

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
