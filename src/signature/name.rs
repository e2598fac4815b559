use std::sync::Arc;

/// The name of a secret or key as it may stand in a line of text: spaces and control characters become `_`.
pub(super) fn printable(name: &str) -> Arc<str> {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    name.chars().map(printable).collect::<String>().into()
}
