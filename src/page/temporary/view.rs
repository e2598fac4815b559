//! The pages of temporary endpoints.

use std::{sync::Arc, time::SystemTime};

use maud::{Markup, html};

use super::{
    check::{Checked, Checker, Fields, Form},
    endpoints::{
        Endpoint, Endpoints, LIFETIME, MOST_BYTES, MOST_ENDPOINTS, MOST_REQUESTS, ReceivedRequest,
    },
    receive::{MOST_BODY, PREFIX},
    scheme::choices,
    struct_section,
};
use crate::{
    delivery::{Head, Redaction},
    page::{
        address::{Action, BodyForm, RequestNumber, View},
        body::ShownBody,
        delivery, format,
        html::{self, Column, Page, Tab},
    },
};

/// Query parameters that usually are tokens. Their values are not shown. A model redacts those of its scheme, which an
/// endpoint does not have.
const TOKEN_PARAMETERS: [&str; 6] = ["token", "ticket", "secret", "key", "api_key", "auth"];

/// All endpoints.
pub(in crate::page) fn list_page(endpoints: &Endpoints, now: SystemTime) -> Page {
    let endpoints = endpoints.all(now);
    let content = html! {
        div.bar {
            h1 { "Temporary endpoints" }
            (html::button(&Action::CreateEndpoint, "Create endpoint"))
        }
        p.dim {
            "A temporary endpoint has a random URL, and shows what is posted to it. It verifies, archives and handles "
            "nothing. It is removed after " (format::duration(LIFETIME)) ", and when the server stops. There are at most "
            (MOST_ENDPOINTS) "."
        }
        (table(&endpoints, now))
    };
    page("Temporary endpoints", true, content)
}

fn page(title: impl Into<String>, is_live: bool, content: Markup) -> Page {
    Page { title: title.into(), tab: Some(Tab::Temporary), is_live, content }
}

const ENDPOINT_COLUMNS: [Column<'_>; 4] = [
    Column::Text("endpoint"),
    Column::Text("created by"),
    Column::Text("expires in"),
    Column::Number("requests"),
];

fn table(endpoints: &[Endpoint], now: SystemTime) -> Markup {
    let rows = html! {
        @for endpoint in endpoints {
            tr data-id={ "endpoint-" (endpoint.number) } {
                td { a href=(view(endpoint).link()) { (name(endpoint)) } }
                td { (format::foreign(&endpoint.created_by)) }
                td { (remaining(endpoint, now)) }
                td.number { (format::number(endpoint.received)) }
            }
        }
    };
    html! {
        @if endpoints.is_empty() {
            p.empty { "No temporary endpoints." }
        } @else {
            (html::table("Temporary endpoints", "", &ENDPOINT_COLUMNS, &rows))
        }
    }
}

fn view(endpoint: &Endpoint) -> View {
    View::TemporaryEndpoint(endpoint.number)
}

fn name(endpoint: &Endpoint) -> String {
    format!("Temporary endpoint {}", endpoint.number)
}

fn remaining(endpoint: &Endpoint, now: SystemTime) -> String {
    format::duration(endpoint.expires_at.duration_since(now).unwrap_or_default())
}

/// One endpoint, with the requests that it received, the latest first. `None` if it does not exist.
pub(in crate::page) fn endpoint_page(
    endpoints: &Endpoints,
    number: u64,
    now: SystemTime,
) -> Option<Page> {
    let endpoint = endpoints.endpoint(number, now)?;
    let content = html! {
        div.bar {
            h1 { (name(&endpoint)) }
            (html::button(&Action::DeleteEndpoint(number), "Delete endpoint"))
        }
        (url(&endpoint))
        p.dim {
            "Accepts POST and PUT with any body of up to " (format::bytes(MOST_BODY as u64)) ", and answers 200. Everyone "
            "who has the URL can post. It expires in " (remaining(&endpoint, now)) "."
        }
        (requests(&endpoint, now))
        @if endpoint.received > endpoint.requests.len() as u64 {
            p.dim {
                "The latest " (MOST_REQUESTS) " requests of together at most " (format::bytes(MOST_BYTES as u64))
                " are kept; older ones were removed."
            }
        }
    };
    Some(page(name(&endpoint), true, content))
}

/// The script replaces the path by the whole URL. Only the browser has its beginning: the service does not see a prefix
/// that a router or a proxy has removed.
fn url(endpoint: &Endpoint) -> Markup {
    let path = format!("{PREFIX}{}", endpoint.token.as_str());
    html! {
        section.bar {
            code #url.digest data-path=(path) { (path) }
            button type="button" data-copy="url" hidden { "Copy" }
        }
        noscript {
            p.dim { "The URL is the address of this page without its query, followed by this path." }
        }
    }
}

