//! The addresses of the page. All of them are queries (`?view=deliveries`), so that relative links work wherever the
//! page is mounted, with and without a slash at the end: the service does not see the path that a router has stripped.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::filter::{Filter, Moment, States};
use crate::delivery::{DeliveryId, ModelName};

/// The views of temporary endpoints.
const ENDPOINTS: &str = "temporary-endpoints";
const ENDPOINT: &str = "temporary-endpoint";
const REQUEST: &str = "temporary-request";

/// The submission that checks a signature.
const CHECK: &str = "check-signature";

/// What a GET asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    View(View),
    File(File),
    /// The body of a delivery as a download.
    Download(Place, DeliveryId),
    /// The body of a request to a temporary endpoint as a download.
    DownloadRequest(RequestNumber),
    /// Server-sent events, one for each change.
    Events,
}

/// A page with HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    /// The overview with the last day in place of the last hour.
    LastDay,
    Deliveries {
        filter: Filter,
        /// Text in the heads of the deliveries.
        head: Option<String>,
        after: Option<Cursor>,
    },
    Delivery {
        place: Place,
        id: DeliveryId,
        body: Option<BodyForm>,
    },
    Quarantine {
        after: Option<Cursor>,
    },
    /// The list of temporary endpoints.
    TemporaryEndpoints,
    TemporaryEndpoint(u64),
    TemporaryRequest {
        of: RequestNumber,
        body: Option<BodyForm>,
    },
    /// Asks for a confirmation.
    Confirm(Action),
}

/// A temporary endpoint, and a request that it received. Numbers, because the path of the endpoint is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestNumber {
    pub(super) endpoint: u64,
    pub(super) request: u64,
}

/// What a POST asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Submission {
    Change(Action),
    /// A check of a signature, which changes nothing. It is a POST because the secret is in the body.
    Check(RequestNumber),
}

/// The archive that holds a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Archive,
    Quarantine,
}

/// How a body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyForm {
    Tree,
    Text,
    Hex,
}

/// The files that pages refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Style,
    Script,
    Icon,
}

/// What a POST changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Retry(DeliveryId),
    RetryAll(Filter),
    Replay(DeliveryId),
    Erase(Place, DeliveryId),
    Release(DeliveryId),
    ReleaseAll,
    Pause(ModelName),
    Resume(ModelName),
    CreateEndpoint,
    DeleteEndpoint(u64),
}

/// The last delivery of a page. The next page has those that were received before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    pub(super) received_at: SystemTime,
    pub(super) id: DeliveryId,
}

/// An address that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidAddress {
    #[error("there is no such page")]
    Unknown,
    #[error("the parameter '{name}' is missing or invalid; expected {expected}")]
    Parameter { name: &'static str, expected: &'static str },
}

/// The result of an action, for the page that is shown after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) what: DoneKind,
    /// A number of deliveries, the status of a handler, or the number of a temporary endpoint.
    pub(super) number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DoneKind {
    Retried,
    Replayed,
    Erased,
    Released,
    Paused,
    Resumed,
    Created,
    Deleted,
}

