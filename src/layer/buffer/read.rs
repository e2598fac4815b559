use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{
    Budget, Reservation,
    collect::{Collected, OutOfBudget},
    timeout::ReadTimeout,
};
use crate::{
    layer::{body::InboxBody, future::Ended, step::Raw},
    process::{Rejection, RequestContext, ResponseBody},
};

/// What every request counts in the budget, in bytes, besides its headers and its body.
const OVERHEAD: usize = 4 << 10;

/// What every header counts besides its text: the entries of the header map and of its copy.
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
    pub(super) async fn read(self) -> Ended<InboxBody<B, Raw>> {
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

/// Gives the parts of a body to `push`, which returns how many bytes have been read.
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
