//! What the golden directories hold, and copies of them.

use std::{fs, path::Path, time::Duration};

use http::{Uri, Version};
use tower_inbox::{Delivery, testing::Sample};

/// The id of the delivery with this number.
pub(super) fn id(number: usize) -> tower_inbox::DeliveryId {
    format!("0192f0c1-2a3b-7c4d-8e5f-00000000000{number}").parse().unwrap()
}

fn samples() -> Vec<Sample> {
    let sample = |model, seconds: u64| {
        Sample::of(model).received_at(Duration::new(1_750_000_000 + seconds, 123_456_789))
    };
    vec![
        sample("/hooks/invoices", 0).body(r#"{"inference": {"id": "1"}}"#),
        sample("/hooks/invoices", 1)
            .header("x-name", b"caf\xe9 \xff")
            .header("x-twice", b"1")
            .header("x-twice", b"")
            .body((0..=u8::MAX).collect::<Vec<_>>()),
        sample("/hooks/property/{reference}", 2)
            .uri(Uri::from_static("/hooks/property/%20a?x=%0D%0A&y"))
            .version(Version::HTTP_2)
            .host(None),
        sample("/hooks/invoices", 3).header("transfer-encoding", b"chunked").body("4\r\nabcd"),
        sample("/hooks/invoices", 4).header("content-length", b"9").body("WARC/1.1\r\n\r\n\r\n"),
    ]
}

pub(super) fn deliveries() -> Vec<Delivery> {
    let samples = samples().into_iter().enumerate();
    samples.map(|(number, sample)| sample.delivery().with_id(id(number))).collect()
}

pub(super) fn copy_of(version: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version);
    for file in fs::read_dir(golden).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}
