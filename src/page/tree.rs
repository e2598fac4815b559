//! JSON as a tree of nodes, bounded in depth and number, in the order of the body.

use std::{cell::Cell, fmt};

use maud::{Markup, html};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::format;
use crate::{delivery::prefix, provider::json_path};

/// The longest body that is parsed.
pub(super) const MAX_BODY: usize = 16 << 20;

/// The number of nodes that are shown.
const MAX_NODES: usize = 2000;

/// The number of levels that are shown.
const MAX_DEPTH: usize = 24;

/// The number of levels that are open at first.
const OPEN: usize = 4;

/// The longest text of a node, in bytes.
const MAX_TEXT: usize = 1024;

/// The name under which `serde_json` passes numbers with its feature `arbitrary_precision`, which another crate may
/// have enabled.
const ARBITRARY_NUMBER: &str = "$serde_json::private::Number";

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// `null`, a boolean or a number.
    Word(String),
    Text {
        shown: String,
        /// The number of bytes that are not shown.
        hidden: usize,
    },
    List {
        items: Vec<Node>,
        hidden: usize,
    },
    Object {
        members: Vec<(String, Node)>,
        hidden: usize,
    },
    /// A value below the deepest level that is shown.
    Deep,
}

/// Parses a body. Cost: time and memory linear in its length, memory at most a few MiB.
///
/// # Errors
///
/// If it is not JSON.
pub(super) fn parse(body: &[u8]) -> Result<Node, serde_json::Error> {
    let budget = Cell::new(MAX_NODES);
    let mut json = serde_json::Deserializer::from_slice(body);
    let node = Seed { budget: &budget, depth: 0 }.deserialize(&mut json)?;
    json.end()?;
    Ok(node)
}

/// Parses one value within the budget that all nodes share.
#[derive(Clone, Copy)]
struct Seed<'b> {
    budget: &'b Cell<usize>,
    depth: usize,
}

