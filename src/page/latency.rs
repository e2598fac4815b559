//! The wait and the handling time of each model.

use maud::{Markup, html};

use super::{
    address::View,
    filter::Filter,
    format,
    html::{self as parts, Column},
};
use crate::{
    delivery::ModelName,
    latency::{Quantiles, Summary},
};

const COLUMNS: [Column<'_>; 6] = [
    Column::Text("model"),
    Column::Number("attempts"),
    Column::Number("wait p50"),
    Column::Number("wait p99"),
    Column::Number("handling p50"),
    Column::Number("handling p99"),
];

/// The section of the overview. Nothing if no delivery was processed.
pub(super) fn section(summaries: &[(ModelName, Summary)]) -> Markup {
    let rows = html! { @for (model, summary) in summaries { (row(model, summary)) } };
    html! {
        @if !summaries.is_empty() {
            section {
                h2 {
                    "Wait and handling time "
                    span.dim { "attempts of this process in the last 30 to 60 minutes" }
                }
                (parts::table("Wait and handling time", "counts latency", &COLUMNS, &rows))
            }
        }
    }
}

fn row(model: &ModelName, summary: &Summary) -> Markup {
    let quantiles = |of: Option<Quantiles>| [of.map(|one| one.p50), of.map(|one| one.p99)];
    html! {
        tr {
            th scope="row" {
                a href=(View::deliveries(Filter::of_model(model)).link()) { (model.as_str()) }
            }
            td.number { (format::number(summary.attempts)) }
            @for duration in [summary.wait, summary.handling].into_iter().flat_map(quantiles) {
                td.number {
                    @match duration {
                        Some(duration) => (format::latency(duration)),
                        None => span.dim { "–" },
                    }
                }
            }
        }
    }
}
