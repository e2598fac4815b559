//! Complete reads and writes on top of a medium that may read or write fewer bytes than requested.

use std::io::{self, IoSlice};

use super::file_system::DiskFile;

/// The maximum number of slices in one call on Linux (`IOV_MAX`).
const MOST_SLICES: usize = 1024;

/// Appends every byte of `slices`.
pub(in crate::archive::disk) fn write_all(
    file: &dyn DiskFile,
    mut slices: &mut [IoSlice<'_>],
) -> io::Result<()> {
    // A write of empty slices would be indistinguishable from a medium that accepts no bytes.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let group = slices.get(..MOST_SLICES).unwrap_or(slices);
        match file.write_vectored(group) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset`, and returns the number of bytes read: fewer than requested only at the end of the
/// file.
pub(in crate::archive::disk) fn read_full(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Accepts three bytes at a time, and is interrupted on every other call.
    #[derive(Debug, Default)]
    struct Reluctant {
        bytes: Mutex<Vec<u8>>,
        calls: AtomicUsize,
        most_slices: AtomicUsize,
    }

    impl Reluctant {
        fn interrupt(&self) -> io::Result<()> {
            match self.calls.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Err(io::ErrorKind::Interrupted.into()),
                _ => Ok(()),
            }
        }
    }

    impl DiskFile for Reluctant {
        fn len(&self) -> io::Result<u64> {
            Ok(self.bytes.lock().unwrap().len() as u64)
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.interrupt()?;
            let bytes = self.bytes.lock().unwrap();
            let rest = &bytes[usize::try_from(offset).unwrap().min(bytes.len())..];
            let read = rest.len().min(buffer.len()).min(3);
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        }

        fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.interrupt()?;
            self.most_slices.fetch_max(slices.len(), Ordering::Relaxed);
            let taken: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).take(3).collect();
            self.bytes.lock().unwrap().extend(&taken);
            Ok(taken.len())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn short_and_interrupted_calls_are_continued() {
        let file = Reluctant::default();
        write_all(&file, &mut [b"".as_slice(), b"abcd", b"", b"efghi"].map(IoSlice::new)).unwrap();
        let mut buffer = [0; 12];
        assert_eq!(read_full(&file, &mut buffer, 1).unwrap(), 8);
        assert_eq!(&buffer[..8], b"bcdefghi");
    }

    #[test]
    fn more_slices_than_the_system_takes_go_in_several_calls() {
        let file = Reluctant::default();
        let mut slices = vec![IoSlice::new(b"ab"); 3000];
        write_all(&file, &mut slices).unwrap();
        assert_eq!(file.len().unwrap(), 6000);
        assert!(file.most_slices.into_inner() <= MOST_SLICES);
    }
}
