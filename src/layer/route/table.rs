use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use http::Method;
use matchit::Router;

use super::ModelError;
use crate::{
    delivery::{Captures, ModelName},
    process::Rejection,
    provider::{Drift, Model},
};

/// Maps paths to models. Without I/O and locks.
#[derive(Default)]
pub(super) struct Table {
    endpoints: BTreeMap<String, Endpoint>,
    prefixes: Vec<String>,
    router: Router<Endpoint>,
}

#[derive(Clone, Debug)]
enum Endpoint {
    Live(NamedModel),
    /// Requests are rejected. Deliveries that were archived before are still processed.
    Removed(NamedModel),
}

#[derive(Clone, Debug)]
pub(super) struct NamedModel {
    pub(super) name: ModelName,
    pub(super) model: Arc<Model>,
}

/// The result of routing a request.
#[derive(Debug)]
pub(super) enum RouteMatch {
    Model {
        name: ModelName,
        model: Arc<Model>,
        captures: Captures,
    },
    Through,
    /// With the model, if the path has, or had, one.
    Rejected(Rejection, Option<NamedModel>),
}

impl Table {
    /// Adds a model, and returns its name.
    pub(super) fn add(&mut self, path: &str, model: Model) -> Result<ModelName, ModelError> {
        if let Some(Endpoint::Live(_)) = self.endpoints.get(path) {
            return Err(ModelError::Taken { path: path.to_owned() });
        }
        let name = match model.name() {
            Some(name) => name.clone(),
            None => {
                path.parse().map_err(|source| ModelError::Name { path: path.to_owned(), source })?
            }
        };
        self.put_model(path, name, model)
    }

    /// Replaces a model, and returns the name of the new one.
    pub(super) fn replace(&mut self, path: &str, model: Model) -> Result<ModelName, ModelError> {
        let Some(Endpoint::Live(old)) = self.endpoints.get(path) else {
            return Err(ModelError::Missing { path: path.to_owned() });
        };
        let name = model.name().unwrap_or(&old.name).clone();
        self.put_model(path, name, model)
    }

    fn put_model(
        &mut self,
        path: &str,
        name: ModelName,
        model: Model,
    ) -> Result<ModelName, ModelError> {
        model.check().map_err(|source| ModelError::Scheme { path: path.to_owned(), source })?;
        let named = NamedModel { name: name.clone(), model: Arc::new(model) };
        self.put(path, Endpoint::Live(named)).map(|()| name)
    }

    pub(super) fn remove(&mut self, path: &str) -> bool {
        match self.endpoints.get(path) {
            Some(Endpoint::Live(named)) => {
                let removed = Endpoint::Removed(named.clone());
                self.put(path, removed).is_ok()
            }
            _ => false,
        }
    }

    pub(super) fn reserve_prefix(&mut self, prefix: &str) -> Result<(), ModelError> {
        if !prefix.starts_with('/') {
            return Err(no_slash(prefix));
        }
        self.prefixes.push(prefix.trim_end_matches('/').to_owned());
        Ok(())
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> RouteMatch {
        let Ok(matched) = self.router.at(path) else {
            return self.unmatched(path);
        };
        match matched.value {
            Endpoint::Removed(named) => {
                RouteMatch::Rejected(Rejection::Removed, Some(named.clone()))
            }
            Endpoint::Live(named) if !named.model.allowed_methods().contains(method) => {
                pass_or_reject(named, method)
            }
            Endpoint::Live(NamedModel { name, model }) => {
                match Captures::decode(matched.params.iter()) {
                    Some(captures) => {
                        RouteMatch::Model { name: name.clone(), model: Arc::clone(model), captures }
                    }
                    None => RouteMatch::Rejected(Rejection::NoModel, None),
                }
            }
        }
    }

    pub(super) fn names(&self) -> Vec<ModelName> {
        let names = self.endpoints.values().map(|endpoint| endpoint.named().name.clone());
        let names: BTreeSet<_> = names.collect();
        names.into_iter().collect()
    }

    /// The drift that `of_one` returns for each model, with the name of the model.
    pub(super) fn drift(&self, of_one: impl Fn(&Model) -> Vec<Drift>) -> Vec<(ModelName, Drift)> {
        let named = self.endpoints.values().map(Endpoint::named);
        let of_one = |named: &NamedModel| {
            let (name, found) = (named.name.clone(), of_one(&named.model));
            found.into_iter().map(move |drift| (name.clone(), drift))
        };
        named.flat_map(of_one).collect()
    }

    /// Returns the model of this name, with the captures of `path`. Without captures if the model has another path now.
    pub(super) fn named(&self, name: &ModelName, path: &str) -> Option<(Arc<Model>, Captures)> {
        if let Ok(matched) = self.router.at(path)
            && matched.value.named().name == *name
        {
            let captures = Captures::decode(matched.params.iter()).unwrap_or_default();
            return Some((Arc::clone(&matched.value.named().model), captures));
        }
        let mut all = self.endpoints.values().map(Endpoint::named);
        let named = all.find(|named| named.name == *name)?;
        Some((Arc::clone(&named.model), Captures::default()))
    }

    pub(super) fn name_at(&self, path: &str) -> Option<ModelName> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let matched = self.router.at(path).ok()?;
        Some(matched.value.named().name.clone())
    }

