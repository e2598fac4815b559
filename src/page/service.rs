//! The service: checks the guard, finds the page, and sets the headers that keep browsers from running what a sender
//! sent.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts,
};
use http_body::Body;
use maud::Markup;
use tokio::time::timeout;
use tower_http::csrf::{Csrf, CsrfLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    action,
    activity::{LastActivity, Span},
    address::{Action, Address, File, Parameters, Place, RequestNumber, Submission, View},
    confirm, deliveries, delivery,
    events::Events,
    guard::{Guard, User},
    html::{self, Frame, Page},
    overview, quarantine,
    temporary::{self, Checker, Endpoints, Form, Receiver},
};
use crate::{
    archive::ArchiveError,
    delivery::{DeliveryId, with_causes},
    inbox::{Health, Inbox},
    layer::ResponseBody,
};

/// The text of a page about something that does not exist, or not any more.
const NOT_FOUND: &str = "there is no such delivery, temporary endpoint or request";

/// How long a page may take to read the archive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Nothing is loaded from elsewhere, and nothing in a page runs or has a style but the two files.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// The headers of every response.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // Not no-referrer: the origin of a form would be null then, which the check against forgery rejects.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

impl Inbox {
    /// A web page to operate the inbox, as a service to mount at any path: see [`page`](crate::page).
    pub fn page(&self, guard: Guard) -> PageService {
        let endpoints = Endpoints::default();
        let receiver = Receiver::new(endpoints.clone(), self.clock.clone());
        let pages = Pages {
            inbox: self.clone(),
            health: self.health(),
            activity: LastActivity::default(),
            events: Events::new(endpoints.clone()),
            endpoints,
            checker: Checker::default(),
        };
        PageService { receiver, guard, pages: CsrfLayer::new().layer(pages) }
    }
}

/// The web page of an inbox. Made by [`Inbox::page`].
///
/// Accepts requests with any body. It reads the bodies of two kinds of requests only: of those to a temporary endpoint,
/// at most 8 at a time, and of the form that checks a signature. Always ready.
#[derive(Clone)]
pub struct PageService {
    /// The temporary endpoints, which need no guard.
    receiver: Receiver,
    guard: Guard,
    /// Rejects changes that another site triggers.
    pages: Csrf<Pages>,
}

impl<B> Service<Request<B>> for PageService
where
    B: Body<Data: Send> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_head = request.method() == Method::HEAD;
        let responding = self.clone().respond(request);
        Box::pin(async move {
            let mut response = responding.await?;
            for (name, value) in HEADERS {
                response.headers_mut().insert(name, value);
            }
            if is_head {
                *response.body_mut() = ResponseBody::default();
            }
            Ok(response)
        })
    }
}

impl PageService {
    async fn respond<B>(mut self, request: Request<B>) -> Result<Response<ResponseBody>, Infallible>
    where
        B: Body<Data: Send> + Send + 'static,
    {
        let (mut head, body) = request.into_parts();
        if temporary::is_endpoint_path(head.uri.path()) {
            return Ok(self.receiver.receive(head, body).await);
        }
        match self.guard.admit(&head) {
            Ok(user) => {
                head.extensions.insert(user);
                self.pages.call(Request::from_parts(head, body)).await
            }
            Err(rejection) => Ok(rejection),
        }
    }
}

impl fmt::Debug for PageService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageService").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// The pages, for a user whom the guard has admitted.
#[derive(Clone)]
struct Pages {
    inbox: Inbox,
    health: Health,
    activity: LastActivity,
    events: Events,
    endpoints: Endpoints,
    checker: Checker,
}

impl<B> Service<Request<B>> for Pages
where
    B: Body<Data: Send> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (pages, (head, body)) = (self.clone(), request.into_parts());
        Box::pin(async move { Ok(pages.respond(&head, body).await) })
    }
}