/// The parameters of a query, the first value of each name.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn of(query: Option<&str>) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            parameters.entry(name.into_owned()).or_insert_with(|| value.trim().to_owned());
        }
        Self(parameters)
    }

    /// The value, unless it is empty: forms send empty fields, too.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InvalidAddress> {
        let invalid = InvalidAddress::Parameter { name, expected };
        self.get(name).map(|value| parse(value).ok_or(invalid)).transpose()
    }

    fn required<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, InvalidAddress> {
        let invalid = InvalidAddress::Parameter { name, expected };
        self.parsed(name, expected, parse)?.ok_or(invalid)
    }

    fn id(&self, name: &'static str) -> Result<DeliveryId, InvalidAddress> {
        self.required(name, "the id of a delivery", |text| text.parse().ok())
    }

    fn model(&self) -> Result<ModelName, InvalidAddress> {
        self.required("model", "the name of a model", |text| text.parse().ok())
    }

    fn endpoint(&self) -> Result<u64, InvalidAddress> {
        let expected = "the number of a temporary endpoint";
        self.required("endpoint", expected, |text| text.parse().ok())
    }

    fn request(&self) -> Result<RequestNumber, InvalidAddress> {
        let request = self.required("request", "the number of a request", |text| text.parse().ok());
        Ok(RequestNumber { endpoint: self.endpoint()?, request: request? })
    }

    fn form(&self) -> Result<Option<BodyForm>, InvalidAddress> {
        self.parsed("body", "tree, text or hex", BodyForm::parse)
    }

    fn place(&self) -> Result<Place, InvalidAddress> {
        let place = self.parsed("in", "archive or quarantine", Place::parse)?;
        Ok(place.unwrap_or(Place::Archive))
    }

    fn cursor(&self) -> Result<Option<Cursor>, InvalidAddress> {
        self.parsed("after", "a link of this page", Cursor::parse)
    }

    fn filter(&self, now: SystemTime) -> Result<Filter, InvalidAddress> {
        let time = "2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 2h or 30d";
        let moment = |text: &str| Moment::parse(text, now);
        Ok(Filter {
            model: self.parsed("model", "the name of a model", |text| text.parse().ok())?,
            states: self.parsed("state", "a state", States::parse)?.unwrap_or_default(),
            since: self.parsed("since", time, moment)?,
            before: self.parsed("before", time, moment)?,
            inference: self.get("inference").map(str::to_owned),
        })
    }

    /// The address of a GET.
    pub(super) fn address(&self, now: SystemTime) -> Result<Address, InvalidAddress> {
        if let Some(file) = self.parsed("file", "the name of a file", File::parse)? {
            return Ok(Address::File(file));
        }
        if self.get("download") == Some(REQUEST) {
            return Ok(Address::DownloadRequest(self.request()?));
        }
        if self.get("download").is_some() {
            return Ok(Address::Download(self.place()?, self.id("download")?));
        }
        if self.get("confirm").is_some() {
            return Ok(Address::View(View::Confirm(self.action("confirm", now)?)));
        }
        let view = match self.get("view").unwrap_or("overview") {
            "overview" => View::Overview,
            "day" => View::LastDay,
            "deliveries" => View::Deliveries {
                filter: self.filter(now)?,
                head: self.get("head").map(str::to_owned),
                after: self.cursor()?,
            },
            "delivery" => {
                View::Delivery { place: self.place()?, id: self.id("id")?, body: self.form()? }
            }
            "quarantine" => View::Quarantine { after: self.cursor()? },
            ENDPOINTS => View::TemporaryEndpoints,
            ENDPOINT => View::TemporaryEndpoint(self.endpoint()?),
            REQUEST => View::TemporaryRequest { of: self.request()?, body: self.form()? },
            "events" => return Ok(Address::Events),
            _ => return Err(InvalidAddress::Unknown),
        };
        Ok(Address::View(view))
    }

    /// The target of a POST.
    pub(super) fn submission(&self, now: SystemTime) -> Result<Submission, InvalidAddress> {
        if self.get("action") == Some(CHECK) {
            return self.request().map(Submission::Check);
        }
        self.action("action", now).map(Submission::Change)
    }

    /// The action whose name is the value of `parameter`.
    pub(super) fn action(
        &self,
        parameter: &'static str,
        now: SystemTime,
    ) -> Result<Action, InvalidAddress> {
        Ok(match self.get(parameter) {
            Some("retry") => Action::Retry(self.id("id")?),
            Some("retry-all") => Action::RetryAll(self.filter(now)?),
            Some("replay") => Action::Replay(self.id("id")?),
            Some("erase") => Action::Erase(self.place()?, self.id("id")?),
            Some("release") => Action::Release(self.id("id")?),
            Some("release-all") => Action::ReleaseAll,
            Some("pause") => Action::Pause(self.model()?),
            Some("resume") => Action::Resume(self.model()?),
            Some("create-endpoint") => Action::CreateEndpoint,
            Some("delete-endpoint") => Action::DeleteEndpoint(self.endpoint()?),
            _ => return Err(InvalidAddress::Unknown),
        })
    }

    /// The result of the action before this page.
    pub(super) fn done(&self) -> Option<Done> {
        let what = DoneKind::parse(self.get("done")?)?;
        Some(Done { what, number: self.get("number")?.parse().ok()? })
    }
}

/// A relative link with these parameters.
fn link(parameters: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
    query.extend_pairs(parameters);
    query.finish()
}

impl View {
    pub(super) fn link(&self) -> String {
        link(self.parameters())
    }