const REQUEST_COLUMNS: [Column<'_>; 5] = [
    Column::Text("request"),
    Column::Text("received (UTC)"),
    Column::Text("method"),
    Column::Text("content type"),
    Column::Number("body"),
];

fn requests(endpoint: &Endpoint, now: SystemTime) -> Markup {
    let rows = html! {
        @for received in endpoint.requests.iter().rev() { (row(endpoint.number, received, now)) }
    };
    html! {
        @if endpoint.requests.is_empty() {
            p.empty { "No requests. Post to the URL." }
        } @else {
            (html::table("Requests", "", &REQUEST_COLUMNS, &rows))
        }
    }
}

fn row(endpoint: u64, received: &ReceivedRequest, now: SystemTime) -> Markup {
    let of = RequestNumber { endpoint, request: received.number };
    html! {
        tr data-id={ "request-" (received.number) } {
            td { a href=(View::request(of).link()) { "Request " (received.number) } }
            td { (html::moment(received.received_at, now)) }
            td { (received.head.method) }
            td { (content_type(received)) }
            td.number { (format::bytes(received.body.len() as u64)) }
        }
    }
}

fn content_type(received: &ReceivedRequest) -> Markup {
    let value = received.head.headers.get(http::header::CONTENT_TYPE);
    let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
    format::foreign(&value.unwrap_or_default())
}

/// One request. `None` if it does not exist.
pub(in crate::page) async fn request_page(
    endpoints: &Endpoints,
    of: RequestNumber,
    form: Option<BodyForm>,
    now: SystemTime,
) -> Option<Page> {
    let received = endpoints.request(of, now)?;
    Some(received_page(of, &received, form, None, now).await)
}

/// One request, with the result of a check. `None` if the request does not exist, or the check failed.
pub(in crate::page) async fn checked_page(
    endpoints: &Endpoints,
    checker: &Checker,
    of: RequestNumber,
    form: Form,
    now: SystemTime,
) -> Option<Page> {
    let received = endpoints.request(of, now)?;
    let result = checker.check(Arc::clone(&received), form).await?;
    Some(received_page(of, &received, None, Some(result), now).await)
}

async fn received_page(
    of: RequestNumber,
    received: &Arc<ReceivedRequest>,
    form: Option<BodyForm>,
    checked: Option<Checked>,
    now: SystemTime,
) -> Page {
    let body = ShownBody::new(received.body.clone(), form).await;
    let body_link = |form| View::TemporaryRequest { of, body: Some(form) };
    let endpoint = View::TemporaryEndpoint(of.endpoint);
    let head = Head::of(&received.head, &redaction());
    let title = format!("Request {} to temporary endpoint {}", of.request, of.endpoint);
    let content = html! {
        div.bar {
            h1 { (title) }
            a.button href=(endpoint.link()) { "All requests" }
        }
        dl.facts {
            (delivery::fact("Received", &html::moment(received.received_at, now)))
            @if let Some(peer) = head.peer() {
                (delivery::fact("Peer", &html! { code { (peer) } }))
            }
        }
        (body.html(body_link, &of.download(), None))
        (delivery::head(&head, "Secrets are not shown: they are redacted as in the archive, and so are common names of tokens in the query."))
        (struct_section::html(Arc::clone(received)).await)
        (signature(of, checked.as_ref()))
    };
    page(title, false, content)
}

fn redaction() -> Redaction {
    TOKEN_PARAMETERS.into_iter().fold(Redaction::default(), Redaction::query)
}

fn signature(of: RequestNumber, checked: Option<&Checked>) -> Markup {
    let empty = Fields::default();
    let fields = checked.map_or(&empty, |checked| &checked.fields);
    html! {
        section #signature {
            h2 { "Signature" }
            @if let Some(checked) = checked { (checked.html()) }
            form.filter method="post" action={ (of.check()) "#signature" } autocomplete="off" {
                label {
                    span { "Scheme" }
                    select name="scheme" {
                        @for choice in choices() {
                            option value=(choice.name) selected[choice.name == fields.choice] { (choice.label) }
                        }
                    }
                }
                // Browsers expect a user name beside a password.
                input type="text" autocomplete="username" value="secret" hidden;
                label.wide {
                    span { "Secret" }
                    input type="password" name="secret" required maxlength="2048" autocomplete="new-password";
                }
                label {
                    span { "Header or parameter" }
                    input name="place" value=(fields.place) placeholder="x-signature" maxlength="128";
                }
                label {
                    span { "Prefix" }
                    input name="prefix" value=(fields.prefix) placeholder="sha256=" maxlength="32";
                }
                button type="submit" { "Check" }
            }
            p.dim {
                "The secret is sent in the body of the request, used for one check, and not stored. Header or parameter and "
                "prefix are for HMAC-SHA256 in a header, and for tokens."
            }
        }
    }
}
