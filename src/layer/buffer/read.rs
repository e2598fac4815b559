use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{
    Budget, Reservation,
    collect::{Collected, OutOfBudget},
};
use crate::{
    layer::{body::InboxBody, future::StepResult, step::Raw},
    process::{Rejection, RequestContext, ResponseBody},
    provider::Model,
};

/// The bytes of the budget that each request uses besides its headers and its body.
const OVERHEAD: usize = 4 << 10;

/// The bytes of the budget that each header uses besides its text, for entries of the header map and of its copy.
const HEADER_OVERHEAD: usize = 200;

/// A body that is read whole.
pub(super) struct ReadBody<B> {
    parts: Parts,
    body: B,
    context: RequestContext,
    announced: usize,
    longest: usize,
    collected: Collected,
    reservation: Reservation,
    began: Instant,
}

impl<B: Body<Data = Bytes>> ReadBody<B> {
    /// Rejects a body that is announced to be too long, before reading it.
    pub(super) fn start(
        parts: Parts,
        body: B,
        context: RequestContext,
        budget: &Budget,
    ) -> Result<Self, Box<Response<ResponseBody>>> {
        let rejected =
            |rejection| Err(Box::new(context.span.in_scope(|| context.reject(rejection))));
        let hint = body.size_hint();
        let announced = usize::try_from(hint.lower()).unwrap_or(usize::MAX);
        let limit = context.model.max_body_bytes();
        if announced > limit {
            return rejected(Rejection::TooLong { limit });
        }
        let mut reservation = budget.reserve(&context.name);
        if !reservation.grow(cost_of(&parts)) || !reservation.can_grow(announced) {
            return rejected(Rejection::Overloaded);
        }
        Ok(Self {
            parts,
            body,
            context,
            announced,
            longest: hint.exact().and_then(|exact| exact.try_into().ok()).unwrap_or(limit),
            collected: Collected::default(),
            reservation,
            began: Instant::now(),
        })
    }

    /// Reads it. Returns the request for the next step, or a rejection.
    pub(super) async fn read(self) -> StepResult<InboxBody<B, Raw>> {
        let Self { parts, body, context, announced, longest, .. } = self;
        let (mut collected, mut reservation, began) =
            (self.collected, self.reservation, self.began);
        let limit = context.model.max_body_bytes();
        let push = |part: Bytes| {
            if collected.len().saturating_add(part.len()) > limit {
                return Err(Rejection::TooLong { limit });
            }
            let pushed = collected.push(part, longest, &mut reservation);
            pushed.map_err(|OutOfBudget| Rejection::Overloaded)?;
            Ok(collected.len())
        };
        let timeout = ReadTimeout::start(&context.model, began);
        let read = read_whole(body, announced, timeout, push).await;
        let _entered = context.span.clone().entered();
        context.record_duration("buffer_us", began.into_std());
        context.span.record("bytes", collected.len());
        match read {
            Ok(()) => {
                let bytes = collected.take(&mut reservation);
                Ok(request(parts, bytes, Raw { context, reservation }))
            }
            Err(rejection) => Err(context.reject(rejection)),
        }
    }
}

