use std::borrow::Cow;

/// The bytes of a body that a sender signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyForm {
    /// The body as it was sent.
    #[default]
    Raw,
    /// The body as it was sent or, if that does not match, without its carriage returns and line feeds.
    ///
    /// In JSON those two can only stand between values, so that the meaning of what is accepted does not change.
    RawOrWithoutLineBreaks,
}

impl BodyForm {
    /// What may have been signed, in the order in which it is tried.
    pub(super) fn readings(self, body: &[u8]) -> impl Iterator<Item = Reading<'_>> {
        let joined = move || match self {
            Self::Raw => None,
            Self::RawOrWithoutLineBreaks => without_line_breaks(body),
        };
        let raw = std::iter::once(Reading { form: "raw", bytes: Cow::Borrowed(body) });
        let joined = move || {
            joined().map(|bytes| Reading { form: "without-line-breaks", bytes: bytes.into() })
        };
        // Lazy: the copy is made only where the raw body does not match.
        raw.chain(std::iter::once_with(joined).flatten())
    }
}

/// One form of a body. Owned bytes are not those that were received.
#[derive(Debug)]
pub(super) struct Reading<'b> {
    pub(super) form: &'static str,
    pub(super) bytes: Cow<'b, [u8]>,
}

/// `body` without carriage returns and line feeds; `None` if it has none.
pub(super) fn without_line_breaks(body: &[u8]) -> Option<Vec<u8>> {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let any = body.iter().any(is_break);
    any.then(|| body.iter().copied().filter(|byte| !is_break(byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_body_is_tried_first_and_alone_where_it_has_no_line_breaks() {
        let names = |form: BodyForm, body: &[u8]| -> Vec<_> {
            form.readings(body).map(|one| (one.form, one.bytes.into_owned())).collect()
        };
        let raw = |body: &[u8]| ("raw", body.to_vec());
        assert_eq!(names(BodyForm::Raw, b"a\nb"), [raw(b"a\nb")]);
        assert_eq!(names(BodyForm::RawOrWithoutLineBreaks, b"ab"), [raw(b"ab")]);
        assert_eq!(
            names(BodyForm::RawOrWithoutLineBreaks, b"a\r\nb\n"),
            [raw(b"a\r\nb\n"), ("without-line-breaks", b"ab".to_vec())]
        );
    }
}
