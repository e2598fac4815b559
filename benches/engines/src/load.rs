use bytes::Bytes;
use tower_inbox::{Delivery, testing::Sample};

/// As much as any round appends of one size: bodies that differ, and deliveries of them.
///
/// The bodies are windows on one buffer, so that no copy of them is measured.
pub(crate) struct Load {
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// Two bodies begin this far from one another: no two windows are alike.
const STEP: usize = 4160;

impl Load {
    pub(crate) fn new(size: usize, count: usize) -> Self {
        let buffer = Bytes::from(noise((16 << 20) + size));
        let window = |n: usize| {
            let start = (n * STEP) % (16 << 20);
            buffer.slice(start..start + size)
        };
        let bodies: Vec<_> = (0..count).map(window).collect();
        let deliveries = bodies.iter().cloned().map(delivery).collect();
        Self { bodies, deliveries }
    }
}

/// A delivery with such a head as Mindee sends.
pub(crate) fn delivery(body: Bytes) -> Delivery {
    Sample::of("/hooks/invoices")
        .uri("/hooks/invoices".parse().unwrap())
        .host(Some("inbox.example.com"))
        .header("host", b"inbox.example.com")
        .header("content-type", b"application/json")
        .header("content-length", body.len().to_string().as_bytes())
        .header("user-agent", b"python-requests/2.32.3")
        .header("x-signature", &[b'a'; 64])
        .body(body)
        .delivery()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}
