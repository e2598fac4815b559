//! The places in which bodies deviated from the type of their model, and were decoded all the same.

use std::{cmp::Reverse, time::SystemTime};

use maud::{Markup, html};

use super::{
    address::{Place, View},
    format,
    html::{self as parts, Column},
};
use crate::{delivery::ModelName, provider::Drift};

/// The most places in the table.
const MOST: usize = 50;

const COLUMNS: [Column<'_>; 6] = [
    Column::Text("model"),
    Column::Text("path"),
    Column::Text("deviation"),
    Column::Number("times"),
    Column::Text("first"),
    Column::Text("last"),
];

/// The section of the overview, with the places that were found last first. Nothing if there are none.
pub(super) fn section(mut places: Vec<(ModelName, Drift)>, now: SystemTime) -> Markup {
    places.sort_by_key(|(_, drift)| Reverse(drift.last_at));
    let rows = html! {
        @for (model, drift) in places.iter().take(MOST) { (row(model, drift, now)) }
    };
    html! {
        @if !places.is_empty() {
            section {
                h2 {
                    "Schema drift "
                    span.dim { "tolerated deviations from the payload type since the start" }
                }
                (parts::table("Schema drift", "drift", &COLUMNS, &rows))
                (parts::more(places.len(), MOST))
            }
        }
    }
}

fn row(model: &ModelName, drift: &Drift, now: SystemTime) -> Markup {
    let ago = |at| format::duration(now.duration_since(at).unwrap_or_default());
    html! {
        tr {
            td.model { (format::foreign(model.as_str())) }
            td.path { code { bdi { (format::foreign(&drift.path)) } } }
            td.kind { (format::foreign(&drift.kind.to_string())) }
            td.number { (format::number(drift.count)) }
            td.first title=(format::exact_time(drift.first_at)) { (ago(drift.first_at)) " ago" }
            td.last title=(format::exact_time(drift.last_at)) {
                (ago(drift.last_at)) " ago, in "
                a href=(View::delivery(Place::Archive, drift.last).link()) { code { (parts::short_id(drift.last)) } }
            }
        }
    }
}