    pub(super) fn others(&self, name: &ModelName) -> Vec<(ModelName, Arc<Model>)> {
        let named = self.endpoints.values().map(Endpoint::named);
        let others = named.filter(|named| named.name != *name);
        others.map(|named| (named.name.clone(), Arc::clone(&named.model))).collect()
    }

    pub(super) fn probe_paths(&self) -> Vec<(ModelName, String)> {
        let live = self.endpoints.iter().filter_map(|(pattern, endpoint)| match endpoint {
            Endpoint::Live(named) => {
                let path = path_matching(pattern);
                // Not if the pattern has escaped braces.
                self.router.at(&path).is_ok().then(|| (named.name.clone(), path))
            }
            Endpoint::Removed(_) => None,
        });
        live.collect()
    }

    fn unmatched(&self, path: &str) -> RouteMatch {
        if self.prefixes.iter().any(|prefix| is_below(path, prefix)) {
            RouteMatch::Rejected(Rejection::NoModel, None)
        } else {
            RouteMatch::Through
        }
    }

    /// Adds or replaces an endpoint. Nothing changes if its path conflicts with another one.
    fn put(&mut self, path: &str, endpoint: Endpoint) -> Result<(), ModelError> {
        let mut endpoints = self.endpoints.clone();
        endpoints.insert(path.to_owned(), endpoint);
        self.router = router(&endpoints)?;
        self.endpoints = endpoints;
        Ok(())
    }
}

impl Endpoint {
    fn named(&self) -> &NamedModel {
        match self {
            Self::Live(named) | Self::Removed(named) => named,
        }
    }
}

fn router(endpoints: &BTreeMap<String, Endpoint>) -> Result<Router<Endpoint>, ModelError> {
    let mut router = Router::new();
    for (path, endpoint) in endpoints {
        if !path.starts_with('/') {
            return Err(no_slash(path));
        }
        router
            .insert(path, endpoint.clone())
            .map_err(|error| ModelError::Path { path: path.clone(), reason: error.to_string() })?;
    }
    Ok(router)
}

/// Passes a request through, or rejects it, whose method the model does not accept.
fn pass_or_reject(named: &NamedModel, method: &Method) -> RouteMatch {
    let model = &named.model;
    if model.passed_methods().contains(method) {
        return RouteMatch::Through;
    }
    let mut allow = model.allowed_methods().to_vec();
    let passed =
        model.passed_methods().iter().filter(|method| !model.allowed_methods().contains(method));
    allow.extend(passed.cloned());
    RouteMatch::Rejected(Rejection::Method { allow }, Some(named.clone()))
}

/// A path that matches a pattern: with `probe` in place of each capture.
fn path_matching(pattern: &str) -> String {
    let (mut path, mut rest) = (String::new(), pattern);
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let (_, behind) = after.split_once('}').unwrap_or_default();
        path.push_str("probe");
        rest = behind;
    }
    path + rest
}

