use std::{future::poll_fn, marker::PhantomData, pin::Pin};

use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::layer::{Handling, handling};
use crate::{
    delivery::Delivery,
    layer::{Given, InboxBody, Refusal, request_again},
};

pub(super) type Handing = Pin<Box<dyn Future<Output = Handed> + Send>>;

/// Gives archived deliveries to the service that has the handlers, whatever its type is.
pub(super) trait Hand: Send {
    /// Through the steps that are behind the archive.
    fn hand(&self, delivery: Delivery, given: Given) -> Handing;

    fn another(&self) -> Box<dyn Hand>;
}

/// How it went to hand a delivery over. What became of it is settled already.
#[derive(Debug)]
pub(super) enum Handed {
    /// It was handled, or settled before it came to that.
    Answered(StatusCode),
    /// Its handler's service failed, which is recorded.
    Failed,
    /// It did not come to its handler, and nothing is recorded.
    Not,
}

pub(super) struct Hands<S, B> {
    service: Handling<S>,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Hands<S, B> {
    pub(super) fn of(service: S) -> Self {
        Self { service: handling(service), body: PhantomData }
    }
}

impl<S, B, R> Hand for Hands<S, B>
where
    S: Service<Request<InboxBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Send + 'static,
{
    fn hand(&self, delivery: Delivery, given: Given) -> Handing {
        let mut service = self.service.clone();
        Box::pin(async move {
            if poll_fn(|context| service.poll_ready(context)).await.is_err() {
                tracing::error!(
                    "the service of the handlers is not ready, and says that it will not be"
                );
                return Handed::Not;
            }
            match service.call(request_again(delivery, given)).await {
                Ok(response) if was_kept_from_its_handler(&response) => Handed::Not,
                Ok(response) => Handed::Answered(response.status()),
                Err(_) => Handed::Failed,
            }
        })
    }

    fn another(&self) -> Box<dyn Hand> {
        Box::new(Self { service: self.service.clone(), body: PhantomData })
    }
}

fn was_kept_from_its_handler<R>(response: &Response<R>) -> bool {
    let refusal = response.extensions().get::<Refusal>();
    matches!(refusal, Some(Refusal::Crowded | Refusal::InHand | Refusal::Unreadable(_)))
}
