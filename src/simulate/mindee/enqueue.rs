//! Reads requests to enqueue a file: multipart forms, URL-encoded forms, and JSON.

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::BodyExt;
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde_json::Value;

use super::problem::Problem;
use crate::{layer::BoxError, simulate::server};

/// The maximum size of a file, in bytes (page "Technical limitations").
const FILE_LIMIT: u64 = 100 << 20;

/// The maximum size of a member of a form other than the file, and of a URL-encoded form, in bytes.
const MEMBER_LIMIT: u64 = 1 << 20;

/// The maximum number of webhooks of a job.
const WEBHOOK_LIMIT: usize = 100;

/// What a file is enqueued with. The file itself is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Enqueued {
    pub(super) model_id: String,
    pub(super) webhook_ids: Vec<String>,
    pub(super) file_name: String,
    pub(super) alias: Option<String>,
    pub(super) mime_type: Option<String>,
    has_file: bool,
}

/// Reads the request.
pub(super) async fn read<B>(headers: &HeaderMap, body: B) -> Result<Enqueued, Problem>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut enqueued = Enqueued::default();
    if let Ok(boundary) = multer::parse_boundary(kind) {
        enqueued.read_multipart(body, boundary).await?;
    } else if kind.starts_with("application/json") {
        // A file in base64 is longer by a third.
        enqueued.read_json(&read_whole(body, FILE_LIMIT / 3 * 4 + MEMBER_LIMIT).await?)?;
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        for (name, value) in form_urlencoded::parse(&read_whole(body, MEMBER_LIMIT).await?) {
            enqueued.set(&name, value.into_owned());
        }
    } else {
        let detail =
            "Use multipart/form-data, application/x-www-form-urlencoded or application/json.";
        return Err(Problem::unprocessable(detail));
    }
    enqueued.checked()
}

async fn read_whole<B>(body: B, limit: u64) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    server::read_whole(body, limit).await.map_err(Problem::unprocessable)
}

impl Enqueued {
    async fn read_multipart<B>(&mut self, body: B, boundary: String) -> Result<(), Problem>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let sizes = SizeLimit::new()
            .whole_stream(FILE_LIMIT + MEMBER_LIMIT)
            .per_field(MEMBER_LIMIT)
            .for_field("file", FILE_LIMIT);
        let constraints = Constraints::new().size_limit(sizes);
        let stream = body.into_data_stream();
        let mut form = Multipart::with_constraints(stream, boundary, constraints);
        while let Some(field) = form.next_field().await.map_err(|error| invalid_form(&error))? {
            self.read_field(field).await?;
        }
        Ok(())
    }

    async fn read_field(&mut self, mut field: Field<'_>) -> Result<(), Problem> {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            self.set(&name, field.text().await.map_err(|error| invalid_form(&error))?);
            return Ok(());
        }
        self.has_file = true;
        self.mime_type = field.content_type().map(ToString::to_string);
        if let (Some(name), true) = (field.file_name(), self.file_name.is_empty()) {
            self.file_name = name.to_owned();
        }
        while field.chunk().await.map_err(|error| invalid_form(&error))?.is_some() {}
        Ok(())
    }

    fn read_json(&mut self, body: &[u8]) -> Result<(), Problem> {
        let json: Value = serde_json::from_slice(body)
            .map_err(|_| Problem::unprocessable("The body is not JSON."))?;
        let members = json.as_object();
        let members = members.ok_or_else(|| Problem::unprocessable("The body is no object."))?;
        for (name, value) in members {
            match value {
                Value::String(text) => self.set(name, text.clone()),
                Value::Array(items) => {
                    for text in items.iter().filter_map(Value::as_str) {
                        self.set(name, text.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sets a member. The client libraries send several webhook ids joined by commas, as repeated members, or as repeated
    /// members `webhook_ids[]`.
    fn set(&mut self, name: &str, value: String) {
        match name {
            "model_id" => self.model_id = value,
            "webhook_ids" | "webhook_ids[]" => {
                let ids = value.split(',').map(str::trim).filter(|id| !id.is_empty());
                self.webhook_ids.extend(ids.map(str::to_owned));
            }
            "filename" => self.file_name = value,
            "alias" => self.alias = Some(value),
            "file_base64" => self.has_file = true,
            "url" => {
                self.has_file = true;
                if self.file_name.is_empty() {
                    last_segment(&value).clone_into(&mut self.file_name);
                }
            }
            // Options of a product, which do not change a simulated result.
            _ => {}
        }
    }

    fn checked(mut self) -> Result<Self, Problem> {
        if self.model_id.is_empty() {
            return Err(Problem::invalid("model_id", "The id of the model is missing."));
        }
        if !self.has_file {
            return Err(Problem::invalid("file", "Send file, url or file_base64."));
        }
        if self.webhook_ids.len() > WEBHOOK_LIMIT {
            return Err(Problem::invalid("webhook_ids", "There are too many webhooks."));
        }
        if self.file_name.is_empty() {
            "file".clone_into(&mut self.file_name);
        }
        Ok(self)
    }
}

/// Returns the name of the file in a URL.
fn last_segment(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

fn invalid_form(error: &multer::Error) -> Problem {
    Problem::unprocessable(format!("The form is invalid: {error}."))
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn enqueued(kind: &str, body: &'static str) -> Result<Enqueued, Problem> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
        read(&headers, Full::new(Bytes::from_static(body.as_bytes()))).await
    }

    fn part(name: &str, value: &str) -> String {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    #[tokio::test]
    async fn every_form_of_webhook_ids_is_read() {
        let file = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
                    content-type: application/pdf\r\n\r\n%PDF\r\n--b--\r\n";
        let expected = Some(vec!["w1".to_owned(), "w2".to_owned()]);
        for ids in [
            part("webhook_ids", "w1,w2"),
            part("webhook_ids", "w1") + &part("webhook_ids", "w2"),
            part("webhook_ids[]", "w1") + &part("webhook_ids[]", "w2"),
        ] {
            let body = (part("model_id", "m") + &ids + file).leak();
            let found = enqueued("multipart/form-data; boundary=b", body).await.unwrap();
            assert_eq!((found.model_id.as_str(), found.file_name.as_str()), ("m", "a.pdf"));
            assert_eq!(Some(found.webhook_ids), expected);
        }
        let json = r#"{"model_id": "m", "webhook_ids": ["w1", "w2"], "file_base64": "", "filename": "a.pdf"}"#;
        assert_eq!(
            enqueued("application/json", json).await.ok().map(|one| one.webhook_ids),
            expected
        );
    }

    #[tokio::test]
    async fn file_from_a_url_is_named_by_it() {
        let form = "model_id=m&alias=x&url=https%3A%2F%2Fexample.com%2Fa%2Ftea.pdf%3Fq%3D1";
        let found = enqueued("application/x-www-form-urlencoded", form).await.unwrap();
        assert_eq!((found.file_name.as_str(), found.alias.as_deref()), ("tea.pdf", Some("x")));
    }

    #[tokio::test]
    async fn invalid_requests_are_unprocessable() {
        let form = "application/x-www-form-urlencoded";
        for (kind, body, wanted) in [
            (form, "url=a", "model"),
            (form, "model_id=m", "file_base64"),
            ("application/json", "{", "not JSON"),
            ("application/json", "[]", "no object"),
            ("text/plain", "", "multipart/form-data"),
            ("multipart/form-data; boundary=b", "--b\r\n", "form is invalid"),
        ] {
            let problem = enqueued(kind, body).await.unwrap_err();
            assert_eq!(problem.status, 422);
            assert!(problem.json().to_string().contains(wanted), "{problem:?}");
        }
    }
}
