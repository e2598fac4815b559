//! `GET /v2/search/models`: the models of the account, in pages.

use std::{num::NonZeroUsize, sync::Arc};

use serde_json::{Value, json};

use super::{Product, Webhook, problem::Problem};

/// The number of models in a page, as in Mindee's sample of a response.
const PER_PAGE: NonZeroUsize = NonZeroUsize::new(50).unwrap();

/// A model that is found by the search.
#[derive(Clone, Debug)]
pub(super) struct ListedModel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) product: Product,
}

/// What a client searches for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// A part of the name, in lower case.
    name: String,
    model_type: Option<String>,
    page: NonZeroUsize,
    per_page: NonZeroUsize,
}

impl Search {
    /// Reads the parameters of a query.
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut search = Self {
            name: String::new(),
            model_type: None,
            page: NonZeroUsize::MIN,
            per_page: PER_PAGE,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "name" => search.name = value.to_lowercase(),
                "model_type" => search.model_type = Some(value.into_owned()),
                "page" => search.page = positive("page", &value)?,
                "per_page" => search.per_page = positive("per_page", &value)?,
                _ => {}
            }
        }
        Ok(search)
    }

    /// Returns the page, with the webhooks of each model.
    pub(super) fn page(&self, models: &[ListedModel], webhooks: &[Arc<Webhook>]) -> Value {
        let found: Vec<_> = models.iter().filter(|model| self.finds(model)).collect();
        let (page, per_page) = (self.page.get(), self.per_page.get());
        let on_page = found.iter().skip((page - 1).saturating_mul(per_page)).take(per_page);
        json!({
            "models": on_page.map(|model| model.json(webhooks)).collect::<Vec<_>>(),
            "pagination": {
                "per_page": per_page,
                "page": page,
                "total_items": found.len(),
                "total_pages": found.len().div_ceil(per_page),
                "total_items_unfiltered": null,
            },
        })
    }

    fn finds(&self, model: &ListedModel) -> bool {
        let is_of_type = |name: &String| name == model.product.name();
        model.name.to_lowercase().contains(&self.name)
            && self.model_type.as_ref().is_none_or(is_of_type)
    }
}

impl ListedModel {
    fn json(&self, webhooks: &[Arc<Webhook>]) -> Value {
        let of_model = webhooks.iter().filter(|webhook| webhook.is_of_model(&self.id));
        json!({
            "id": self.id,
            "name": self.name,
            "model_type": self.product.name(),
            "webhooks": of_model.map(|webhook| webhook.json()).collect::<Vec<_>>(),
        })
    }
}

fn positive(name: &'static str, value: &str) -> Result<NonZeroUsize, Problem> {
    value.parse().map_err(|_| Problem::invalid(name, format!("{name} is not a positive number.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Vec<ListedModel> {
        let model = |id: &str, name: &str, product| ListedModel {
            id: id.to_owned(),
            name: name.to_owned(),
            product,
        };
        vec![
            model("m1", "Tea Invoices", Product::Extraction),
            model("m2", "Shelves", Product::Crop),
            model("m3", "tea labels", Product::Crop),
        ]
    }

    fn found(query: &str) -> (Vec<String>, Value) {
        let mut page = Search::parse(query).unwrap().page(&models(), &[]);
        let ids = page["models"].as_array().unwrap().iter();
        let ids = ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect();
        (ids, page["pagination"].take())
    }

    #[test]
    fn models_are_found_by_a_part_of_the_name_and_by_the_exact_type() {
        for (query, expected) in [
            ("", &["m1", "m2", "m3"][..]),
            ("name=TEA", &["m1", "m3"]),
            ("model_type=crop", &["m2", "m3"]),
            ("name=tea&model_type=crop&other=1", &["m3"]),
            ("model_type=cro", &[]),
        ] {
            assert_eq!(found(query).0, expected, "{query}");
        }
    }

    #[test]
    fn pages_have_the_requested_length_and_the_totals() {
        let (ids, pagination) = found("per_page=2&page=2");
        assert_eq!(ids, ["m3"]);
        let expected = json!({
            "per_page": 2, "page": 2, "total_items": 3, "total_pages": 2, "total_items_unfiltered": null,
        });
        assert_eq!(pagination, expected);
        assert!(found("page=9").0.is_empty());
        assert!(found(&format!("page={0}&per_page={0}", usize::MAX)).0.is_empty());
        for query in ["page=0", "per_page=-1", "page=a"] {
            assert_eq!(Search::parse(query).unwrap_err().status, 422, "{query}");
        }
    }
}
