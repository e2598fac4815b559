use std::mem;

use bytes::Bytes;

use super::Reservation;

/// The first allocation for a body of unknown length, in bytes.
const FIRST_CAPACITY: usize = 1 << 10;

/// The body as far as it has arrived, in one allocation whose size is reserved.
///
/// Parts are copied into one buffer that grows. Otherwise many small parts, or a part that keeps a larger allocation
/// alive, such as the read buffer of its connection, would take more memory than is reserved. Only a body of one part
/// that owns its allocation is not copied.
#[derive(Debug)]
pub(super) enum Collected {
    /// The only part so far. It owns an allocation of this size.
    Whole(Bytes, usize),
    /// All parts so far.
    Buffer(Vec<u8>),
}

/// The reservation could not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfBudget;

impl Default for Collected {
    fn default() -> Self {
        Self::Buffer(Vec::new())
    }
}

impl Collected {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Whole(part, _) => part.len(),
            Self::Buffer(buffer) => buffer.len(),
        }
    }

    /// Appends a part of a body that has at most `longest` bytes. Reserves the allocated bytes.
    pub(super) fn push(
        &mut self,
        part: Bytes,
        longest: usize,
        reservation: &mut Reservation,
    ) -> Result<(), OutOfBudget> {
        if part.is_empty() {
            return Ok(());
        }
        let part = match owned(part) {
            Ok((part, allocated)) if self.len() == 0 => {
                reserve(reservation, allocated)?;
                *self = Self::Whole(part, allocated);
                return Ok(());
            }
            Ok((part, _)) | Err(part) => part,
        };
        let buffer = self.buffer(part.len(), longest, reservation)?;
        buffer.extend_from_slice(&part);
        Ok(())
    }

    /// The whole body. Its allocation, and what stays reserved for it, is as long as the body.
    pub(super) fn take(&mut self, reservation: &mut Reservation) -> Bytes {
        match mem::take(self) {
            Self::Whole(part, _) => part,
            Self::Buffer(mut buffer) => {
                let before = buffer.capacity();
                buffer.shrink_to_fit();
                reservation.shrink(before - buffer.capacity());
                buffer.into()
            }
        }
    }

    /// All parts so far, in a buffer that has room for `more` bytes.
    fn buffer(
        &mut self,
        more: usize,
        longest: usize,
        reservation: &mut Reservation,
    ) -> Result<&mut Vec<u8>, OutOfBudget> {
        if let Self::Whole(part, allocated) = self {
            let mut buffer = Vec::new();
            make_room(&mut buffer, part.len() + more, longest, reservation)?;
            buffer.extend_from_slice(part);
            reservation.shrink(*allocated);
            *self = Self::Buffer(buffer);
        }
        match self {
            Self::Buffer(buffer) => {
                make_room(buffer, more, longest, reservation)?;
                Ok(buffer)
            }
            Self::Whole(..) => Err(OutOfBudget),
        }
    }
}

fn make_room(
    buffer: &mut Vec<u8>,
    more: usize,
    longest: usize,
    reservation: &mut Reservation,
) -> Result<(), OutOfBudget> {
    let (capacity, needed) = (buffer.capacity(), buffer.len().saturating_add(more));
    if needed > capacity {
        let next = next_capacity(capacity, needed, longest);
        reserve(reservation, next - capacity)?;
        buffer.reserve_exact(next - buffer.len());
    }
    Ok(())
}

fn reserve(reservation: &mut Reservation, bytes: usize) -> Result<(), OutOfBudget> {
    if reservation.grow(bytes) { Ok(()) } else { Err(OutOfBudget) }
}

/// Doubles, so that a body is copied about twice however small its parts are, but not beyond the longest body.
fn next_capacity(capacity: usize, needed: usize, longest: usize) -> usize {
    capacity.saturating_mul(2).max(FIRST_CAPACITY).min(longest).max(needed)
}

/// The part with the size of its allocation, if nothing else uses that and the part fills at least half of it.
fn owned(part: Bytes) -> Result<(Bytes, usize), Bytes> {
    let part = part.try_into_mut()?;
    let (length, allocated) = (part.len(), part.capacity());
    let part = part.freeze();
    if allocated / 2 <= length { Ok((part, allocated)) } else { Err(part) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{delivery::ModelName, layer::Budget};

    const LONGEST: usize = 32 << 20;

    fn model() -> ModelName {
        "/hooks".parse().unwrap()
    }

    fn shared(part: &[u8]) -> (Bytes, Bytes) {
        let all = Bytes::copy_from_slice(part);
        (all.clone(), all)
    }

    #[test]
    fn parts_are_joined_and_a_single_part_that_owns_its_allocation_is_not_copied() {
        let mut reservation = Budget::default().reserve(&model());
        let one = Bytes::from(b"one".to_vec());
        let address = one.as_ptr();
        let mut collected = Collected::default();
        collected.push(one, LONGEST, &mut reservation).unwrap();
        assert_eq!(collected.take(&mut reservation).as_ptr(), address);
        for part in [Bytes::from(b"a".to_vec()), Bytes::new(), Bytes::from_static(b"bcd")] {
            collected.push(part, LONGEST, &mut reservation).unwrap();
        }
        assert_eq!((collected.len(), collected.take(&mut reservation)), (4, "abcd".into()));
        assert_eq!((collected.len(), collected.take(&mut reservation)), (0, Bytes::new()));
    }

    #[test]
    fn part_of_a_larger_allocation_is_copied() {
        let mut reservation = Budget::default().reserve(&model());
        let (part, rest) = shared(b"shared with the read buffer");
        let mut collected = Collected::default();
        collected.push(part, LONGEST, &mut reservation).unwrap();
        assert_ne!(collected.take(&mut reservation).as_ptr(), rest.as_ptr());
        let mut spare = Vec::with_capacity(1000);
        spare.push(b'x');
        assert!(owned(Bytes::from(spare)).is_err(), "it would keep 1000 bytes for one");
    }

    #[test]
    fn allocated_bytes_are_reserved_and_spare_capacity_is_released_at_the_end() {
        let budget = Budget::new(24_000);
        let mut reservation = budget.reserve(&model());
        let mut collected = Collected::default();
        for _ in 0..1500 {
            collected.push(Bytes::from_static(b"x"), LONGEST, &mut reservation).unwrap();
        }
        assert_eq!(budget.used(), 2048);
        let part = Bytes::from(vec![b'x'; 9000]);
        assert_eq!(collected.push(part, LONGEST, &mut reservation), Err(OutOfBudget));
        assert_eq!(collected.take(&mut reservation).len(), 1500);
        assert_eq!(budget.used(), 1500);
    }

    #[test]
    fn buffer_grows_to_the_longest_body_and_no_further() {
        assert_eq!(next_capacity(0, 1, LONGEST), FIRST_CAPACITY);
        assert_eq!(next_capacity(0, 1, 300), 300);
        assert_eq!(next_capacity(4096, 4097, LONGEST), 8192);
        assert_eq!(next_capacity(4096, 4097, 5000), 5000);
        assert_eq!(next_capacity(0, 1 << 20, LONGEST), 1 << 20);
    }
}