impl Pages {
    async fn respond<B>(&self, head: &Parts, body: B) -> Response<ResponseBody>
    where
        B: Body<Data: Send> + Send,
    {
        let user = head.extensions.get::<User>().cloned();
        // Only the service above calls this one, with a user.
        let Some(user) = user else { return status(StatusCode::FORBIDDEN) };
        if !matches!(head.uri.path(), "" | "/") {
            return self.failed(&user, StatusCode::NOT_FOUND, "there is no such page");
        }
        self.endpoints.remove_expired(self.inbox.clock.now());
        let parameters = Parameters::of(head.uri.query());
        match head.method {
            Method::GET | Method::HEAD => self.get(&parameters, &user).await,
            Method::POST => self.post(&parameters, user, body).await,
            _ => {
                let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
                let allowed = HeaderValue::from_static("GET, HEAD, POST");
                response.headers_mut().insert(header::ALLOW, allowed);
                response
            }
        }
    }

    async fn get(&self, parameters: &Parameters, user: &User) -> Response<ResponseBody> {
        let address = match parameters.address(self.inbox.clock.now()) {
            Ok(address) => address,
            Err(error) => {
                return self.failed(user, StatusCode::BAD_REQUEST, &error.to_string());
            }
        };
        let answered = timeout(TIMEOUT, self.answer(address, parameters, user)).await;
        match answered {
            Ok(Ok(Some(response))) => response,
            Ok(Ok(None)) => self.failed(user, StatusCode::NOT_FOUND, NOT_FOUND),
            Ok(Err(error)) => {
                let text = action::ActionError::from(error).text();
                self.failed(user, StatusCode::SERVICE_UNAVAILABLE, &text)
            }
            Err(_) => {
                let text =
                    "the archive did not answer in time; select fewer deliveries, or try again";
                self.failed(user, StatusCode::GATEWAY_TIMEOUT, text)
            }
        }
    }

    /// `None` if there is no such delivery, temporary endpoint or request, or no quarantine.
    async fn answer(
        &self,
        address: Address,
        parameters: &Parameters,
        user: &User,
    ) -> Result<Option<Response<ResponseBody>>, ArchiveError> {
        Ok(match address {
            Address::File(file) => Some(self::file(file)),
            Address::Events => Some(self.follow()),
            Address::Download(place, id) => self.download(place, id).await?,
            Address::DownloadRequest(of) => self.download_request(of),
            Address::View(view) => {
                let page = self.view(view).await?;
                page.map(|page| self.whole(&page, user, parameters, StatusCode::OK))
            }
        })
    }

    async fn view(&self, view: View) -> Result<Option<Page>, ArchiveError> {
        let (inbox, endpoints) = (&self.inbox, &self.endpoints);
        let now = inbox.clock.now();
        match view {
            View::Overview => self.overview(Span::Hour).await.map(Some),
            View::LastDay => self.overview(Span::Day).await.map(Some),
            View::Deliveries { filter, head, after } => {
                deliveries::page(inbox, filter, head, after).await.map(Some)
            }
            View::Delivery { place, id, body } => delivery::page(inbox, place, id, body).await,
            View::Quarantine { after } => quarantine::page(inbox, after).await,
            View::TemporaryEndpoints => Ok(Some(temporary::list_page(endpoints, now))),
            View::TemporaryEndpoint(number) => Ok(temporary::endpoint_page(endpoints, number, now)),
            View::TemporaryRequest { of, body } => {
                Ok(temporary::request_page(endpoints, of, body, now).await)
            }
            View::Confirm(action) => confirm::page(inbox, action).await.map(Some),
        }
    }

    async fn overview(&self, span: Span) -> Result<Page, ArchiveError> {
        let health = self.health.report().await;
        overview::page(&self.inbox, &health, &self.activity, span).await
    }