/// Passes the parts of a body to `push`, which returns the number of bytes read so far.
async fn read_whole<B: Body<Data = Bytes>>(
    body: B,
    announced: usize,
    mut timeout: ReadTimeout,
    mut push: impl FnMut(Bytes) -> Result<usize, Rejection>,
) -> Result<(), Rejection> {
    let mut body = pin!(body);
    let mut received = 0;
    loop {
        match timeout_at(timeout.next_check(), body.frame()).await {
            Err(_) => timeout.check(received, Instant::now())?,
            Ok(Some(Ok(frame))) => {
                // Trailers are not signed.
                if let Ok(part) = frame.into_data() {
                    received = push(part)?;
                }
            }
            // A server may report a lost connection as the end of the body.
            Ok(None) if received >= announced => return Ok(()),
            Ok(None | Some(Err(_))) => return Err(Rejection::CutOff),
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

fn request<B>(mut parts: Parts, bytes: Bytes, raw: Raw) -> Request<InboxBody<B, Raw>> {
    parts.extensions.insert(raw.context.captures.clone());
    Request::from_parts(parts, InboxBody::buffered(bytes, raw))
}

/// How often the rate of a body is checked. A body that stalls for no longer than this is never rejected for it.
const WINDOW: Duration = Duration::from_secs(10);

/// Decides how long to wait for a body: until its deadline, and only while enough of it arrives in every window of 10
/// s.
///
/// The rate is that of the last window. An average since the start would let a sender send most of a long body at once
/// and then keep its memory until the deadline.
#[derive(Debug)]
pub(super) struct ReadTimeout {
    /// The minimum rate, in bytes per second.
    rate: usize,
    timeout: Duration,
    deadline: Instant,
    window_start: Instant,
    /// The number of bytes that had arrived at the start of the window.
    received: usize,
}

impl ReadTimeout {
    pub(super) fn start(model: &Model, now: Instant) -> Self {
        let timeout = model.max_body_time();
        // A year is as good as no timeout, and the clock can hold it.
        let far = Duration::from_secs(24 * 365 * 60 * 60);
        Self {
            rate: model.min_body_bytes_per_second(),
            timeout,
            deadline: now + timeout.min(far),
            window_start: now,
            received: 0,
        }
    }

    /// When to check, unless the body has ended before.
    pub(super) fn next_check(&self) -> Instant {
        self.deadline.min(self.window_start + WINDOW)
    }

    /// Checks whether to wait for the rest of a body after `received` bytes.
    ///
    /// # Errors
    ///
    /// The rejection, if not.
    pub(super) fn check(&mut self, received: usize, now: Instant) -> Result<(), Rejection> {
        if now >= self.deadline {
            return Err(Rejection::TooSlow { timeout: self.timeout });
        }
        if now >= self.window_start + WINDOW {
            let arrived = received - self.received;
            let seconds = usize::try_from(WINDOW.as_secs()).unwrap_or(usize::MAX);
            if arrived < self.rate.saturating_mul(seconds) {
                return Err(Rejection::BelowMinimumRate { rate: self.rate });
            }
            (self.window_start, self.received) = (now, received);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{provider::foxyai, signature::Secret};

    const SECOND: Duration = Duration::from_secs(1);

    fn timeout(start: Instant) -> ReadTimeout {
        let model = foxyai::image_group().token_in_query("token", Secret::new("correct horse"));
        ReadTimeout::start(&model.body_timeout(25 * SECOND).min_body_rate(100), start)
    }

    #[test]
    fn body_that_stalls_after_much_of_it_has_arrived_is_rejected_after_one_window() {
        let start = Instant::now();
        let mut timeout = timeout(start);
        assert_eq!(timeout.next_check(), start + WINDOW);
        timeout.check(0, start + 9 * SECOND).unwrap();
        timeout.check(1 << 20, start + 10 * SECOND).unwrap();
        assert_eq!(timeout.next_check(), start + 20 * SECOND);
        let stalled = timeout.check((1 << 20) + 999, start + 20 * SECOND);
        assert!(matches!(stalled, Err(Rejection::BelowMinimumRate { rate: 100 })));
    }

    #[test]
    fn body_of_the_minimum_rate_is_rejected_at_the_deadline() {
        let start = Instant::now();
        let mut timeout = timeout(start);
        timeout.check(1000, start + 10 * SECOND).unwrap();
        timeout.check(2000, start + 20 * SECOND).unwrap();
        assert_eq!(timeout.next_check(), start + 25 * SECOND);
        let late = timeout.check(1 << 20, start + 25 * SECOND);
        assert!(matches!(late, Err(Rejection::TooSlow { .. })));
    }
}
