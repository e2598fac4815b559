//! Reads requests to create groups and images.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    delivery::{Webhook, WebhookHosts},
    problem::Problem,
};

/// The maximum size of a request, in bytes. The limits in this file are not FoxyAI's: they bound the memory of the
/// service.
pub(super) const BODY_LIMIT: usize = 128 << 10;

/// The maximum length of a URL, a name or a tag, in bytes.
const TEXT_LIMIT: usize = 2048;

/// The maximum number of models of an image.
const MODEL_LIMIT: usize = 32;

/// The maximum length of the name of a model, in bytes.
const MODEL_NAME_LIMIT: usize = 64;

/// The maximum number of groups and of tags of an image.
const LIST_LIMIT: usize = 8;

/// A group to be created.
#[derive(Debug)]
pub(super) struct NewGroup {
    pub(super) name: Option<String>,
    pub(super) metadata: Map<String, Value>,
    pub(super) webhook: Option<Webhook>,
}

/// An image to be created.
#[derive(Clone, Debug, Default)]
pub(super) struct NewImage {
    pub(super) url: String,
    pub(super) name: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) models: Vec<String>,
    pub(super) group_ids: Vec<String>,
    pub(super) webhook: Option<Webhook>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupBody {
    name: Option<String>,
    webhook_url: Option<String>,
    meta_data: Option<Map<String, Value>>,
    /// Clients send metadata beside the name.
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageBody {
    url: String,
    name: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    models: Vec<String>,
    #[serde(default)]
    image_groups: Vec<String>,
    webhook_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchBody {
    images: Vec<ImageBody>,
    #[serde(default)]
    image_groups: Vec<String>,
    webhook_url: Option<String>,
}

/// Reads the body of `POST /image-group`.
pub(super) fn group(body: &[u8], hosts: &WebhookHosts) -> Result<NewGroup, Problem> {
    let GroupBody { name, webhook_url, meta_data, other } = parse(body)?;
    let mut metadata = meta_data.unwrap_or_default();
    metadata.extend(other);
    let name = name.map(|name| checked("name", name)).transpose()?;
    Ok(NewGroup { name, metadata, webhook: webhook(webhook_url, hosts)? })
}

/// Reads the body of `POST /image`.
pub(super) fn image(body: &[u8], hosts: &WebhookHosts) -> Result<NewImage, Problem> {
    parse::<ImageBody>(body)?.checked(hosts)
}

/// Reads the body of `POST /image/batch`. The groups and the webhook of the batch are those of each image.
pub(super) fn batch(body: &[u8], hosts: &WebhookHosts) -> Result<Vec<NewImage>, Problem> {
    let BatchBody { images, image_groups, webhook_url } = parse(body)?;
    let with_batch = |image: ImageBody| ImageBody {
        image_groups: [&*image.image_groups, &*image_groups].concat(),
        webhook_url: image.webhook_url.or_else(|| webhook_url.clone()),
        ..image
    };
    images.into_iter().map(|image| with_batch(image).checked(hosts)).collect()
}

impl ImageBody {
    fn checked(self, hosts: &WebhookHosts) -> Result<NewImage, Problem> {
        let url = checked("url", self.url)?;
        let models = without_repeats(self.models);
        if url.is_empty() || models.is_empty() {
            return Err(Problem::invalid("url or models is empty."));
        }
        let group_ids = without_repeats(self.image_groups);
        let is_long = |name: &String| name.is_empty() || name.len() > MODEL_NAME_LIMIT;
        if models.len() > MODEL_LIMIT || models.iter().any(is_long) {
            let message = format!(
                "Use at most {MODEL_LIMIT} models with names of up to {MODEL_NAME_LIMIT} bytes."
            );
            return Err(Problem::invalid(message));
        }
        if group_ids.len() > LIST_LIMIT || self.tags.len() > LIST_LIMIT {
            let message = format!("Use at most {LIST_LIMIT} imageGroups and tags.");
            return Err(Problem::invalid(message));
        }
        Ok(NewImage {
            url,
            name: self.name.map(|name| checked("name", name)).transpose()?,
            tags: self
                .tags
                .into_iter()
                .map(|tag| checked("tags", tag))
                .collect::<Result<_, _>>()?,
            models,
            group_ids,
            webhook: webhook(self.webhook_url, hosts)?,
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // The error names members and places, and no values but those of a wrong type.
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid(format!("The body is invalid: {error}.")))
}

fn checked(member: &str, text: String) -> Result<String, Problem> {
    if text.len() > TEXT_LIMIT {
        return Err(Problem::invalid(format!("{member} is longer than {TEXT_LIMIT} bytes.")));
    }
    Ok(text)
}

fn webhook(url: Option<String>, hosts: &WebhookHosts) -> Result<Option<Webhook>, Problem> {
    let Some(url) = url else { return Ok(None) };
    let url = checked("webhookUrl", url)?;
    Webhook::new(&url, hosts).map(Some).map_err(|reason| {
        // Without the URL, which can have a token.
        Problem::invalid(format!("webhookUrl is invalid: {reason}."))
    })
}

fn without_repeats(items: Vec<String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for item in items {
        // Short lists: more is rejected.
        if distinct.len() > MODEL_LIMIT {
            break;
        }
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> WebhookHosts {
        WebhookHosts::default()
    }

    #[test]
    fn other_members_of_a_group_are_its_metadata() {
        let body = br#"{"name": "Mill Lane 3", "address": "Mill Lane", "metaData": {"ticket": 7}}"#;
        let group = group(body, &hosts()).unwrap();
        assert_eq!(group.name.as_deref(), Some("Mill Lane 3"));
        let metadata = Value::Object(group.metadata);
        assert_eq!(metadata, serde_json::json!({"address": "Mill Lane", "ticket": 7}));
        assert!(group.webhook.is_none());
    }

    #[test]
    fn images_of_a_batch_have_its_groups_and_its_webhook() {
        let body = br#"{"imageGroups": ["g1", "g3"], "webhookUrl": "http://127.0.0.1:1/batch", "images": [
            {"url": "https://example.com/a.jpg", "models": ["a", "b", "a"], "imageGroups": ["g2", "g1"]},
            {"url": "https://example.com/b.jpg", "models": ["a"], "webhookUrl": "http://127.0.0.1:2/own"}
        ]}"#;
        let images = batch(body, &hosts()).unwrap();
        assert_eq!(
            (&*images[0].models, &*images[0].group_ids),
            (&["a", "b"].map(str::to_owned)[..], &["g2", "g1", "g3"].map(str::to_owned)[..])
        );
        let server = |image: &NewImage| image.webhook.as_ref().unwrap().server().to_owned();
        assert_eq!(
            (server(&images[0]), server(&images[1])),
            ("127.0.0.1:1".into(), "127.0.0.1:2".into())
        );
    }

    #[test]
    fn invalid_images_are_rejected_without_the_webhook_url() {
        let long = "a".repeat(TEXT_LIMIT + 1);
        let many: Vec<_> = (0..=MODEL_LIMIT).map(|number| number.to_string()).collect();
        for (body, expected) in [
            ("{".to_owned(), "body is invalid"),
            (r#"{"url": "u"}"#.to_owned(), "missing field `models`"),
            (r#"{"url": "u", "models": []}"#.to_owned(), "is empty"),
            (r#"{"url": "", "models": ["a"]}"#.to_owned(), "is empty"),
            (format!(r#"{{"url": "{long}", "models": ["a"]}}"#), "url is longer"),
            (format!(r#"{{"url": "u", "models": ["{long}"]}}"#), "at most 32 models"),
            (serde_json::json!({"url": "u", "models": many}).to_string(), "at most 32 models"),
            (
                serde_json::json!({"url": "u", "models": ["a"], "imageGroups": many}).to_string(),
                "at most 8",
            ),
            (
                r#"{"url": "u", "models": ["a"], "webhookUrl": "https://localhost/hunter2"}"#
                    .to_owned(),
                "http://",
            ),
            (
                r#"{"url": "u", "models": ["a"], "webhookUrl": "http://example.com/hunter2"}"#
                    .to_owned(),
                "loopback",
            ),
        ] {
            let problem = image(body.as_bytes(), &hosts()).unwrap_err();
            let message = String::from_utf8(problem.body().to_vec()).unwrap();
            assert!(message.contains(expected), "{expected}: {message}");
            assert!(problem.status == 400 && !message.contains("hunter2"), "{message}");
        }
    }
}
