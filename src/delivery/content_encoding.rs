//! Compressed bodies: detects the encoding and decompresses.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};

/// The first bytes of gzip (RFC 1952, 2.3.1). Neither JSON nor a form can begin with them.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentEncoding {
    Gzip,
    Deflate,
    /// The body begins like gzip, but the head does not say so.
    UndeclaredGzip,
    /// Another encoding, such as `br`, or several.
    Unsupported,
}

/// Why a body cannot be decompressed. Contains nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecompressError {
    #[error("{0}, which Model::decompress() does not support")]
    Unsupported(ContentEncoding),
    #[error("{0}, but cannot be decompressed")]
    Invalid(ContentEncoding),
    #[error("{0}, and longer than {limit} bytes when decompressed; raise Model::body_limit", limit = .1)]
    TooLong(ContentEncoding, usize),
}

impl ContentEncoding {
    /// Returns the encoding of a body with these headers; None if it is not encoded.
    pub(crate) fn of(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let mut names =
            names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty() && !is(name, "identity"));
        match (names.next(), names.next()) {
            (Some(name), None) if is(name, "gzip") || is(name, "x-gzip") => Some(Self::Gzip),
            (Some(name), None) if is(name, "deflate") => Some(Self::Deflate),
            (Some(_), _) => Some(Self::Unsupported),
            (None, _) => body.starts_with(&GZIP_MAGIC).then_some(Self::UndeclaredGzip),
        }
    }
}

/// A sentence about a body.
impl fmt::Display for ContentEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "the body is gzip-encoded (Content-Encoding: gzip)",
            Self::Deflate => "the body is deflate-encoded (Content-Encoding: deflate)",
            Self::UndeclaredGzip => "the body is gzip-encoded (without Content-Encoding)",
            Self::Unsupported => "the body has a Content-Encoding other than gzip and deflate",
        })
    }
}

/// Decompresses a body to at most `limit` bytes. A body that is not encoded is not copied.
pub(crate) fn decompress<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    limit: usize,
) -> Result<Cow<'b, [u8]>, DecompressError> {
    let Some(encoding) = ContentEncoding::of(headers, body) else {
        return Ok(Cow::Borrowed(body));
    };
    let plain = match encoding {
        ContentEncoding::Gzip | ContentEncoding::UndeclaredGzip => {
            read(MultiGzDecoder::new(body), limit)
        }
        ContentEncoding::Deflate if is_zlib(body) => read(ZlibDecoder::new(body), limit),
        // Some senders omit the zlib header that RFC 9110, 8.4.1.2, requires.
        ContentEncoding::Deflate => read(DeflateDecoder::new(body), limit),
        ContentEncoding::Unsupported => return Err(DecompressError::Unsupported(encoding)),
    };
    match plain {
        Ok(Some(plain)) => Ok(Cow::Owned(plain)),
        Ok(None) => Err(DecompressError::TooLong(encoding, limit)),
        Err(_) => Err(DecompressError::Invalid(encoding)),
    }
}

/// Decompresses a body as gzip, zlib or deflate, in this order, independent of its head. None unless the result has 1
/// to `limit` bytes.
pub(crate) fn decompress_as_any(body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let plain = |read: io::Result<Option<Vec<u8>>>| read.ok()?.filter(|plain| !plain.is_empty());
    plain(read(MultiGzDecoder::new(body), limit))
        .or_else(|| plain(read(ZlibDecoder::new(body), limit)))
        .or_else(|| plain(read(DeflateDecoder::new(body), limit)))
}

/// Reads `decoder` to its end; None if that is more than `limit` bytes.
fn read(decoder: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut plain)?;
    Ok((plain.len() <= limit).then_some(plain))
}

/// RFC 1950, 2.2.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use http::HeaderValue;

    use super::*;

    const TEXT: &[u8] = br#"{"job": "1"}"#;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib() -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate() -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let value = |value: &&'static str| (CONTENT_ENCODING, HeaderValue::from_static(value));
        values.iter().map(value).collect()
    }

    #[test]
    fn gzip_and_deflate_are_decompressed_with_any_header_case() {
        for (values, body) in [
            (&["gzip"][..], gzip(TEXT)),
            (&["X-GZIP"], gzip(TEXT)),
            (&["identity, gzip"], gzip(TEXT)),
            (&[], gzip(TEXT)),
            (&["deflate"], zlib()),
            (&["deflate"], raw_deflate()),
            (&["identity", ""], TEXT.to_vec()),
            (&["gzip"], [gzip(b"{\"job\""), gzip(b": \"1\"}")].concat()),
        ] {
            let plain = decompress(&headers(values), &body, TEXT.len());
            assert_eq!(plain.as_deref(), Ok(TEXT), "{values:?}");
        }
    }

    #[test]
    fn decompressed_body_over_the_limit_is_an_error() {
        let bomb = gzip(&vec![b' '; 10 << 20]);
        assert!(bomb.len() < 20_000);
        let error = decompress(&headers(&["gzip"]), &bomb, 1 << 20).unwrap_err();
        assert_eq!(error, DecompressError::TooLong(ContentEncoding::Gzip, 1 << 20));
        assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    }

    #[test]
    fn damaged_truncated_and_unsupported_encodings_are_errors() {
        let whole = gzip(TEXT);
        let invalid = Err(DecompressError::Invalid(ContentEncoding::Gzip));
        for body in [b"{}", &whole[..10], &whole[..whole.len() - 1], b""] {
            assert_eq!(decompress(&headers(&["gzip"]), body, 100), invalid);
        }
        for values in [&["br"][..], &["gzip, gzip"], &["gzip", "deflate"]] {
            let error = decompress(&headers(values), &whole, 100);
            let unsupported = ContentEncoding::Unsupported;
            assert_eq!(error, Err(DecompressError::Unsupported(unsupported)), "{values:?}");
        }
    }
}
