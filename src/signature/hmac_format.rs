use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use super::{
    Encoding, Place, SchemeError, SignError, Signature, SignatureError,
    given_header::GivenHeader,
    hmac::Tag,
    place::{MOST_HMACS, behind_prefix},
};

/// Where and how the HMAC of a body is written.
#[derive(Clone, Debug)]
pub(super) struct HmacFormat {
    pub(super) header: GivenHeader,
    pub(super) encoding: Encoding,
    pub(super) prefix: Cow<'static, str>,
    pub(super) list: bool,
}

impl HmacFormat {
    pub(super) fn new(header: impl TryInto<HeaderName>) -> Self {
        let header = GivenHeader::new(header);
        Self { header, encoding: Encoding::Hex, prefix: Cow::Borrowed(""), list: false }
    }

    pub(super) fn place(&self) -> Place {
        self.header.place()
    }

    pub(super) fn check(&self) -> Result<(), SchemeError> {
        self.header.check("signature")
    }

    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Vec<Tag>, SignatureError> {
        let value = self.place().single(headers.get_all(self.header.name()))?.as_bytes();
        let items = value.split(|byte| self.list && *byte == b',');
        let tags = items.filter_map(|item| self.read_item(item));
        let tags = self.place().distinct(tags, MOST_HMACS)?;
        if tags.is_empty() {
            return Err(self
                .place()
                .malformed(behind_prefix(&self.prefix, self.encoding.expected::<32>())));
        }
        Ok(tags)
    }

    fn read_item(&self, item: &[u8]) -> Option<Tag> {
        let item = if self.list { item.trim_ascii() } else { item };
        self.encoding.decode(item.strip_prefix(self.prefix.as_bytes())?)
    }

    /// All of `tags` where the header is a list, else the first.
    pub(super) fn write(&self, tags: &[Tag]) -> Result<Signature, SignError> {
        let items = tags.iter().map(|tag| self.write_item(tag));
        let items: Vec<_> = items.take(if self.list { usize::MAX } else { 1 }).collect();
        Signature::new().header(self.header.name(), items.join(","))
    }

    pub(super) fn write_item(&self, tag: &Tag) -> String {
        format!("{}{}", self.prefix, self.encoding.encode(tag))
    }
}