    /// The link with the result of an action.
    pub(super) fn link_after(&self, done: Done) -> String {
        let result = [("done", done.what.as_str().to_owned()), ("number", done.number.to_string())];
        link(self.parameters().into_iter().chain(result))
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let view = |name: &str| ("view", name.to_owned());
        let after = |after: &Option<Cursor>| Some(("after", after.as_ref()?.to_string()));
        match self {
            Self::Overview => vec![view("overview")],
            Self::LastDay => vec![view("day")],
            Self::Deliveries { filter, head, after: cursor } => {
                let head = head.as_ref().map(|text| ("head", text.clone()));
                let all = [view("deliveries")].into_iter().chain(filter.parameters());
                all.chain(head).chain(after(cursor)).collect()
            }
            Self::Delivery { place, id, body } => {
                let body = body.map(|form| ("body", form.as_str().to_owned()));
                let all = [view("delivery"), ("id", id.to_string())].into_iter();
                all.chain(place.parameter()).chain(body).collect()
            }
            Self::Quarantine { after: cursor } => {
                [view("quarantine")].into_iter().chain(after(cursor)).collect()
            }
            Self::TemporaryEndpoints => vec![view(ENDPOINTS)],
            Self::TemporaryEndpoint(number) => vec![view(ENDPOINT), endpoint(*number)],
            Self::TemporaryRequest { of, body } => {
                let body = body.map(|form| ("body", form.as_str().to_owned()));
                [view(REQUEST)].into_iter().chain(of.parameters()).chain(body).collect()
            }
            Self::Confirm(action) => action.parameters("confirm"),
        }
    }

    /// The view of a delivery.
    pub(super) fn delivery(place: Place, id: DeliveryId) -> Self {
        Self::Delivery { place, id, body: None }
    }

    /// The view of a request to a temporary endpoint.
    pub(super) fn request(of: RequestNumber) -> Self {
        Self::TemporaryRequest { of, body: None }
    }

    /// The first page of the deliveries that a filter selects.
    pub(super) fn deliveries(filter: Filter) -> Self {
        Self::Deliveries { filter, head: None, after: None }
    }
}

impl Action {
    /// The target of the form that runs the action.
    pub(super) fn link(&self) -> String {
        link(self.parameters("action"))
    }

    /// The name in the log.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Retry(_) => "retry",
            Self::RetryAll(_) => "retry-all",
            Self::Replay(_) => "replay",
            Self::Erase(..) => "erase",
            Self::Release(_) => "release",
            Self::ReleaseAll => "release-all",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::CreateEndpoint => "create-endpoint",
            Self::DeleteEndpoint(_) => "delete-endpoint",
        }
    }

    fn parameters(&self, parameter: &'static str) -> Vec<(&'static str, String)> {
        let mut parameters = vec![(parameter, self.as_str().to_owned())];
        match self {
            Self::Retry(id) | Self::Replay(id) | Self::Release(id) => {
                parameters.push(("id", id.to_string()));
            }
            Self::Erase(place, id) => {
                parameters.push(("id", id.to_string()));
                parameters.extend(place.parameter());
            }
            Self::RetryAll(filter) => parameters.extend(filter.parameters()),
            Self::ReleaseAll | Self::CreateEndpoint => {}
            Self::DeleteEndpoint(number) => parameters.push(endpoint(*number)),
            Self::Pause(model) | Self::Resume(model) => {
                parameters.push(("model", model.to_string()));
            }
        }
        parameters
    }
}

/// The parameter with the number of a temporary endpoint.
fn endpoint(number: u64) -> (&'static str, String) {
    ("endpoint", number.to_string())
}

impl RequestNumber {
    fn parameters(self) -> [(&'static str, String); 2] {
        [endpoint(self.endpoint), ("request", self.request.to_string())]
    }

    /// The link to the body of the request.
    pub(super) fn download(self) -> String {
        link([("download", REQUEST.to_owned())].into_iter().chain(self.parameters()))
    }

    /// The target of the form that checks the signature.
    pub(super) fn check(self) -> String {
        link([("action", CHECK.to_owned())].into_iter().chain(self.parameters()))
    }
}

impl Place {
    fn parameter(self) -> Option<(&'static str, String)> {
        (self == Self::Quarantine).then(|| ("in", "quarantine".to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "archive" => Some(Self::Archive),
            "quarantine" => Some(Self::Quarantine),
            _ => None,
        }
    }

    /// The link to the body of a delivery.
    pub(super) fn download(self, id: DeliveryId) -> String {
        link([("download", id.to_string())].into_iter().chain(self.parameter()))
    }
}

impl BodyForm {
    pub(super) const ALL: [Self; 3] = [Self::Tree, Self::Text, Self::Hex];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Text => "text",
            Self::Hex => "hex",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }
}

impl File {
    const ALL: [Self; 3] = [Self::Style, Self::Script, Self::Icon];

    fn as_str(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Script => "script",
            Self::Icon => "icon",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.as_str() == text)
    }

    pub(super) fn link(self) -> String {
        link([("file", self.as_str().to_owned())])
    }
}