impl Seed<'_> {
    /// The seed of a child; `None` if no more nodes are shown.
    fn child(&self) -> Option<Self> {
        let left = self.budget.get().checked_sub(1)?;
        self.budget.set(left);
        Some(Self { depth: self.depth + 1, ..*self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Node, D::Error> {
        if self.depth > MAX_DEPTH {
            return json.deserialize_ignored_any(IgnoredAny).map(|_| Node::Deep);
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Word("null".to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Word(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Word(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Word(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Word(format!("{value:?}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        let shown = prefix(value, MAX_TEXT).to_owned();
        Ok(Node::Text { hidden: value.len() - shown.len(), shown })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(child) = self.child() {
            match list.next_element_seed(child)? {
                Some(item) => items.push(item),
                None => return Ok(Node::List { items, hidden: 0 }),
            }
        }
        let mut hidden = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            hidden += 1;
        }
        Ok(Node::List { items, hidden })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(child) = self.child() {
            let Some(name) = object.next_key::<String>()? else {
                return Ok(Node::Object { members, hidden: 0 });
            };
            if members.is_empty() && name == ARBITRARY_NUMBER {
                return object.next_value().map(Node::Word);
            }
            members.push((name, object.next_value_seed(child)?));
        }
        let mut hidden = 0;
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            hidden += 1;
        }
        Ok(Node::Object { members, hidden })
    }
}

/// The tree as HTML. The node at the path that `reason` names is marked.
pub(super) fn html(node: &Node, reason: Option<&str>) -> Markup {
    let fault = reason.and_then(|reason| reason.split_once(", at ")).map(|(_, path)| path);
    let mut path = json_path::ROOT.to_owned();
    html! { div.tree { (branch(node, None, &mut path, fault.unwrap_or_default(), 0)) } }
}

fn branch(node: &Node, name: Option<&str>, path: &mut String, fault: &str, depth: usize) -> Markup {
    let marked = is_at(fault, path);
    let has_fault = fault.starts_with(path.as_str());
    let (children, hidden, ends) = match node {
        Node::List { items, hidden } => (items.len(), *hidden, ["[", "]"]),
        Node::Object { members, hidden } => (members.len(), *hidden, ["{", "}"]),
        leaf => {
            return html! {
                div.leaf.fault[marked] { (label(name)) (value(leaf)) }
            };
        }
    };
    let size = children + hidden;
    html! {
        details open[depth < OPEN || has_fault] {
            summary.fault[marked] { (label(name)) span.dim { (ends[0]) (size) (ends[1]) } }
            (self::children(node, path, fault, depth))
            @if hidden > 0 { div.leaf.dim { "… and " (hidden) " more" } }
        }
    }
}

fn children(node: &Node, path: &mut String, fault: &str, depth: usize) -> Markup {
    let length = path.len();
    html! {
        @match node {
            Node::List { items, .. } => @for (index, item) in items.iter().enumerate() {
                ({ json_path::push_index(path, index); "" })
                (branch(item, Some(&index.to_string()), path, fault, depth + 1))
                ({ path.truncate(length); "" })
            },
            Node::Object { members, .. } => @for (name, member) in members {
                ({ json_path::push_name(path, name); "" })
                (branch(member, Some(name), path, fault, depth + 1))
                ({ path.truncate(length); "" })
            },
            _ => {}
        }
    }
}

fn label(name: Option<&str>) -> Markup {
    html! {
        @if let Some(name) = name { bdi.key { (format::foreign(prefix(name, MAX_TEXT))) } ": " }
    }
}

fn value(leaf: &Node) -> Markup {
    html! {
        @match leaf {
            Node::Word(word) => span.word { (word) },
            Node::Text { shown, hidden } => {
                bdi.text { "\"" (format::foreign(shown)) "\"" }
                @if *hidden > 0 { span.dim { " … and " (format::bytes(*hidden as u64)) " more" } }
            },
            _ => span.dim { "… nested too deeply to show" },
        }
    }
}

/// Whether the text after the path in a reason begins here: the path is whole, and not the beginning of another.
fn is_at(fault: &str, path: &str) -> bool {
    let rest = fault.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', ':', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str, reason: Option<&str>) -> String {
        html(&parse(body.as_bytes()).unwrap(), reason).into_string()
    }

    #[test]
    fn members_stay_in_the_order_of_the_body_and_are_escaped() {
        let html = shown(r#"{"b":[1,2.5,null],"a":"<script>\u202e"}"#, None);
        let (b, a) = (html.find(">b<").unwrap(), html.find(">a<").unwrap());
        assert!(b < a, "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("\\u{202e}"), "{html}");
        assert!(html.contains("2.5") && html.contains("null"), "{html}");
    }

    #[test]
    fn number_of_nodes_and_depth_are_bounded() {
        let many = format!("[{}0]", "0,".repeat(100_000));
        let Node::List { items, hidden } = parse(many.as_bytes()).unwrap() else { panic!() };
        assert!(items.len() <= MAX_NODES && items.len() + hidden == 100_001);
        let levels = 100_000;
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let html = shown(&deep, None);
        assert!(html.contains("nested too deeply") && html.len() < 10_000, "{}", html.len());
    }

    #[test]
    fn long_text_is_cut() {
        let html = shown(&format!("\"{}\"", "é".repeat(10_000)), None);
        assert!(html.contains("… and 18.5 KiB more") && html.len() < 4000, "{}", html.len());
    }

    #[test]
    fn text_that_is_not_json_is_an_error() {
        for body in ["", "{", "{} {}", "abc", "[1,]"] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn node_at_the_path_of_a_decode_error_is_marked() {
        let body = r#"{"a":[{"b":"x","bc":1}]}"#;
        let reason = "the body does not have the shape of the model's type, at $.a[0].b: expected";
        let html = shown(body, Some(reason));
        assert_eq!(html.matches("fault").count(), 1, "{html}");
        let marked = html.split("fault").nth(1).unwrap();
        assert!(marked.contains(">b<") && !marked.starts_with(">bc"), "{html}");
        assert_eq!(shown(body, None).matches("fault").count(), 0);
    }
}
