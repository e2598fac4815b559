use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::{Budget, Reservation, collect::Collected};
use crate::layer::{
    body::{Held, InboxBody},
    claim::Claim,
    future::Ended,
    refusal::Refusal,
    step::Raw,
};

/// What every request counts for in the budget, in bytes, before its headers and its body.
const OVERHEAD: usize = 4 << 10;

pin_project! {
    /// Reads a body whole. Ends with the request for the next step, or with a refusal.
    pub struct ReadBody<B> {
        #[pin]
        body: B,
        #[pin]
        deadline: Sleep,
        announced: usize,
        collected: Collected,
        reservation: Option<Reservation>,
        head: Option<(Parts, Claim)>,
        began: Instant,
    }
}

impl<B: Body<Data = Bytes>> ReadBody<B> {
    /// Refuses before reading what is announced to be too much.
    pub(super) fn begin(
        parts: Parts,
        body: B,
        claim: Claim,
        budget: &Budget,
    ) -> Result<Self, Refusal> {
        let announced = body.size_hint().lower();
        let limit = claim.model.longest_body();
        if usize::try_from(announced).map_or(true, |announced| announced > limit) {
            return Err(Refusal::TooLong { limit });
        }
        let mut reservation = budget.reserve();
        if !reservation.grow(cost_of(&parts)) || !budget.has_room_for(announced) {
            return Err(Refusal::Overloaded);
        }
        Ok(Self {
            body,
            deadline: tokio::time::sleep(claim.model.slowest_body()),
            announced: usize::try_from(announced).unwrap_or(limit),
            collected: Collected::default(),
            reservation: Some(reservation),
            head: Some((parts, claim)),
            began: Instant::now(),
        })
    }

    fn poll_whole(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let mut this = self.project();
        let (Some((_, claim)), Some(reservation)) = (this.head.as_ref(), this.reservation.as_mut())
        else {
            return Poll::Pending;
        };
        loop {
            match this.body.as_mut().poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that is signed.
                    let Ok(part) = frame.into_data() else { continue };
                    admit(&part, this.collected.len(), claim, reservation)?;
                    this.collected.push(part);
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Refusal::CutOff)),
                // A server may show a connection that was lost as an end, and no error.
                Poll::Ready(None) if this.collected.len() < *this.announced => {
                    return Poll::Ready(Err(Refusal::CutOff));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(this.deadline.poll(context));
                    let deadline = claim.model.slowest_body();
                    return Poll::Ready(Err(Refusal::TooSlow { deadline }));
                }
            }
        }
    }
}

/// What a request takes besides its body: copies of its head, a task, a span, places in queues.
fn cost_of(parts: &Parts) -> usize {
    let headers = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    OVERHEAD + 2 * headers.sum::<usize>()
}

/// Whether there is room for one more part of a body.
fn admit(
    part: &Bytes,
    so_far: usize,
    claim: &Claim,
    reservation: &mut Reservation,
) -> Result<(), Refusal> {
    let limit = claim.model.longest_body();
    if so_far.saturating_add(part.len()) > limit {
        return Err(Refusal::TooLong { limit });
    }
    if !reservation.grow(part.len()) {
        return Err(Refusal::Overloaded);
    }
    Ok(())
}

impl<B: Body<Data = Bytes>> Future for ReadBody<B> {
    type Output = Ended<InboxBody<B, Raw>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = ready!(self.as_mut().poll_whole(context));
        let this = self.project();
        let (Some((parts, claim)), Some(reservation)) = (this.head.take(), this.reservation.take())
        else {
            return Poll::Pending;
        };
        let _entered = claim.span.clone().entered();
        claim.took("buffer_us", *this.began);
        claim.span.record("bytes", this.collected.len());
        Poll::Ready(match read {
            Ok(()) => Ok(request(parts, this.collected.take(), Raw { claim, reservation })),
            Err(refusal) => Err(refusal.refuse()),
        })
    }
}

fn request<B>(mut parts: Parts, bytes: Bytes, raw: Raw) -> Request<InboxBody<B, Raw>> {
    parts.extensions.insert(raw.claim.captures.clone());
    Held::request(parts, bytes, raw)
}
