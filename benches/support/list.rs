use std::str::FromStr;

/// The value of an option that has several, separated by commas.
pub(crate) fn list<T: FromStr>(text: &str) -> Result<Vec<T>, lexopt::Error> {
    text.split(',')
        .map(|part| part.parse().map_err(|_| lexopt::Error::Custom(text.into())))
        .collect()
}
