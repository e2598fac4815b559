use std::{borrow::Cow, time::SystemTime};

use http::{HeaderMap, request::Parts};

use super::{Placement, template::Template};
use crate::signature::{
    Encoding, SchemeError, SignError, Signature, SignatureError, TimeUnit, Tolerance,
    doctor::Difference,
};

/// What a scheme with a template is, apart from its keys. `N` is the length of a signature in bytes.
#[derive(Clone, Debug)]
pub(in crate::signature) struct Shape<const N: usize> {
    template: Template,
    placement: Placement,
    pub(in crate::signature) encoding: Encoding,
    pub(in crate::signature) unit: TimeUnit,
    pub(in crate::signature) tolerance: Tolerance,
}

/// The signatures of a request, and the parts of what they should sign.
pub(in crate::signature) struct Claimed<'m, const N: usize> {
    pub(in crate::signature) signatures: Vec<[u8; N]>,
    pub(in crate::signature) message: Vec<Cow<'m, [u8]>>,
}

impl<const N: usize> Shape<N> {
    pub(in crate::signature) fn new(template: &str, placement: Placement) -> Self {
        Self {
            template: Template::parse(template),
            placement,
            encoding: Encoding::Hex,
            unit: TimeUnit::Seconds,
            tolerance: Tolerance::default(),
        }
    }

    pub(in crate::signature) fn check(&self) -> Result<(), SchemeError> {
        self.template.check()
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
        let signatures: Vec<_> = texts.filter_map(|text| self.encoding.decode(text)).collect();
        if signatures.is_empty() {
            return Err(self.placement.place().malformed(self.encoding.expected::<N>()));
        }
        let message = self.template.fill(&head.headers, presented.timestamp, body)?;
        Ok(Claimed { signatures, message })
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
            .map(|(difference, placement)| (difference, Self { placement, ..self.clone() }));
        others.into_iter().chain(places).collect()
    }
}

pub(in crate::signature) fn slices<'m>(parts: &'m [Cow<'_, [u8]>]) -> Vec<&'m [u8]> {
    parts.iter().map(AsRef::as_ref).collect()
}
