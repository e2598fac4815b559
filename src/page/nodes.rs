//! The nodes that share the archive.

use std::time::Duration;

use maud::{Markup, html};

use super::{
    format,
    html::{self as parts, Column},
};
use crate::archive::Node;

/// Nodes report every 10 s. One that has not reported for this long has probably ended.
const SILENCE: Duration = Duration::from_secs(30);

/// The most nodes in the table.
const MOST: usize = 50;

const COLUMNS: [Column<'_>; 4] = [
    Column::Text("node"),
    Column::Text("version"),
    Column::Number("running for"),
    Column::Number("last report"),
];

/// The section of the overview. Nothing if the archive has no nodes.
pub(super) fn section(nodes: &[Node]) -> Markup {
    let rows = html! { @for node in nodes.iter().take(MOST) { (row(node)) } };
    html! {
        @if !nodes.is_empty() {
            section {
                h2 { "Nodes" }
                (parts::table("Nodes", "nodes", &COLUMNS, &rows))
                (parts::more(nodes.len(), MOST))
            }
        }
    }
}

fn row(node: &Node) -> Markup {
    let ago = format!("{} ago", format::duration(node.silent_for));
    html! {
        tr {
            th scope="row" { (format::foreign(&node.name)) }
            td { (format::foreign(&node.version)) }
            td.number { (format::duration(node.running_for)) }
            td.number {
                @if node.silent_for > SILENCE {
                    span.badge.dead { "silent" } " "
                }
                (ago)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, silent_for: u64) -> Node {
        Node::new(name, "0.1.0", Duration::from_secs(7200), Duration::from_secs(silent_for))
    }

    #[test]
    fn nodes_that_do_not_report_are_marked_and_names_are_escaped() {
        assert_eq!(section(&[]).into_string(), "");
        let html = section(&[node("<a>", 30), node("b", 31)]).into_string();
        assert!(html.contains("&lt;a&gt;") && html.contains("2 h"), "{html}");
        let (first, second) = html.split_once("31 s ago").unwrap();
        assert_eq!(first.matches("silent").count() + second.matches("silent").count(), 1);
        assert!(first.ends_with("<span class=\"badge dead\">silent</span> "), "{html}");
    }

    #[test]
    fn long_list_of_nodes_is_cut() {
        let nodes: Vec<_> = (0..53).map(|number| node(&number.to_string(), 0)).collect();
        let html = section(&nodes).into_string();
        assert_eq!(html.matches("<tr>").count(), 1 + MOST);
        assert!(html.contains("and 3 more"), "{html}");
    }
}
