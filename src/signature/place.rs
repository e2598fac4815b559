use std::{borrow::Cow, fmt};

use http::HeaderName;

use super::{SchemeError, SignatureError};

/// The maximum number of distinct HMACs in a head. They cost no pass over the body: the HMAC is computed once for each
/// key, and compared with all of them.
pub(super) const MOST_HMACS: usize = 16;

/// The maximum number of distinct Ed25519 signatures in a head. Each costs a pass over the body for each key.
#[cfg(feature = "ed25519")]
pub(super) const MOST_ED25519_SIGNATURES: usize = 8;

/// The location of a signature or token: the name of a header or query parameter, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A header.
    Header(HeaderName),
    /// A query parameter.
    Query(String),
}

impl Place {
    pub(super) fn malformed(&self, expected: impl Into<Cow<'static, str>>) -> SignatureError {
        SignatureError::Malformed { place: self.clone(), expected: expected.into() }
    }

    pub(super) fn mismatch(&self) -> SignatureError {
        SignatureError::Mismatch { place: self.clone() }
    }

    /// Returns the value, or an error if there is none or more than one.
    pub(super) fn single<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<T, SignatureError> {
        let mut values = values.into_iter();
        let missing = || SignatureError::Missing { place: self.clone() };
        let value = values.next().ok_or_else(missing)?;
        match values.next() {
            None => Ok(value),
            Some(_) => Err(SignatureError::Ambiguous { place: self.clone() }),
        }
    }

    /// Returns the distinct signatures of a list. Stops at the first one that exceeds `most`, to limit the work.
    pub(super) fn distinct<T: PartialEq>(
        &self,
        listed: impl IntoIterator<Item = T>,
        most: usize,
    ) -> Result<Vec<T>, SignatureError> {
        let mut distinct = Vec::new();
        for signature in listed {
            if distinct.contains(&signature) {
                continue;
            }
            if distinct.len() == most {
                return Err(SignatureError::TooMany { place: self.clone(), most });
            }
            distinct.push(signature);
        }
        Ok(distinct)
    }
}

/// Describes a signature with `prefix`, for errors.
pub(super) fn with_prefix(prefix: &str, expected: &'static str) -> Cow<'static, str> {
    if prefix.is_empty() {
        expected.into()
    } else {
        format!("`{prefix}` followed by {expected}").into()
    }
}

impl From<&HeaderName> for Place {
    fn from(header: &HeaderName) -> Self {
        Self::Header(header.clone())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(header) => write!(f, "header {header}"),
            Self::Query(parameter) => write!(f, "query parameter {parameter}"),
        }
    }
}

/// A header name from the user. `check` reports an invalid one, so that constructors are infallible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenHeader {
    name: HeaderName,
    is_valid: bool,
}

/// Replaces an invalid name until `check` reports it.
const INVALID: HeaderName = HeaderName::from_static("invalid-header-name");

impl GivenHeader {
    pub(super) fn new(given: impl TryInto<HeaderName>) -> Self {
        match given.try_into() {
            Ok(name) => Self { name, is_valid: true },
            Err(_) => Self { name: INVALID, is_valid: false },
        }
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn place(&self) -> Place {
        Place::from(&self.name)
    }

    /// Returns an error if the name is invalid. `holds` is the purpose of the header.
    pub(super) fn check(&self, holds: &'static str) -> Result<(), SchemeError> {
        if self.is_valid { Ok(()) } else { Err(SchemeError::InvalidHeaderName { holds }) }
    }
}

#[cfg(test)]
mod place_tests {
    use super::*;

    #[test]
    fn repeated_signatures_are_listed_once_and_too_many_distinct_ones_are_rejected() {
        let place = Place::Header(HeaderName::from_static("x-signature"));
        let repeated = (0..4000).map(|number| number % 3);
        assert_eq!(place.distinct(repeated, 3), Ok(vec![0, 1, 2]));
        let mut looked_at = 0;
        let endless = (0..).inspect(|_| looked_at += 1);
        let too_many = SignatureError::TooMany { place: place.clone(), most: 3 };
        assert_eq!(place.distinct(endless, 3), Err(too_many));
        assert_eq!(looked_at, 4, "the rest of the list is not read");
    }
}

#[cfg(test)]
mod given_header_tests {
    use super::*;

    #[test]
    fn invalid_header_name_is_reported_by_check() {
        let check = |given: &str| GivenHeader::new(given).check("token");
        assert_eq!(check("X-Hook-Token"), Ok(()));
        let invalid = Err(SchemeError::InvalidHeaderName { holds: "token" });
        for given in ["", "x hook", "x-hook:", "é"] {
            assert_eq!(check(given), invalid, "{given:?}");
        }
        assert_eq!(GivenHeader::new("X-Hook-Token").name(), "x-hook-token");
        assert_eq!(
            GivenHeader::new(INVALID).check("token"),
            Ok(()),
            "names that were parsed before"
        );
    }
}
