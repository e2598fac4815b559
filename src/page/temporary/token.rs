//! The secret part of an endpoint's path.

use subtle::ConstantTimeEq;
use uuid::Uuid;

/// 244 random bits from the operating system, as 64 hexadecimal digits. Without `Debug`, so that no log has it.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    pub(super) fn new() -> Self {
        // Each UUID has 122 random bits.
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// Compares in constant time.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_random_and_matches_only_itself() {
        let (one, other) = (Token::new(), Token::new());
        assert_eq!(one.as_str().len(), 64);
        assert!(one.is(one.as_str()) && !one.is(other.as_str()));
        assert!(!one.is("") && !one.is(&one.as_str()[..63]));
    }
}
