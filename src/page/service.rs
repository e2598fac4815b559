//! The service: checks the guard, finds the page, and sets the headers that keep browsers from running what a sender
//! sent.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts,
};
use maud::Markup;
use tokio::time::timeout;
use tower_http::csrf::{Csrf, CsrfLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    action,
    activity::{LastActivity, Span},
    address::{Address, File, Parameters, Place, View},
    confirm, deliveries, delivery,
    events::Events,
    guard::{Guard, User},
    html::{self, Frame, Page},
    overview, quarantine,
};
use crate::{
    archive::ArchiveError,
    delivery::DeliveryId,
    inbox::{Health, Inbox},
    layer::ResponseBody,
};

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
        let pages = Pages {
            inbox: self.clone(),
            health: self.health(),
            activity: LastActivity::default(),
            events: Events::default(),
        };
        PageService { guard, pages: CsrfLayer::new().layer(pages) }
    }
}

/// The web page of an inbox. Made by [`Inbox::page`].
///
/// Accepts requests with any body, and never reads it. Always ready.
#[derive(Clone)]
pub struct PageService {
    guard: Guard,
    /// Rejects changes that another site triggers.
    pages: Csrf<Pages>,
}

impl<B> Service<Request<B>> for PageService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, _) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let admitted = self.guard.admit(&head);
        let mut pages = self.pages.clone();
        Box::pin(async move {
            let mut response = match admitted {
                Ok(user) => {
                    head.extensions.insert(user);
                    pages.call(Request::from_parts(head, ())).await?
                }
                Err(rejection) => rejection,
            };
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
}

impl Service<Request<()>> for Pages {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let (pages, (head, ())) = (self.clone(), request.into_parts());
        Box::pin(async move { Ok(pages.respond(&head).await) })
    }
}

impl Pages {
    async fn respond(&self, head: &Parts) -> Response<ResponseBody> {
        let user = head.extensions.get::<User>().cloned();
        // Only the service above calls this one, with a user.
        let Some(user) = user else { return status(StatusCode::FORBIDDEN) };
        if !matches!(head.uri.path(), "" | "/") {
            return self.failed(&user, StatusCode::NOT_FOUND, "there is no such page");
        }
        let parameters = Parameters::of(head.uri.query());
        match head.method {
            Method::GET | Method::HEAD => self.get(&parameters, &user).await,
            Method::POST => self.post(&parameters, user).await,
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
            Ok(Ok(None)) => self.failed(user, StatusCode::NOT_FOUND, "there is no such delivery"),
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

    /// `None` if there is no such delivery, or no quarantine.
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
            Address::View(view) => {
                let page = self.view(view).await?;
                page.map(|page| self.whole(&page, user, parameters, StatusCode::OK))
            }
        })
    }

    async fn view(&self, view: View) -> Result<Option<Page>, ArchiveError> {
        let inbox = &self.inbox;
        match view {
            View::Overview => self.overview(Span::Hour).await.map(Some),
            View::LastDay => self.overview(Span::Day).await.map(Some),
            View::Deliveries { filter, after } => {
                deliveries::page(inbox, filter, after).await.map(Some)
            }
            View::Delivery { place, id, body } => delivery::page(inbox, place, id, body).await,
            View::Quarantine { after } => quarantine::page(inbox, after).await,
            View::Confirm(action) => confirm::page(inbox, action).await.map(Some),
        }
    }

    async fn overview(&self, span: Span) -> Result<Page, ArchiveError> {
        let health = self.health.report().await;
        overview::page(&self.inbox, &health, &self.activity, span).await
    }

    async fn post(&self, parameters: &Parameters, user: User) -> Response<ResponseBody> {
        let action = match parameters.action("action", self.inbox.clock.now()) {
            Ok(action) => action,
            Err(error) => {
                return self.failed(&user, StatusCode::BAD_REQUEST, &error.to_string());
            }
        };
        // In a task: a change is completed also if the browser does not wait for it.
        let (inbox, by) = (self.inbox.clone(), user.clone());
        let changing = tokio::spawn(async move { action::run(&inbox, &action, &by).await });
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
        let content_type = HeaderValue::from_static("application/octet-stream");
        let mut response = typed(content_type, archived.delivery.body().clone());
        let disposition = format!("attachment; filename=\"{id}.body\"");
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
        }
        Ok(Some(response))
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
