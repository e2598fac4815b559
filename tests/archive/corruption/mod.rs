//! Corrupted segments. `fuzz/` runs the same checks without a limit.

mod body;
mod forms;

use super::stride;
use body::{mangle, read, whole};
use tower_inbox::testing::Dice;

#[test]
fn undamaged_segment_is_read_whole() {
    let found = read(&whole().bytes);
    assert_eq!((found.deliveries, found.cut), (whole().deliveries.len(), 0));
    assert!(found.damages.is_empty());
}

#[test]
fn each_flipped_bit_loses_one_delivery_at_most_and_is_reported_with_its_place() {
    let whole = whole();
    // Flips one bit of each byte; `one_flipped_bit_loses_at_most_one_record` flips every bit, for the reader alone.
    for at in (0..whole.bytes.len()).step_by(stride(17)) {
        let mut bytes = whole.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let found = read(&bytes);
        assert!(found.deliveries + 1 >= whole.deliveries.len(), "byte {at}: {found:?}");
        let reported = match found.damages.as_slice() {
            [(path, offset)] => *path == whole.path && *offset <= at as u64,
            [] => at >= bytes.len() - found.cut,
            _ => false,
        };
        assert!(reported, "byte {at}: {found:?}");
    }
}

#[test]
fn mutated_segment_is_read_in_bounded_work_and_yields_no_invented_delivery() {
    let mut dice = Dice::new(std::env::var("INBOX_SEED").map_or(1, |seed| seed.parse().unwrap()));
    for _ in 0..3000 / stride(6) {
        let script: Vec<u8> = (0..=dice.below(8))
            .flat_map(|_| dice.roll().to_le_bytes().into_iter().take(4))
            .collect();
        // A failure prints its script, which reproduces it.
        let outcome = std::panic::catch_unwind(|| read(&mangle(whole().bytes.clone(), &script)));
        assert!(outcome.is_ok(), "the script is {script:?}");
    }
}
