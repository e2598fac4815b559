use http::HeaderName;

use super::{Place, SchemeError};

/// The name of a header as a user of a scheme gave it. An invalid one is reported by `check`, so that constructors need
/// not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenHeader {
    name: HeaderName,
    is_valid: bool,
}

/// Takes the place of an invalid name until `check` reports it.
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

    /// Whether this is the name of a header. `holds` says what the header is for.
    pub(super) fn check(&self, holds: &'static str) -> Result<(), SchemeError> {
        if self.is_valid { Ok(()) } else { Err(SchemeError::InvalidHeaderName { holds }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_invalid_name_is_reported() {
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
