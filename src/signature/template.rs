use std::{borrow::Cow, str::FromStr, time::SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use sha2::{Digest, Sha256};

use super::Placement;
use crate::signature::{
    Encoding, Place, Proof, SchemeError, SignError, Signature, SignatureError, TimeUnit, Tolerance,
    doctor::Difference,
    place::{GivenHeader, MOST_HMACS},
};

/// The template of a signed message: literal text, and placeholders in braces.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Timestamp,
    Body,
    BodySha256,
    Header(HeaderName),
    Unknown(String),
}

impl Template {
    pub(super) fn parse(mut text: &str) -> Self {
        let mut parts = Vec::new();
        while let Some((literal, rest)) = text.split_once('{') {
            let Some((placeholder, rest)) = rest.split_once('}') else { break };
            parts.push(Part::Literal(literal.to_owned()));
            parts.push(Part::placeholder(placeholder));
            text = rest;
        }
        parts.push(Part::Literal(text.to_owned()));
        parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
        Self(parts)
    }

    pub(super) fn check(&self) -> Result<(), SchemeError> {
        if let Some(Part::Unknown(name)) =
            self.0.iter().find(|part| matches!(part, Part::Unknown(_)))
        {
            return Err(SchemeError::UnknownPlaceholder { placeholder: name.clone() });
        }
        let has = |wanted: &[Part]| self.0.iter().any(|part| wanted.contains(part));
        if !has(&[Part::Body, Part::BodySha256]) {
            return Err(SchemeError::LeftOut { placeholder: "body" });
        }
        if !has(&[Part::Timestamp]) {
            return Err(SchemeError::LeftOut { placeholder: "timestamp" });
        }
        Ok(())
    }

    /// Returns an error if the header is not signed, or not delimited by literal text.
    pub(super) fn check_message_id(&self, header: &HeaderName) -> Result<(), SchemeError> {
        if !self.0.iter().any(|part| is_header(part, header)) {
            return Err(SchemeError::MessageIdNotSigned { place: header.into() });
        }
        if self.neighbours(header).any(|part| !matches!(part, Part::Literal(_))) {
            return Err(SchemeError::MessageIdNotDelimited { place: header.into() });
        }
        Ok(())
    }

    /// Returns the value of a signed header as a message id. An id that contains its delimiter is an error, because the
    /// same signature would be valid for another id.
    pub(super) fn message_id<'h>(
        &self,
        headers: &'h HeaderMap,
        header: &HeaderName,
    ) -> Result<&'h str, SignatureError> {
        let malformed = || Place::from(header).malformed("a message id");
        let id = std::str::from_utf8(value(headers, header)?).map_err(|_| malformed())?;
        let holds = |part: &Part| matches!(part, Part::Literal(text) if id.contains(text.as_str()));
        if self.neighbours(header).any(holds) { Err(malformed()) } else { Ok(id) }
    }

    /// Returns the parts before and after each occurrence of the header.
    fn neighbours<'t>(&'t self, header: &'t HeaderName) -> impl Iterator<Item = &'t Part> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs.flat_map(move |(one, next)| {
            let before = is_header(next, header).then_some(one);
            before.into_iter().chain(is_header(one, header).then_some(next))
        })
    }

    /// Returns the signed bytes, in parts to be concatenated.
    pub(super) fn fill<'m>(
        &'m self,
        headers: &'m HeaderMap,
        timestamp: &'m [u8],
        body: &'m [u8],
    ) -> Result<Vec<Cow<'m, [u8]>>, SignatureError> {
        let fill = |part: &'m Part| match part {
            Part::Literal(text) => Ok(text.as_bytes().into()),
            Part::Timestamp => Ok(timestamp.into()),
            Part::Body => Ok(body.into()),
            Part::BodySha256 => Ok(hex::encode(Sha256::digest(body)).into_bytes().into()),
            Part::Header(name) => value(headers, name).map(Cow::from),
            Part::Unknown(_) => Ok(Cow::from(&b""[..])),
        };
        self.0.iter().map(fill).collect()
    }

    /// Returns the signed headers, each with the value `id`.
    pub(super) fn headers_of(&self, id: &str) -> Result<HeaderMap, SignError> {
        let mut headers = HeaderMap::new();
        for part in &self.0 {
            if let Part::Header(name) = part {
                let unsendable = |_| SignError::Unsendable { place: name.into() };
                headers.insert(name, HeaderValue::from_str(id).map_err(unsendable)?);
            }
        }
        Ok(headers)
    }
}

impl Part {
    fn placeholder(name: &str) -> Self {
        match name {
            "timestamp" => Self::Timestamp,
            "body" => Self::Body,
            "body-sha256" => Self::BodySha256,
            _ => {
                HeaderName::from_str(name).map_or_else(|_| Self::Unknown(name.into()), Self::Header)
            }
        }
    }
}

fn is_header(part: &Part, header: &HeaderName) -> bool {
    matches!(part, Part::Header(name) if name == header)
}

fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], SignatureError> {
    let place = Place::from(name);
    let value = place.single(headers.get_all(name))?.as_bytes();
    if value.is_empty() { Err(place.malformed("a signed value")) } else { Ok(value) }
}

#[cfg(feature = "ed25519")]
use crate::signature::place::MOST_ED25519_SIGNATURES;

/// A scheme with a template, without its keys. `N` is the length of a signature in bytes.
#[derive(Clone, Debug)]
pub(in crate::signature) struct Shape<const N: usize> {
    template: Template,
    placement: Placement,
    message_id: Option<GivenHeader>,
    pub(in crate::signature) encoding: Encoding,
    pub(in crate::signature) unit: TimeUnit,
    pub(in crate::signature) tolerance: Tolerance,
}

/// The signatures of a request, and the parts of the message.
pub(in crate::signature) struct Claimed<'m, const N: usize> {
    pub(in crate::signature) signatures: Vec<[u8; N]>,
    pub(in crate::signature) message: Vec<Cow<'m, [u8]>>,
    pub(in crate::signature) message_id: Option<&'m str>,
}

impl<const N: usize> Shape<N> {
    pub(in crate::signature) fn new(template: &str, placement: Placement) -> Self {
        Self {
            template: Template::parse(template),
            placement,
            message_id: None,
            encoding: Encoding::Hex,
            unit: TimeUnit::Seconds,
            tolerance: Tolerance::default(),
        }
    }

    pub(in crate::signature) fn check(&self) -> Result<(), SchemeError> {
        self.placement.check()?;
        self.template.check()?;
        self.message_id.as_ref().map_or(Ok(()), |header| {
            header.check("message id")?;
            self.template.check_message_id(header.name())
        })
    }

    /// Sets the header with the message id.
    pub(in crate::signature) fn set_message_id(&mut self, header: impl TryInto<HeaderName>) {
        self.message_id = Some(GivenHeader::new(header));
    }

    /// Returns the claimed message id.
    pub(in crate::signature) fn message_id<'m>(
        &self,
        head: &'m Parts,
    ) -> Result<Option<&'m str>, SignatureError> {
        let name = self.message_id.as_ref().map(GivenHeader::name);
        name.map(|name| self.template.message_id(&head.headers, name)).transpose()
    }

    /// Reads a request and checks its timestamp.
    pub(in crate::signature) fn read<'m>(
        &'m self,
        head: &'m Parts,
        body: &'m [u8],
        at: SystemTime,
    ) -> Result<Claimed<'m, N>, SignatureError> {
        let presented = self.placement.read(&head.headers)?;
        let place = self.placement.place_of_timestamp();
        self.tolerance.check(presented.timestamp, self.unit, at, &place)?;
        let texts = presented.signatures.iter();
        let signatures = texts.filter_map(|text| self.encoding.decode(text));
        let signatures = self.placement.place().distinct(signatures, most_signatures::<N>())?;
        if signatures.is_empty() {
            return Err(self.placement.malformed(self.encoding.expected::<N>()));
        }
        let message = self.template.fill(&head.headers, presented.timestamp, body)?;
        let message_id = self.message_id(head)?;
        Ok(Claimed { signatures, message, message_id })
    }

    pub(in crate::signature) fn mismatch(&self) -> SignatureError {
        self.placement.place().mismatch()
    }

    pub(in crate::signature) fn no_secret(&self) -> SignatureError {
        SignatureError::NoSecret { place: self.placement.place() }
    }

    /// Signs a message with `sign`, and returns the headers.
    pub(in crate::signature) fn write(
        &self,
        id: &str,
        body: &[u8],
        at: SystemTime,
        sign: impl FnOnce(&[&[u8]]) -> Result<Vec<[u8; N]>, SignError>,
    ) -> Result<Signature, SignError> {
        let timestamp = self.unit.write(at)?;
        let signed: HeaderMap = self.template.headers_of(id)?;
        let message = self.template.fill(&signed, timestamp.as_bytes(), body);
        let place = self.placement.place();
        let message = message.map_err(|_| SignError::Unsendable { place })?;
        let signatures = sign(&slices(&message))?;
        let texts: Vec<_> = signatures.iter().map(|bytes| self.encoding.encode(bytes)).collect();
        let written = self.placement.write(&timestamp, &texts)?;
        signed.iter().try_fold(written, |written, (name, value)| written.header(name, value))
    }

    /// Returns the variants that differ in a single setting.
    pub(in crate::signature) fn variants(&self) -> Vec<(Difference, Self)> {
        let (encoding, unit, tolerance) =
            (self.encoding.other(), self.unit.other(), Tolerance::unlimited());
        let others = [
            (Difference::Encoding(encoding), Self { encoding, ..self.clone() }),
            (Difference::Unit(unit), Self { unit, ..self.clone() }),
            (Difference::Time, Self { tolerance, ..self.clone() }),
        ];
        let places = Placement::well_known()
            .chain(self.placement.other_prefixes())
            .map(|(difference, placement)| (difference, Self { placement, ..self.clone() }));
        others.into_iter().chain(places).collect()
    }
}

