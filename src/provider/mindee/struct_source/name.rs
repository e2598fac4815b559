//! Names of Rust fields and structs for names in JSON.

/// The keywords of all editions that can be names after `r#`.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// The keywords that cannot be raw names.
const NEVER: [&str; 3] = ["crate", "self", "super"];

/// The type names that the generated code uses.
const RESERVED: [&str; 12] = [
    "AnyField",
    "Clone",
    "Debug",
    "Default",
    "Deserialize",
    "Field",
    "List",
    "Object",
    "Option",
    "Self",
    "String",
    "Value",
];

/// The name of a struct field in Rust: unchanged where Rust allows it. `taken` gets names without `r#`.
pub(super) fn member(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let plain = words(name).join("_");
    let plain = match plain.chars().next() {
        None => "field".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("n{plain}"),
        Some(_) if NEVER.contains(&plain.as_str()) => format!("{plain}_"),
        Some(_) => plain,
    };
    let free = free(&plain, taken);
    if KEYWORDS.contains(&free.as_str()) { format!("r#{free}") } else { free }
}

/// The name that serde derives from a field.
pub(super) fn bare(member: &str) -> &str {
    member.strip_prefix("r#").unwrap_or(member)
}

/// The name of a struct, in `UpperCamelCase`.
pub(super) fn of_struct(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let capital = |word: &String| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    let camel: String = words(name).iter().map(capital).collect();
    let camel = match camel.chars().next() {
        None => "Fields".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("N{camel}"),
        Some(_) => camel,
    };
    free(&camel, |name| RESERVED.contains(&name) || taken(name))
}

/// The name, with the first free number appended if it is taken.
fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let gap = if name.ends_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    let numbered = (2..).map(|number: u32| format!("{name}{gap}{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// The words of a name in lower case: `total_amount`, `Total Amount` and `totalAmount` have the same two. Only ASCII
/// letters and digits are kept.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_ascii_alphanumeric()
            || c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit())
        {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_rust_identifiers() {
        for (name, wanted) in [
            ("total_amount", "total_amount"),
            ("Total TTC (€)", "total_ttc"),
            ("totalAmount", "total_amount"),
            ("type", "r#type"),
            ("self", "self_"),
            ("1099_form", "n1099_form"),
            ("合計", "field"),
            ("", "field"),
            ("taken", "taken2"),
            ("dyn", "dyn2"),
        ] {
            let taken = |name: &str| ["taken", "dyn"].contains(&name);
            assert_eq!(member(name, taken), wanted, "{name}");
        }
    }

    #[test]
    fn structs_are_rust_identifiers() {
        for (name, wanted) in [
            ("line_items", "LineItems"),
            ("type", "Type"),
            ("self", "Self2"),
            ("field", "Field2"),
            ("1099 form", "N1099Form"),
            ("taken", "Taken2"),
            ("合計", "Fields"),
        ] {
            assert_eq!(of_struct(name, |name| name == "Taken"), wanted, "{name}");
        }
    }
}
