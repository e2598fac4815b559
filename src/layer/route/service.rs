use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Models,
    table::{NamedModel, RouteMatch},
};
use crate::{
    delivery::Delivery,
    layer::{body::RoutedBody, future::StepFuture},
    process::{BoxError, Clock, RejectedRequest, Rejection, RequestContext, ResponseBody},
};

/// Finds the model for the path of each request. Other requests pass through.
///
/// ```
/// use tower_inbox::{Secret, layer::{Models, RouteLayer}, provider::foxyai};
///
/// let models = Models::new();
/// models.add("/hooks/group", foxyai::image_group().token_in_query("ticket", Secret::new("correct horse")))?;
/// let layer = RouteLayer::new(models);
/// # let _ = layer;
/// # Ok::<(), tower_inbox::layer::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RouteLayer {
    models: Models,
    clock: Clock,
    peer_address: PeerAddress,
}

impl RouteLayer {
    /// Routes to `models`, including those that are added later.
    pub fn new(models: Models) -> Self {
        Self { models, clock: Clock::default(), peer_address: PeerAddress::default() }
    }

    /// Sets the clock for the time of receipt. Default: the system clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how the address of the client is found in the head of a request, to log it with rejected requests. Default:
    /// it is not known. See [`InboxBuilder::peer_address`](crate::InboxBuilder::peer_address).
    pub fn peer_address(
        self,
        find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peers(PeerAddress::new(find))
    }

    pub(crate) fn peers(mut self, peer_address: PeerAddress) -> Self {
        self.peer_address = peer_address;
        self
    }
}

/// Finds the address of the client in the head of a request.
#[derive(Clone)]
pub(crate) struct PeerAddress(Arc<FindPeer>);

type FindPeer = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

impl PeerAddress {
    pub(crate) fn new(find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    fn of(&self, head: &Parts) -> Option<IpAddr> {
        (self.0)(head)
    }
}

/// Unknown.
impl Default for PeerAddress {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerAddress")
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = RouteService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { models, clock, peer_address } = self.clone();
        RouteService { inner, models, clock, peer_address }
    }
}

/// The service of [`RouteLayer`].
#[derive(Clone, Debug)]
pub struct RouteService<S> {
    inner: S,
    models: Models,
    clock: Clock,
    peer_address: PeerAddress,
}

impl<S, B, R> Service<Request<B>> for RouteService<S>
where
    S: Service<Request<RoutedBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = StepFuture<S, RoutedBody<B>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The inner of two nested inboxes would wait for the outer one, which waits for the inner one.
        if request.extensions().get::<Delivery>().is_some() {
            tracing::warn!("an inbox is nested in an inbox; the inner one does nothing");
            let routed = request.map(|body| RoutedBody { body, context: None });
            return StepFuture::calling(self.inner.call(routed));
        }
        let (head, body) = request.into_parts();
        let context = match self.models.find(&head.method, head.uri.path()) {
            RouteMatch::Through => None,
            RouteMatch::Model { name, model, captures } => {
                let peer = self.peer_address.of(&head);
                Some(RequestContext::new(self.clock.now(), name, model, captures, peer))
            }
            RouteMatch::Rejected(rejection, named) => {
                let peer = self.peer_address.of(&head);
                let response = reject(rejection, named.as_ref(), peer, &self.models);
                return StepFuture::responded(response);
            }
        };
        let request = Request::from_parts(head, RoutedBody { body, context });
        StepFuture::calling(self.inner.call(request))
    }
}

fn reject(
    rejection: Rejection,
    named: Option<&NamedModel>,
    peer: Option<IpAddr>,
    models: &Models,
) -> Response<ResponseBody> {
    rejection.reject_request(&RejectedRequest {
        model: named.map(|named| &named.name),
        peer,
        finding: None,
        limits: Some(named.map_or(models.rejection_log(), |named| named.model.rejection_log())),
    })
}