impl<const N: usize> Claimed<'_, N> {
    /// Returns the proof for the key that matched.
    pub(in crate::signature) fn proof(&self, scheme: &'static str, key: &str) -> Proof {
        let proof = Proof::new(scheme, key, "raw");
        match self.message_id {
            Some(id) => proof.with_message_id(id),
            None => proof,
        }
    }
}

/// Returns the maximum number of distinct signatures of `N` bytes.
fn most_signatures<const N: usize>() -> usize {
    #[cfg(feature = "ed25519")]
    if N == 64 {
        return MOST_ED25519_SIGNATURES;
    }
    MOST_HMACS
}

pub(in crate::signature) fn slices<'m>(parts: &'m [Cow<'_, [u8]>]) -> Vec<&'m [u8]> {
    parts.iter().map(AsRef::as_ref).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> String {
        let template = Template::parse(template);
        let headers = template.headers_of("msg_1").unwrap();
        let parts = template.fill(&headers, b"123", b"{}").unwrap();
        String::from_utf8(parts.concat()).unwrap()
    }

    #[test]
    fn placeholders_are_filled_and_literal_text_is_kept() {
        assert_eq!(filled("{timestamp}.{body}"), "123.{}");
        assert_eq!(filled("v0:{timestamp}:{body}"), "v0:123:{}");
        assert_eq!(
            filled("{webhook-id}\n{body-sha256}!"),
            format!(
                "msg_1\n{}!",
                "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
            )
        );
        assert_eq!(filled("{body}{timestamp"), "{}{timestamp");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn template_without_body_or_timestamp_is_an_error() {
        let check = |template| Template::parse(template).check();
        assert_eq!(check("{timestamp}.{body-sha256}"), Ok(()));
        assert_eq!(check("{timestamp}"), Err(SchemeError::LeftOut { placeholder: "body" }));
        assert_eq!(check("{body}"), Err(SchemeError::LeftOut { placeholder: "timestamp" }));
        let unknown = SchemeError::UnknownPlaceholder { placeholder: "the body".to_owned() };
        assert_eq!(check("{timestamp}.{the body}"), Err(unknown));
    }

    #[test]
    fn message_id_must_be_signed_and_delimited() {
        let id = HeaderName::from_static("x-id");
        let check = |template| Template::parse(template).check_message_id(&id);
        assert_eq!(check("{x-id}\n{timestamp}.{body}"), Ok(()));
        assert_eq!(check("{timestamp}.{body}.{x-id}"), Ok(()));
        let place = Place::from(&id);
        let unsigned = SchemeError::MessageIdNotSigned { place: place.clone() };
        assert_eq!(check("{x-other}.{timestamp}.{body}"), Err(unsigned));
        let open = Err(SchemeError::MessageIdNotDelimited { place });
        assert_eq!(check("{x-id}{timestamp}.{body}"), open);
        assert_eq!(check("{x-id}.{timestamp}.{x-id}{body}"), open);
        assert_eq!(check("{timestamp}.{body}{x-id}"), open);
    }

    #[test]
    fn message_id_that_contains_its_delimiter_is_rejected() {
        let header = HeaderName::from_static("x-id");
        let id = |template, value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(&header, HeaderValue::from_bytes(value).unwrap());
            let id = Template::parse(template).message_id(&headers, &header).map(str::to_owned);
            id.map_err(|error| matches!(error, SignatureError::Malformed { .. }))
        };
        assert_eq!(id("{x-id}.{timestamp}", b"a-1"), Ok("a-1".to_owned()));
        assert_eq!(id("{x-id}.{timestamp}", b"a.1"), Err(true));
        assert_eq!(id("{body}.{x-id}", b"a.1"), Err(true));
        assert_eq!(id("{x-id}\n{timestamp}", b"a.1"), Ok("a.1".to_owned()));
        assert_eq!(id("{x-id}\n{timestamp}", b"\xff"), Err(true));
        assert_eq!(id("{x-id}\n{timestamp}", b""), Err(true));
    }

    #[test]
    fn missing_repeated_and_empty_signed_headers_are_rejected() {
        let template = Template::parse("{webhook-id}");
        let filled = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("webhook-id", HeaderValue::from_static(value));
            }
            template.fill(&headers, b"", b"").map(|parts| parts.concat())
        };
        assert_eq!(filled(&["a"]), Ok(b"a".to_vec()));
        assert!(matches!(filled(&[]), Err(SignatureError::Missing { .. })));
        assert!(matches!(filled(&["a", "a"]), Err(SignatureError::Ambiguous { .. })));
        assert!(matches!(filled(&[""]), Err(SignatureError::Malformed { .. })));
    }
}