impl DoneKind {
    const ALL: [Self; 8] = [
        Self::Retried,
        Self::Replayed,
        Self::Erased,
        Self::Released,
        Self::Paused,
        Self::Resumed,
        Self::Created,
        Self::Deleted,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Replayed => "replayed",
            Self::Erased => "erased",
            Self::Released => "released",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Created => "created",
            Self::Deleted => "deleted",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.received_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        write!(f, "{}.{:09}.{}", since.as_secs(), since.subsec_nanos(), self.id)
    }
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (seconds, rest) = text.split_once('.')?;
        let (nanos, id) = rest.split_once('.')?;
        let nanos = nanos.parse().ok().filter(|nanos| *nanos < 1_000_000_000)?;
        let since = Duration::new(seconds.parse().ok()?, nanos);
        Some(Self { received_at: SystemTime::UNIX_EPOCH.checked_add(since)?, id: id.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::StateKind;

    const REQUEST_NUMBER: RequestNumber = RequestNumber { endpoint: 7, request: 8 };

    fn parameters(link: &str) -> Parameters {
        Parameters::of(link.strip_prefix('?'))
    }

    fn filter() -> Filter {
        let moment = |text: &str| Some(Moment::parse(text, SystemTime::UNIX_EPOCH).unwrap());
        Filter {
            model: Some("/hooks/{a}?b&c=d#e%20".parse().unwrap()),
            states: States::Only(StateKind::Dead),
            since: moment("2026-01-31"),
            before: moment("2026-01-31T12:00:00Z"),
            inference: Some("a b&é=".to_owned()),
        }
    }

    #[test]
    fn links_of_views_read_back() {
        let id = DeliveryId::new();
        let received_at = SystemTime::UNIX_EPOCH + Duration::new(7, 8);
        let after = Some(Cursor { received_at, id });
        for view in [
            View::Overview,
            View::LastDay,
            View::deliveries(Filter::default()),
            View::Deliveries { filter: filter(), head: None, after },
            View::Deliveries { filter: filter(), head: Some("a b&=é".to_owned()), after: None },
            View::delivery(Place::Archive, id),
            View::Delivery { place: Place::Quarantine, id, body: Some(BodyForm::Hex) },
            View::Quarantine { after },
            View::TemporaryEndpoints,
            View::TemporaryEndpoint(7),
            View::TemporaryRequest { of: REQUEST_NUMBER, body: Some(BodyForm::Text) },
            View::Confirm(Action::Erase(Place::Quarantine, id)),
            View::Confirm(Action::RetryAll(filter())),
        ] {
            let link = view.link();
            let address = parameters(&link).address(SystemTime::UNIX_EPOCH);
            assert_eq!(address, Ok(Address::View(view)), "{link}");
        }
    }

    #[test]
    fn links_of_actions_read_back() {
        let (id, model) = (DeliveryId::new(), filter().model.unwrap());
        for action in [
            Action::Retry(id),
            Action::RetryAll(filter()),
            Action::Replay(id),
            Action::Erase(Place::Archive, id),
            Action::Release(id),
            Action::ReleaseAll,
            Action::Pause(model.clone()),
            Action::Resume(model),
            Action::CreateEndpoint,
            Action::DeleteEndpoint(7),
        ] {
            let submission = parameters(&action.link()).submission(SystemTime::UNIX_EPOCH);
            assert_eq!(submission, Ok(Submission::Change(action)));
        }
        let check = parameters(&REQUEST_NUMBER.check()).submission(SystemTime::UNIX_EPOCH);
        assert_eq!(check, Ok(Submission::Check(REQUEST_NUMBER)));
        let download = parameters(&REQUEST_NUMBER.download()).address(SystemTime::UNIX_EPOCH);
        assert_eq!(download, Ok(Address::DownloadRequest(REQUEST_NUMBER)));
    }

    #[test]
    fn invalid_parameters_are_errors_that_name_them() {
        for (link, wanted) in [
            ("?view=other", "no such page"),
            ("?file=other", "'file'"),
            ("?view=delivery", "'id'"),
            ("?view=delivery&id=x", "'id'"),
            ("?view=deliveries&state=x", "'state'"),
            ("?view=deliveries&since=soon", "'since'"),
            ("?view=deliveries&after=1.2", "'after'"),
            ("?view=deliveries&after=18446744073709551615.0.x", "'after'"),
            ("?view=deliveries&model=a+b", "'model'"),
            ("?view=temporary-endpoint&endpoint=-1", "'endpoint'"),
            ("?view=temporary-request&endpoint=1", "'request'"),
            ("?confirm=other", "no such page"),
        ] {
            let error = parameters(link).address(SystemTime::UNIX_EPOCH).unwrap_err();
            assert!(error.to_string().contains(wanted), "{link}: {error}");
        }
    }

    #[test]
    fn empty_fields_of_a_form_are_not_set() {
        let address = parameters("?view=deliveries&model=&state=any&since=&inference=+");
        let wanted = Address::View(View::deliveries(Filter::default()));
        assert_eq!(address.address(SystemTime::UNIX_EPOCH), Ok(wanted));
    }
}
