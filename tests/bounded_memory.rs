//! The memory that a partially received body takes, compared with the bytes that the budget counts. A separate program,
//! because the allocator counts for the whole process.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

use std::{
    alloc::System,
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, Service, service_fn};
use tower_inbox::{Inbox, MemoryArchive, Secret, layer::InboxBody, provider::foxyai};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Yields `left` parts immediately, and then waits for a sender that sends nothing.
struct Stalling {
    left: usize,
    part: fn() -> Bytes,
}

impl Body for Stalling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data((self.part)()))))
    }
}

/// One byte in its own allocation.
fn one_byte() -> Bytes {
    Bytes::from(vec![b'x'])
}

/// One byte as HTTP servers yield it: a slice of a read buffer, which stays allocated as long as the slice.
fn one_byte_of_a_read_buffer() -> Bytes {
    Bytes::from(vec![b'x'; 8192]).slice(..1)
}

/// A short vector with a large spare capacity.
fn one_byte_with_spare_capacity() -> Bytes {
    let mut spare = Vec::with_capacity(8192);
    spare.push(b'x');
    spare.into()
}

fn long_part() -> Bytes {
    Bytes::from(vec![b'x'; 100_000])
}

/// Returns the bytes that the budget counts and the allocated bytes, while the rest of the body is awaited.
fn counted_and_allocated(parts: usize, part: fn() -> Bytes) -> (usize, usize) {
    let model = foxyai::image_group().token_in_query("token", Secret::new("correct horse"));
    let inbox = Inbox::builder(MemoryArchive::new()).model("/hook", model).build().unwrap();
    let handler = service_fn(async |_: Request<InboxBody<Stalling>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let mut service = inbox.layer().layer(handler);
    let request = Request::post("/hook?token=correct%20horse");
    let request = request.body(Stalling { left: parts, part }).unwrap();
    let region = Region::new(ALLOCATOR);
    let mut reading = pin!(service.call(request));
    assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let change = region.change();
    let allocated = change.bytes_allocated - change.bytes_deallocated;
    (inbox.bytes_in_flight(), allocated)
}

/// A single test, because two would count each other's allocations. The timer of a body requires a runtime.
#[tokio::test]
async fn body_in_small_chunks_takes_no_more_memory_than_the_budget_counts() {
    for (what, parts, part) in [
        ("chunks of one byte", 1 << 20, one_byte as fn() -> Bytes),
        ("slices of read buffers", 1 << 14, one_byte_of_a_read_buffer),
        ("spare capacity", 1 << 14, one_byte_with_spare_capacity),
        ("one slice of a read buffer", 1, one_byte_of_a_read_buffer),
        ("one long part", 1, long_part),
        ("long parts", 20, long_part),
    ] {
        let (counted, allocated) = counted_and_allocated(parts, part);
        println!("{what}: {counted} bytes are counted, {allocated} allocated");
        assert!(allocated <= counted + counted / 2, "{what}: {counted} counted, {allocated} taken");
        assert!(counted <= 3 * parts * part().len() + 8192, "{what}: {counted} counted");
    }
}
