use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::{
    Budget, Reservation,
    collect::{Collected, OutOfBudget},
    timeout::ReadTimeout,
};
use crate::{
    layer::{body::InboxBody, future::Ended, step::Raw},
    process::{Rejection, RequestContext},
};

/// What every request counts in the budget, in bytes, besides its headers and its body.
const OVERHEAD: usize = 4 << 10;

/// What every header counts besides its text: the entries of the header map and of its copy.
const HEADER_OVERHEAD: usize = 200;

pin_project! {
    /// Reads a body whole. Its output is the request for the next step, or a rejection.
    pub(super) struct ReadBody<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Sleep,
        timeout: ReadTimeout,
        announced: usize,
        longest: usize,
        collected: Collected,
        reservation: Option<Reservation>,
        head: Option<(Parts, RequestContext)>,
        began: std::time::Instant,
    }
}

impl<B: Body<Data = Bytes>> ReadBody<B> {
    /// Rejects a body that is announced to be too long, before reading it.
    pub(super) fn start(
        parts: Parts,
        body: B,
        context: RequestContext,
        budget: &Budget,
    ) -> Result<Self, Rejection> {
        let hint = body.size_hint();
        let announced = usize::try_from(hint.lower()).unwrap_or(usize::MAX);
        let limit = context.model.longest_body();
        if announced > limit {
            return Err(Rejection::TooLong { limit });
        }
        let mut reservation = budget.reserve(&context.name);
        if !reservation.grow(cost_of(&parts)) || !reservation.can_grow(announced) {
            return Err(Rejection::Overloaded);
        }
        let timeout = ReadTimeout::start(&context.model, Instant::now());
        Ok(Self {
            body,
            timer: tokio::time::sleep_until(timeout.next_check()),
            timeout,
            announced,
            longest: hint.exact().and_then(|exact| exact.try_into().ok()).unwrap_or(limit),
            collected: Collected::default(),
            reservation: Some(reservation),
            head: Some((parts, context)),
            began: std::time::Instant::now(),
        })
    }

    fn poll_whole(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        let mut this = self.project();
        let (Some((_, context)), Some(reservation)) =
            (this.head.as_ref(), this.reservation.as_mut())
        else {
            return Poll::Pending;
        };
        loop {
            match this.body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are not signed.
                    let Ok(part) = frame.into_data() else { continue };
                    let limit = context.model.longest_body();
                    if this.collected.len().saturating_add(part.len()) > limit {
                        return Poll::Ready(Err(Rejection::TooLong { limit }));
                    }
                    let pushed = this.collected.push(part, *this.longest, reservation);
                    pushed.map_err(|OutOfBudget| Rejection::Overloaded)?;
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Rejection::CutOff)),
                // A server may report a lost connection as the end of the body.
                Poll::Ready(None) if this.collected.len() < *this.announced => {
                    return Poll::Ready(Err(Rejection::CutOff));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(this.timer.as_mut().poll(cx));
                    let now = Instant::now();
                    this.timeout.check(this.collected.len(), now)?;
                    this.timer.as_mut().reset(this.timeout.next_check());
                }
            }
        }
    }
}

/// The memory of a request besides its body: copies of its head, a task, a span, queue entries.
fn cost_of(parts: &Parts) -> usize {
    let headers = parts.headers.iter();
    let cost =
        headers.map(|(name, value)| HEADER_OVERHEAD + 2 * (name.as_str().len() + value.len()));
    OVERHEAD + cost.sum::<usize>()
}

impl<B: Body<Data = Bytes>> Future for ReadBody<B> {
    type Output = Ended<InboxBody<B, Raw>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let read = ready!(self.as_mut().poll_whole(cx));
        let this = self.project();
        let (Some((parts, context)), Some(mut reservation)) =
            (this.head.take(), this.reservation.take())
        else {
            return Poll::Pending;
        };
        let _entered = context.span.clone().entered();
        context.record_duration("buffer_us", *this.began);
        context.span.record("bytes", this.collected.len());
        Poll::Ready(match read {
            Ok(()) => {
                let bytes = this.collected.take(&mut reservation);
                Ok(request(parts, bytes, Raw { context, reservation }))
            }
            Err(rejection) => Err(rejection.reject()),
        })
    }
}

fn request<B>(mut parts: Parts, bytes: Bytes, raw: Raw) -> Request<InboxBody<B, Raw>> {
    parts.extensions.insert(raw.context.captures.clone());
    Request::from_parts(parts, InboxBody::buffered(bytes, raw))
}
