//! Ids of deliveries on the command line: whole ids, and unique prefixes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    error::Error,
};

use tower_inbox::{
    DeliveryId,
    archive::{Archive, DiskArchive, LedgerEntry, Query},
};

use crate::{Failure, format};

/// The number of hexadecimal digits that a prefix of an id needs.
const SHORTEST_PREFIX: usize = 4;

/// The number of candidates that are listed for an ambiguous prefix: the latest ones.
const LISTED_CANDIDATES: usize = 10;

/// The ids that these words name: whole ids, also of deliveries that do not exist, or prefixes of one id each.
///
/// # Errors
///
/// If a word is neither, or if a prefix names no delivery or several ones.
pub(crate) async fn resolve_ids(
    archive: &DiskArchive,
    words: &[String],
) -> Result<Vec<DeliveryId>, Box<dyn Error>> {
    let prefixes: Vec<_> = words.iter().filter(|word| whole_id(word).is_none()).cloned().collect();
    let mut candidates = candidates(archive, &prefixes).await?;
    let resolve = |word: &String| match whole_id(word) {
        Some(id) => Ok(id),
        None => only_candidate(archive, word, &candidates.remove(word).unwrap_or_default()),
    };
    words.iter().collect::<BTreeSet<_>>().into_iter().map(resolve).collect()
}

/// The id that a word names in full.
pub(crate) fn whole_id(word: &str) -> Option<DeliveryId> {
    word.parse().ok()
}

/// Returns true if a word is the beginning of an id, and long enough.
pub(crate) fn is_prefix(word: &str) -> bool {
    hex_digits(word).is_some_and(|digits| digits.len() >= SHORTEST_PREFIX && digits.len() <= 32)
}

/// The lower-case digits of an id or of its beginning, without the hyphens.
fn hex_digits(word: &str) -> Option<String> {
    let digits: String = word.chars().filter(|char| *char != '-').collect();
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| digits.to_ascii_lowercase())
}

/// The deliveries that each prefix matches, found in one pass through the ledger.
async fn candidates(
    archive: &DiskArchive,
    prefixes: &[String],
) -> Result<BTreeMap<String, Vec<LedgerEntry>>, Box<dyn Error>> {
    let mut found = BTreeMap::new();
    let mut wanted = Vec::new();
    for prefix in prefixes {
        if !is_prefix(prefix) {
            return Err(Failure::usage(format!(
                "invalid delivery id '{prefix}'; use a UUID, or at least {SHORTEST_PREFIX} hexadecimal digits of its \
                 beginning"
            ))
            .into());
        }
        wanted.push((prefix, hex_digits(prefix).unwrap_or_default()));
    }
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut entries = archive.ledger(Query::all());
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        let id = hex::encode(entry.id.as_bytes());
        for (prefix, _) in wanted.iter().filter(|(_, digits)| id.starts_with(digits)) {
            found.entry((*prefix).clone()).or_insert_with(Vec::new).push(entry.clone());
        }
    }
    Ok(found)
}

fn only_candidate(
    archive: &DiskArchive,
    prefix: &str,
    candidates: &[LedgerEntry],
) -> Result<DeliveryId, Box<dyn Error>> {
    match candidates {
        [] => {
            let message =
                format!("no delivery with an id that begins with '{prefix}' in {archive}");
            Err(Failure::not_found(message).into())
        }
        [only] => Ok(only.id),
        several => Err(ambiguous(prefix, several).into()),
    }
}

fn ambiguous(prefix: &str, candidates: &[LedgerEntry]) -> Failure {
    let line = |entry: &LedgerEntry| {
        let LedgerEntry { id, model, received_at, state, .. } = entry;
        format!("{id}  {}  {model}  {}", format::time(*received_at), format::state(state))
    };
    let earlier = candidates.len().saturating_sub(LISTED_CANDIDATES);
    let mut details: Vec<_> = candidates.iter().skip(earlier).map(line).collect();
    if earlier > 0 {
        details.insert(0, format!("{earlier} earlier ones, and:"));
    }
    let count = candidates.len();
    let message = format!("ambiguous id prefix '{prefix}': {count} deliveries begin with it");
    Failure::usage(message).details(details)
}

/// Which of these ids `entries` does not have.
pub(crate) fn missing(ids: &[DeliveryId], entries: &[LedgerEntry]) -> Vec<DeliveryId> {
    let found: HashSet<_> = entries.iter().map(|entry| entry.id).collect();
    ids.iter().copied().filter(|id| !found.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_has_at_least_four_hexadecimal_digits() {
        for (word, wanted) in [
            ("0189", true),
            ("01890a5d-ac96", true),
            ("01890A5DAC96774bbcceb302099a8057", true),
            ("018", false),
            ("0-1-8", false),
            ("inv_1", false),
            ("01890a5dac96774bbcceb302099a80570", false),
        ] {
            assert_eq!(is_prefix(word), wanted, "{word}");
        }
    }
}
