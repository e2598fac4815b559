//! JSON paths in the notation of RFC 9535: simple names after a full stop, others quoted.

use std::fmt::Write;

/// The root of the document.
pub(crate) const ROOT: &str = "$";

/// Appends the member `name`.
pub(crate) fn push_name(path: &mut String, name: &str) {
    // Writing to a `String` cannot fail.
    let _ = if is_word(name) {
        write!(path, ".{name}")
    } else {
        write!(path, "['{}']", name.escape_debug())
    };
}

/// Appends the item at `index`.
pub(crate) fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "[{index}]");
}

/// Replaces every index with `[*]`.
pub(crate) fn of_every_item(path: &str) -> String {
    let mut pieces = path.split('[');
    let mut every = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_index = rest.len() < piece.len() && rest.starts_with(']');
        every.push('[');
        every.push_str(if is_index { "*" } else { "" });
        every.push_str(if is_index { rest } else { piece });
    }
    every
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_replaced_by_asterisks_and_names_are_kept() {
        assert_eq!(of_every_item("$.a[0].b[12]['c d'].e1"), "$.a[*].b[*]['c d'].e1");
        assert_eq!(of_every_item("$"), "$");
    }
}
