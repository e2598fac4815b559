use std::{borrow::Cow, time::SystemTime};

use http::{HeaderMap, HeaderName, request::Parts};

use super::{Placement, template::Template};
#[cfg(feature = "ed25519")]
use crate::signature::place::MOST_ED25519_SIGNATURES;
use crate::signature::{
    Encoding, Proof, SchemeError, SignError, Signature, SignatureError, TimeUnit, Tolerance,
    doctor::Difference, given_header::GivenHeader, place::MOST_HMACS,
};

/// What a scheme with a template is, apart from its keys. `N` is the length of a signature in bytes.
#[derive(Clone, Debug)]
pub(in crate::signature) struct Shape<const N: usize> {
    template: Template,
    placement: Placement,
    message_id: Option<GivenHeader>,
    pub(in crate::signature) encoding: Encoding,
    pub(in crate::signature) unit: TimeUnit,
    pub(in crate::signature) tolerance: Tolerance,
}

/// The signatures of a request, and the parts of what they should sign.
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

    /// The header that holds the message id.
    pub(in crate::signature) fn set_message_id(&mut self, header: impl TryInto<HeaderName>) {
        self.message_id = Some(GivenHeader::new(header));
    }

    /// The message id that a request claims to have.
    pub(in crate::signature) fn message_id<'m>(
        &self,
        head: &'m Parts,
    ) -> Result<Option<&'m str>, SignatureError> {
        let name = self.message_id.as_ref().map(GivenHeader::name);
        name.map(|name| self.template.message_id(&head.headers, name)).transpose()
    }

    /// Reads a request and judges its time.
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

    /// The headers of a sender that signs with `sign`.
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

    /// The shapes that differ in a single thing that is often mistaken.
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
    /// The proof by `scheme` with this key, once one of the signatures matched.
    pub(in crate::signature) fn proof(&self, scheme: &'static str, key: &str) -> Proof {
        let proof = Proof::new(scheme, key, "raw");
        match self.message_id {
            Some(id) => proof.with_message_id(id),
            None => proof,
        }
    }
}

/// The maximum number of distinct signatures of `N` bytes.
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