    async fn post<B>(&self, parameters: &Parameters, user: User, body: B) -> Response<ResponseBody>
    where
        B: Body<Data: Send> + Send,
    {
        match parameters.submission(self.inbox.clock.now()) {
            Ok(Submission::Change(action)) => self.change(action, user).await,
            Ok(Submission::Check(of)) => match Form::read(body).await {
                Ok(form) => self.check(of, form, &user).await,
                Err(error) => self.failed(&user, error.status(), &with_causes(&error)),
            },
            Err(error) => self.failed(&user, StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    async fn check(&self, of: RequestNumber, form: Form, user: &User) -> Response<ResponseBody> {
        let now = self.inbox.clock.now();
        let checking = temporary::checked_page(&self.endpoints, &self.checker, of, form, now);
        match timeout(TIMEOUT, checking).await {
            Ok(Some(page)) => self.whole(&page, user, &Parameters::of(None), StatusCode::OK),
            Ok(None) => self.failed(user, StatusCode::NOT_FOUND, NOT_FOUND),
            Err(_) => {
                let text = "another check is running; try again later";
                self.failed(user, StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    async fn change(&self, action: Action, user: User) -> Response<ResponseBody> {
        // In a task: a change is completed also if the browser does not wait for it.
        let (inbox, endpoints, by) = (self.inbox.clone(), self.endpoints.clone(), user.clone());
        let changing =
            tokio::spawn(async move { action::run(&inbox, &endpoints, &action, &by).await });
        match changing.await {
            Ok(Ok((view, done))) => see_other(&view.link_after(done)),
            Ok(Err(error)) => self.failed(&user, error.status(), &error.text()),
            Err(_) => self.failed(&user, StatusCode::INTERNAL_SERVER_ERROR, "the change panicked"),
        }
    }

    fn failed(&self, user: &User, status: StatusCode, text: &str) -> Response<ResponseBody> {
        let title = status.canonical_reason().unwrap_or("Error");
        self.whole(&html::message(title, text), user, &Parameters::of(None), status)
    }

    fn whole(
        &self,
        page: &Page,
        user: &User,
        parameters: &Parameters,
        status: StatusCode,
    ) -> Response<ResponseBody> {
        let archive = self.inbox.archive().to_string();
        let frame = Frame {
            archive: &archive,
            user: &user.0,
            has_quarantine: self.inbox.quarantine().is_some(),
            done: parameters.done(),
        };
        let document: Markup = html::document(page, &frame);
        let content_type = HeaderValue::from_static("text/html; charset=utf-8");
        let mut response = typed(content_type, document.into_string());
        *response.status_mut() = status;
        response
    }

    fn follow(&self) -> Response<ResponseBody> {
        let Some(stream) = self.events.stream(&self.inbox) else {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        };
        let mut response = Response::new(ResponseBody::new(stream));
        let content_type = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }

    /// The exact bytes of a body, which a browser saves and does not show.
    async fn download(
        &self,
        place: Place,
        id: DeliveryId,
    ) -> Result<Option<Response<ResponseBody>>, ArchiveError> {
        let Some(archive) = delivery::archive(&self.inbox, place) else { return Ok(None) };
        let Some(archived) = archive.get(id).await? else { return Ok(None) };
        Ok(Some(attachment(archived.delivery.body().clone(), &id.to_string())))
    }

    fn download_request(&self, of: RequestNumber) -> Option<Response<ResponseBody>> {
        let body = self.endpoints.body(of, self.inbox.clock.now())?;
        Some(attachment(body, &format!("request-{}-{}", of.endpoint, of.request)))
    }
}

/// A file of the page. They are part of the program.
fn file(file: File) -> Response<ResponseBody> {
    let (content_type, text) = match file {
        File::Style => ("text/css; charset=utf-8", include_str!("assets/style.css")),
        File::Script => ("text/javascript; charset=utf-8", include_str!("assets/script.js")),
        File::Icon => ("image/svg+xml", include_str!("assets/icon.svg")),
    };
    typed(HeaderValue::from_static(content_type), text)
}

/// A body, as a file with this name.
fn attachment(body: Bytes, name: &str) -> Response<ResponseBody> {
    let mut response = typed(HeaderValue::from_static("application/octet-stream"), body);
    let disposition = format!("attachment; filename=\"{name}.body\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

fn typed(content_type: HeaderValue, body: impl Into<bytes::Bytes>) -> Response<ResponseBody> {
    let body = body.into();
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(ResponseBody::full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

fn status(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

/// Shows the result of a change by a GET, so that reloading the page does not repeat the change.
fn see_other(link: &str) -> Response<ResponseBody> {
    let mut response = status(StatusCode::SEE_OTHER);
    // Links are percent-encoded.
    if let Ok(location) = HeaderValue::from_str(link) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
