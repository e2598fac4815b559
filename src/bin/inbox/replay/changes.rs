use std::time::SystemTime;

use http::{HeaderName, HeaderValue, request::Parts};
use tower_inbox::signature::Scheme;
use uuid::Uuid;

use crate::poster::Failed;

/// What is put into each request: what was redacted, or is too old by now.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) scheme: Option<Box<dyn Scheme>>,
}

impl Changes {
    pub(super) fn apply(&self, head: &mut Parts, body: &[u8]) -> Result<(), Failed> {
        for (name, value) in &self.headers {
            head.headers.insert(name, value.clone());
        }
        for (name, value) in &self.parameters {
            set_parameter(head, name, value)?;
        }
        let Some(scheme) = &self.scheme else { return Ok(()) };
        let id = format!("msg_{}", Uuid::now_v7().simple());
        let signature = scheme.signature(&id, body, SystemTime::now())?;
        for (name, value) in signature.headers() {
            head.headers.insert(name, value.clone());
        }
        match signature.query() {
            Some((name, value)) => set_parameter(head, name, value),
            None => Ok(()),
        }
    }
}

/// In the place of the one that is there, and leaves the others to the letter.
fn set_parameter(head: &mut Parts, name: &str, value: &str) -> Result<(), Failed> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let ours = format!("{}={}", encode(name), encode(value));
    let is_it = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(known, _)| known == name)
    };
    let query = head.uri.query().unwrap_or_default();
    let others = query.split('&').filter(|pair| !pair.is_empty() && !is_it(pair));
    let query: Vec<_> = others.chain([ours.as_str()]).collect();
    let target = format!("{}?{}", head.uri.path(), query.join("&"));
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(target.parse()?);
    head.uri = parts.try_into()?;
    Ok(())
}

/// `name: value`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), Failed> {
    let (name, value) = text.split_once(':').ok_or("a header is written as 'name: value'")?;
    Ok((name.trim().parse()?, value.trim().parse()?))
}

/// `name=value`.
pub(super) fn parameter(text: &str) -> Result<(String, String), Failed> {
    let (name, value) = text.split_once('=').ok_or("a parameter is written as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tower_inbox::{Secret, signature::QueryToken};

    use super::*;

    #[test]
    fn what_is_there_is_replaced_and_the_rest_stays() {
        let request = Request::post("/p?token=redacted&a=%2F").header("x-a", "old").body(());
        let (mut head, ()) = request.unwrap().into_parts();
        let changes = Changes {
            headers: vec![header("X-A:  new").unwrap()],
            parameters: vec![parameter("b=c d").unwrap()],
            scheme: Some(Box::new(QueryToken::new("token", Secret::new("hunter2")))),
        };
        changes.apply(&mut head, b"{}").unwrap();
        assert_eq!(head.uri, "/p?a=%2F&b=c+d&token=hunter2");
        assert_eq!(head.headers["x-a"], "new");
        assert!(header("no").is_err() && parameter("no").is_err());
    }
}
