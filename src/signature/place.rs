use std::fmt;

use http::HeaderName;

use super::SignatureError;

/// Where a scheme reads: the name of a header or of a query parameter, and nothing of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// This header.
    Header(HeaderName),
    /// This parameter of the query.
    Query(String),
}

impl Place {
    pub(super) fn malformed(&self, expected: &'static str) -> SignatureError {
        SignatureError::Malformed { place: self.clone(), expected }
    }

    pub(super) fn mismatch(&self) -> SignatureError {
        SignatureError::Mismatch { place: self.clone() }
    }

    /// The one value; none and several are refused.
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
