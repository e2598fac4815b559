//! Numbers in JSON, extracted without the parser under test.

/// Returns the bits of all numbers in a JSON text, sorted by value, because members may change their order.
pub(crate) fn numbers(json: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(json).unwrap();
    let mut found: Vec<f64> = outside_of_strings(text)
        .flat_map(|part| part.split(|c: char| !"+-.eE0123456789".contains(c)))
        .filter(|word| word.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
        .map(|number| number.parse().unwrap())
        .collect();
    found.sort_by(f64::total_cmp);
    found.into_iter().map(f64::to_bits).collect()
}

fn outside_of_strings(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    let quote = move |c: char| {
        let is_quote = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_quote
    };
    text.split(quote).step_by(2)
}

#[test]
fn numbers_are_compared_to_the_last_bit() {
    let json = br#"{"a-1": [1, 2.50, {"1e3": "\"7\\"}, -4e-2], "b\\": true, "c": null}"#;
    let mut expected = [1.0_f64, 2.5, -0.04];
    expected.sort_by(f64::total_cmp);
    assert_eq!(numbers(json), expected.map(f64::to_bits));
    assert_ne!(numbers(b"0.09742441209406495"), numbers(b"0.09742441209406497"));
    assert_eq!(numbers(b"[1.0,1]"), numbers(b"[1,1]"));
}