fn no_slash(path: &str) -> ModelError {
    ModelError::Path { path: path.to_owned(), reason: "it does not start with /".to_owned() }
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.endpoints).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{provider::foxyai, signature::Secret};

    fn model() -> Model {
        foxyai::image_group().token_in_query("ticket", Secret::new("x"))
    }

    fn table(paths: &[&str]) -> Table {
        let mut table = Table::default();
        for path in paths {
            table.add(path, model()).unwrap();
        }
        table
    }

    fn status(table: &Table, method: &Method, path: &str) -> u16 {
        match table.find(method, path) {
            RouteMatch::Model { .. } => 200,
            RouteMatch::Through => 0,
            RouteMatch::Rejected(rejection, _) => rejection.status().as_u16(),
        }
    }

    #[test]
    fn model_is_found_with_its_captures() {
        let table = table(&["/a", "/p/{reference}"]);
        let RouteMatch::Model { name, captures, .. } = table.find(&Method::POST, "/p/7%2F8") else {
            panic!("not found");
        };
        assert_eq!((name.as_str(), captures.get("reference")), ("/p/{reference}", Some("7/8")));
        assert_eq!(status(&table, &Method::POST, "/p/%FF"), 404);
    }

    #[test]
    fn other_paths_pass_through_unless_below_a_reserved_prefix() {
        let mut table = table(&["/hooks/a"]);
        assert_eq!(status(&table, &Method::POST, "/hooks/b"), 0);
        assert!(matches!(table.reserve_prefix("hooks"), Err(ModelError::Path { .. })));
        table.reserve_prefix("/hooks/").unwrap();
        for (path, expected) in [
            ("/hooks/a", 200),
            ("/hooks/a/", 404),
            ("/hooks/b", 404),
            ("/hooks", 404),
            ("/hooksy", 0),
            ("/", 0),
        ] {
            assert_eq!(status(&table, &Method::POST, path), expected, "{path}");
        }
    }

    #[test]
    fn pass_methods_pass_get_and_options_through_and_nothing_else() {
        let mut table = Table::default();
        let model = model().pass_methods([Method::GET, Method::OPTIONS, Method::POST]);
        table.add("/a", model).unwrap();
        for (method, expected) in [
            (Method::GET, 0),
            (Method::OPTIONS, 0),
            (Method::PUT, 405),
            // It accepts POST: a delivery never passes through unverified.
            (Method::POST, 200),
        ] {
            assert_eq!(status(&table, &method, "/a"), expected, "{method}");
        }
        let RouteMatch::Rejected(Rejection::Method { allow }, Some(_)) =
            table.find(&Method::PUT, "/a")
        else {
            panic!("PUT is not rejected");
        };
        assert_eq!(allow, [Method::POST, Method::GET, Method::OPTIONS]);
        assert!(table.remove("/a"));
        assert_eq!(status(&table, &Method::GET, "/a"), 410);
    }

    #[test]
    fn probe_path_matches_the_pattern_of_its_model() {
        let mut table = table(&["/a", "/p/{reference}/x", "/q/{*rest}", "/removed"]);
        table.remove("/removed");
        let paths: Vec<_> = table.probe_paths().into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["/a", "/p/probe/x", "/q/probe"]);
        for path in &paths {
            assert_eq!(status(&table, &Method::POST, path), 200, "{path}");
        }
    }

    #[test]
    fn method_that_is_not_allowed_is_answered_405() {
        assert_eq!(status(&table(&["/a"]), &Method::GET, "/a"), 405);
    }

    #[test]
    fn removed_endpoint_is_answered_410_until_it_is_added_again() {
        let mut table = table(&["/a"]);
        assert!(table.remove("/a") && !table.remove("/a") && !table.remove("/b"));
        assert_eq!(status(&table, &Method::POST, "/a"), 410);
        table.add("/a", model()).unwrap();
        assert_eq!(status(&table, &Method::POST, "/a"), 200);
    }

    #[test]
    fn archived_delivery_finds_its_model_by_name_also_after_removal() {
        let mut table = table(&["/a", "/p/{reference}"]);
        let (_, captures) = table.named(&"/p/{reference}".parse().unwrap(), "/p/7").unwrap();
        assert_eq!(captures.get("reference"), Some("7"));
        assert!(
            table.named(&"/a".parse().unwrap(), "/elsewhere").is_some(),
            "its path has changed"
        );
        assert!(table.named(&"/b".parse().unwrap(), "/a").is_none(), "it is of another model");
        assert!(table.remove("/a"));
        assert!(table.named(&"/a".parse().unwrap(), "/a").is_some());
    }

    #[test]
    fn invalid_model_changes_nothing() {
        let mut table = table(&["/p/{reference}"]);
        let unsafe_model = foxyai::image_group().token_in_query("ticket", Secret::new(""));
        assert!(matches!(table.add("/b", unsafe_model), Err(ModelError::Scheme { .. })));
        assert!(matches!(table.add("/p/{reference}", model()), Err(ModelError::Taken { .. })));
        assert!(matches!(table.add("/p/{other}", model()), Err(ModelError::Path { .. })));
        assert!(matches!(table.add("no-slash", model()), Err(ModelError::Path { .. })));
        assert!(matches!(table.add("/with space", model()), Err(ModelError::Name { .. })));
        assert_eq!(status(&table, &Method::POST, "/p/1"), 200);
        assert_eq!(status(&table, &Method::POST, "/b"), 0);
    }
}
