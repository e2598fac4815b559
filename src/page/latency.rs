//! The wait and the handling time of each model.

use maud::{Markup, html};

use super::{address::View, filter::Filter, format};
use crate::{
    delivery::ModelName,
    latency::{Quantiles, Summary},
};

/// The section of the overview. Nothing if no delivery was processed.
pub(super) fn section(summaries: &[(ModelName, Summary)]) -> Markup {
    html! {
        @if !summaries.is_empty() {
            section {
                h2 {
                    "Wait and handling time "
                    span.dim { "attempts of this process in the last 30 to 60 minutes" }
                }
                div.scroll tabindex="0" role="region" aria-label="Wait and handling time" {
                    table.counts.latency {
                        thead {
                            tr {
                                th scope="col" { "model" }
                                @for name in ["attempts", "wait p50", "wait p99", "handling p50", "handling p99"] {
                                    th.number scope="col" { (name) }
                                }
                            }
                        }
                        tbody { @for (model, summary) in summaries { (row(model, summary)) } }
                    }
                }
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
