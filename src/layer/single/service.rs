use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, request::Parts};
use tower_service::Service;
use tracing::Instrument;

use crate::{
    delivery::{DeliveryId, InferenceDigest, Outcome},
    layer::{
        Attempt,
        attempt::Cause,
        body::{Held, InboxBody, Split},
        dedup::Thing,
        future::{Ended, StepFuture},
        metrics,
        refusal::Refusal,
        reply::{Reply, as_the_first},
        step::{Decoded, Single},
        take_ready,
    },
};

/// Made by [`SingleLayer`](super::SingleLayer).
#[derive(Clone, Debug)]
pub struct SingleService<S> {
    inner: S,
}

impl<S> SingleService<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

type Deciding<N> = Pin<Box<dyn Future<Output = Ended<N>> + Send>>;

impl<S, B, R> Service<Request<InboxBody<B, Decoded>>> for SingleService<S>
where
    S: Service<Request<InboxBody<B, Single>>, Response = Response<R>> + Clone,
    B: 'static,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Single>, Deciding<InboxBody<B, Single>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Decoded>>) -> Self::Future {
        match InboxBody::split(request) {
            Split::Through(through) => StepFuture::calling(self.inner.call(through)),
            Split::Delivery(parts, held) => {
                let span = held.step.claim().span.clone();
                let deciding = decide(parts, held).instrument(span);
                StepFuture::before(Box::pin(deciding), take_ready(&mut self.inner))
            }
        }
    }
}

/// Waits for the inference's turn, then either lets it be handled or answers as the first delivery of it was answered.
async fn decide<B>(mut parts: Parts, held: Held<Decoded>) -> Ended<InboxBody<B, Single>> {
    let Held { bytes, step: Decoded { mut deduped, key } } = held;
    let wanted = deduped.archived.turn.take();
    let archived = &deduped.archived;
    let (delivery, custody) = (&archived.delivery, archived.custody.clone());
    let (model, bytes_digest) = (delivery.model(), delivery.digest());
    let inference = InferenceDigest::of(model, &key, bytes_digest);
    let all_versions = InferenceDigest::of_all_versions(model, &key, bytes_digest);
    let thing = Thing::Inference(all_versions.key());
    let turn = match wanted.filter(|turn| turn.is_for(thing)) {
        Some(turn) => Ok(turn),
        None => custody.turns().take_for(archived.cause, thing).await,
    };
    let turn = match turn {
        Ok(turn) => turn,
        Err(refusal) => {
            if matches!(refusal, Refusal::InHand) {
                deduped.handling.wait_for(thing);
            }
            return Err(refusal.refuse());
        }
    };
    let known = custody.archive().processed_as(inference).await;
    let known = known.map_err(|error| Refusal::Unreadable(Arc::new(error)).refuse())?;
    let id = delivery.id();
    deduped.handling.add_turn(turn, inference);
    match earlier(id, inference, known.as_ref()) {
        Earlier::Same { of, status } if deduped.archived.cause != Cause::Replayed => {
            metrics::repeated(deduped.archived.delivery.model());
            deduped.handling.settle(Outcome::Repeat { of });
            return Err(as_the_first(status));
        }
        Earlier::Other { of } => {
            if let Some(attempt) = parts.extensions.get_mut::<Attempt>() {
                attempt.version_of = Some(of);
            }
        }
        Earlier::Same { .. } | Earlier::None => {}
    }
    parts.extensions.insert(key);
    Ok(Held::request(parts, bytes, Single { deduped }))
}

/// What was processed before as the same inference.
#[derive(Debug, PartialEq, Eq)]
enum Earlier {
    None,
    /// The same bytes in another delivery.
    Same {
        of: DeliveryId,
        status: u16,
    },
    /// Other bytes.
    Other {
        of: DeliveryId,
    },
}

fn earlier(
    id: DeliveryId,
    inference: InferenceDigest,
    known: Option<&(DeliveryId, Outcome)>,
) -> Earlier {
    match known {
        Some(&(of, Outcome::Processed { status, inference: Some(known) })) if of != id => {
            if known == inference { Earlier::Same { of, status } } else { Earlier::Other { of } }
        }
        _ => Earlier::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Digest, InferenceKey};

    #[test]
    fn the_same_bytes_are_a_repeat_and_others_a_new_version() {
        let of_body = |body: &[u8]| {
            InferenceDigest::of(&"/m".parse().unwrap(), &InferenceKey::new("key"), Digest::of(body))
        };
        let (id, of) = (DeliveryId::new(), DeliveryId::new());
        let processed = |inference| Outcome::Processed { status: 201, inference: Some(inference) };
        let known = |body| Some((of, processed(of_body(body))));
        let one = of_body(b"one");
        assert_eq!(earlier(id, one, None), Earlier::None);
        assert_eq!(earlier(id, one, known(b"one").as_ref()), Earlier::Same { of, status: 201 });
        assert_eq!(earlier(id, one, known(b"two").as_ref()), Earlier::Other { of });
        assert_eq!(earlier(of, one, known(b"one").as_ref()), Earlier::None, "it is this delivery");
        let failed = Some((of, Outcome::failed("later")));
        assert_eq!(earlier(id, one, failed.as_ref()), Earlier::None);
    }
}
