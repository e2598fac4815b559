use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::Path,
};

use bytes::Bytes;

/// The bytes of a file; of the standard input, if it is called `-`.
pub(crate) fn read(file: &OsStr) -> Result<Bytes, String> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let unreadable = |error| format!("cannot read {}: {error}", Path::new(file).display());
    bytes.map(Bytes::from).map_err(unreadable)
}
