//! The body of a delivery as a tree, as text or as hexadecimal digits. Bounded, because a sender chose it.

use std::fmt::Write;

use bytes::Bytes;
use maud::{Markup, html};

use super::{
    address::{BodyForm, View},
    format,
    tree::{self, Node},
};
use crate::delivery::prefix;

/// The number of bytes that are shown as text.
const TEXT: usize = 64 << 10;

/// The number of bytes that are shown as hexadecimal digits.
const HEX: usize = 4 << 10;

/// The number of bytes in a row of hexadecimal digits.
const ROW: usize = 16;

/// A body, prepared to be shown.
#[derive(Debug)]
pub(super) struct ShownBody {
    form: BodyForm,
    content: Content,
    length: usize,
}

#[derive(Debug)]
enum Content {
    Tree(Node),
    Text(String),
    Hex(String),
    /// Why it cannot be shown in this form.
    Impossible(String),
    Empty,
}

impl ShownBody {
    /// Prepares a body on a thread for blocking work, because it may be long. Without a form, the first that fits.
    pub(super) async fn new(body: Bytes, form: Option<BodyForm>) -> Self {
        let length = body.len();
        let prepare = move || Self::prepared(&body, form);
        let prepared = tokio::task::spawn_blocking(prepare).await;
        prepared.unwrap_or_else(|_| Self {
            form: form.unwrap_or(BodyForm::Hex),
            content: Content::Impossible("the body cannot be shown".to_owned()),
            length,
        })
    }

    fn prepared(body: &[u8], form: Option<BodyForm>) -> Self {
        let (length, at) = (body.len(), |form, content| (form, content));
        let (form, content) = match form {
            _ if body.is_empty() => at(form.unwrap_or(BodyForm::Text), Content::Empty),
            Some(form @ BodyForm::Tree) => {
                at(form, parsed(body).unwrap_or_else(Content::Impossible))
            }
            Some(form @ BodyForm::Text) => at(form, Content::Text(text(body))),
            Some(form @ BodyForm::Hex) => at(form, Content::Hex(hex_dump(body))),
            None => match parsed(body) {
                Ok(tree) => at(BodyForm::Tree, tree),
                Err(_) if std::str::from_utf8(body).is_ok() => {
                    at(BodyForm::Text, Content::Text(text(body)))
                }
                Err(_) => at(BodyForm::Hex, Content::Hex(hex_dump(body))),
            },
        };
        Self { form, content, length }
    }

    /// The section of the page. `view` is the same page with the body in another form, and `download` the link to the
    /// body. `reason` may name the path of a decode error, which is marked in the tree.
    pub(super) fn html(
        &self,
        view: impl Fn(BodyForm) -> View,
        download: &str,
        reason: Option<&str>,
    ) -> Markup {
        html! {
            section #body {
                div.bar {
                    h2 { "Body" }
                    span.dim { (format::bytes(self.length as u64)) }
                    nav.tabs aria-label="Form of the body" {
                        @for form in BodyForm::ALL {
                            a href={ (view(form).link()) "#body" } aria-current=[(form == self.form).then_some("true")] {
                                (form.as_str())
                            }
                        }
                    }
                    a.button href=(download) { "Download" }
                }
                (self.content(reason))
            }
        }
    }

    fn content(&self, reason: Option<&str>) -> Markup {
        html! {
            @match &self.content {
                Content::Tree(node) => (tree::html(node, reason)),
                Content::Text(text) => {
                    pre.body tabindex="0" { bdi { (format::foreign(text)) } }
                    (cut(self.length, TEXT))
                },
                Content::Hex(dump) => {
                    pre.body tabindex="0" { (dump) }
                    (cut(self.length, HEX))
                },
                Content::Impossible(reason) => p.dim { (format::foreign(reason)) },
                Content::Empty => p.dim { "The body is empty." },
            }
        }
    }
}

fn cut(length: usize, shown: usize) -> Markup {
    html! {
        @if length > shown {
            p.dim {
                "The first " (format::bytes(shown as u64)) " of " (format::bytes(length as u64))
                ". Download the body to read the rest."
            }
        }
    }
}

fn parsed(body: &[u8]) -> Result<Content, String> {
    if body.len() > tree::MAX_BODY {
        let limit = format::bytes(tree::MAX_BODY as u64);
        return Err(format!("bodies of more than {limit} are not parsed; see the text"));
    }
    tree::parse(body).map(Content::Tree).map_err(|error| format!("the body is not JSON: {error}"))
}

/// The beginning as text, with a replacement for bytes that are not UTF-8.
fn text(body: &[u8]) -> String {
    let start = body.get(..TEXT).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    prefix(&text, TEXT).to_owned()
}

/// The beginning as rows of an offset, hexadecimal digits and ASCII.
fn hex_dump(body: &[u8]) -> String {
    let mut dump = String::new();
    let start = body.get(..HEX).unwrap_or(body);
    for (row, bytes) in start.chunks(ROW).enumerate() {
        let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let printable = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let ascii: String = bytes.iter().map(printable).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(dump, "{:08x}  {:<47}  {ascii}", row * ROW, digits.join(" "));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &[u8]) -> BodyForm {
        ShownBody::prepared(body, None).form
    }

    #[test]
    fn form_is_chosen_by_the_body() {
        assert_eq!(form(b"{\"a\":1}"), BodyForm::Tree);
        assert_eq!(form(b"plain text"), BodyForm::Text);
        assert_eq!(form(b"\xff\x00"), BodyForm::Hex);
    }

    #[test]
    fn long_bodies_are_cut_in_every_form() {
        let long = vec![b'"'; 10 << 20];
        for form in BodyForm::ALL {
            let shown = ShownBody::prepared(&long, Some(form));
            let html = shown.html(|_| View::Overview, "?", None).into_string();
            assert!(html.len() < 10 * TEXT, "{form:?}: {}", html.len());
        }
    }

    #[test]
    fn hex_dump_has_offset_digits_and_ascii() {
        let dump = hex_dump(b"0123456789abcdef\x00<");
        let wanted = "\
00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef
00000010  00 3c                                            .<
";
        assert_eq!(dump, wanted);
    }
}
