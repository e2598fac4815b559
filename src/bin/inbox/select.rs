//! Which deliveries a command processes: by id or prefix, by inference, or by conditions.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    error::Error,
    ops::RangeInclusive,
    time::SystemTime,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tower_inbox::{
    DeliveryId, ModelName,
    archive::{Archive, ArchiveError, LedgerEntry, Query, StateFilter},
    delivery::{InferenceId, StateKind},
};

use crate::{Failure, format};

/// Conditions that do not concern the state. All have to hold.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Scope {
    /// Only deliveries of this model, by its path
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<ModelName>,
    /// Only deliveries received at TIME or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) since: Option<SystemTime>,
    /// Only deliveries received before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) before: Option<SystemTime>,
    /// Only deliveries of this inference, by the provider's id
    ///
    /// KEY is the provider's id as `InferenceKey` prints it, or the digest that `inbox show` prints. A version in it is
    /// ignored. Without --model, all models are searched. A delivery is found once it was processed, failed or dead.
    #[arg(long, value_name = "KEY")]
    pub(crate) inference: Option<String>,
}

/// Conditions. All have to hold.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// Only deliveries in this state
    #[arg(
        long,
        value_name = "STATE",
        value_parser = state_parser(&StateKind::ALL),
        conflicts_with_all = ["pending", "settled"]
    )]
    state: Option<StateKind>,
    /// Only deliveries that are pending or leased
    #[arg(long, conflicts_with = "settled")]
    pending: bool,
    /// Only deliveries that are processed, dead, undecodable or a repeat
    #[arg(long)]
    settled: bool,
}

/// A parser of these states.
pub(crate) fn state_parser(
    states: &[StateKind],
) -> impl TypedValueParser<Value = StateKind> + use<> {
    PossibleValuesParser::new(states.iter().map(|kind| kind.as_str()))
        .try_map(|word| word.parse::<StateKind>())
}

impl Scope {
    /// The query of these conditions, without the inference.
    pub(crate) fn query(&self) -> Query {
        let query = Query::all();
        let query = self.model.iter().fold(query, |query, model| query.model(model.clone()));
        let query = self.since.iter().fold(query, |query, since| query.since(*since));
        self.before.iter().fold(query, |query, before| query.before(*before))
    }

    /// Returns true if any condition is given.
    pub(crate) fn is_given(&self) -> bool {
        let Self { model, since, before, inference } = self;
        model.is_some() || since.is_some() || before.is_some() || inference.is_some()
    }
}

impl Selection {
    /// The query of these conditions, without the inference.
    pub(crate) fn query(&self) -> Query {
        let query = self.scope.query();
        match self.state {
            Some(kind) => query.state(kind),
            None if self.pending => query.states(StateFilter::Pending),
            None if self.settled => query.states(StateFilter::Settled),
            None => query,
        }
    }

    /// Returns true if any condition is given.
    pub(crate) fn is_given(&self) -> bool {
        self.scope.is_given() || self.state.is_some() || self.pending || self.settled
    }
}

/// The query for what `query`, the ids (if there are any) and the inference (if there is one) select together.
///
/// An inference is looked up now, in all models, and becomes a list of ids.
pub(crate) async fn narrow(
    archive: &dyn Archive,
    query: Query,
    ids: Option<Vec<DeliveryId>>,
    inference: Option<&str>,
) -> Result<Query, ArchiveError> {
    let query = match ids {
        Some(ids) => query.ids(ids),
        None => query,
    };
    let Some(key) = inference else { return Ok(query) };
    let found = find_inference(archive, &query, key).await?;
    Ok(query.ids(found.into_iter().map(|entry| entry.id)))
}

/// The deliveries that `query` selects and that were processed, dead or failed as the inference `key`, oldest first.
///
/// `key` is the text of an `InferenceKey`, whose version is ignored, or the 24 hexadecimal digits of an `InferenceId`.
/// If the query has no model, the key is tried for every model.
pub(crate) async fn find_inference(
    archive: &dyn Archive,
    query: &Query,
    key: &str,
) -> Result<Vec<LedgerEntry>, ArchiveError> {
    let models: Vec<_> = match query.selected_model() {
        Some(model) => vec![model.clone()],
        None => archive.counts().await?.models().cloned().collect(),
    };
    let plain = without_version(key);
    let of_models = models.iter().map(|model| InferenceId::of(model, &plain));
    let inferences: BTreeSet<_> = of_models.chain(key.parse()).collect();
    let mut found = Vec::new();
    for inference in inferences {
        found.extend(entries(archive, query.clone().inference(inference)).await?);
    }
    found.sort_by_key(|entry| (entry.received_at, entry.id));
    Ok(found)
}

/// Removes the version. Separators inside the parts of a key are percent-encoded.
fn without_version(key: &str) -> String {
    let (id, scope) = key.split_at(key.find('?').unwrap_or(key.len()));
    let id = id.split_once('@').map_or(id, |(id, _)| id);
    format!("{id}{scope}")
}

/// The ledger entries that `query` selects.
pub(crate) async fn entries(
    archive: &dyn Archive,
    query: Query,
) -> Result<Vec<LedgerEntry>, ArchiveError> {
    let (mut entries, mut found) = (archive.ledger(query), Vec::new());
    while let Some(entry) = entries.next().await {
        found.push(entry?);
    }
    Ok(found)
}

/// Parses a date, a date and time, or an age.
pub(crate) fn parse_time(text: &str) -> Result<SystemTime, String> {
    time_before(text, SystemTime::now())
}

/// Parses an age, and subtracts it from the present time.
pub(crate) fn parse_age(text: &str) -> Result<SystemTime, String> {
    age_before(text, SystemTime::now())
}

fn time_before(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let date = format!("{text}T00:00:00Z");
    humantime::parse_rfc3339(&date)
        .or_else(|_| humantime::parse_rfc3339_weak(text))
        .or_else(|_| age_before(text, now))
        .map_err(|_| {
            "use 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 90m, 2h or 30d".into()
        })
}

fn age_before(age: &str, now: SystemTime) -> Result<SystemTime, String> {
    let duration = humantime::parse_duration(age).map_err(|_| "use 90m, 12h or 30d")?;
    now.checked_sub(duration).ok_or_else(|| "the age is too long".to_owned())
}

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
    archive: &dyn Archive,
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

/// The first and the last id that begin with these digits.
fn range(digits: &str) -> Option<RangeInclusive<DeliveryId>> {
    let end = |digit: &str| format!("{digits}{}", digit.repeat(32 - digits.len())).parse().ok();
    Some(end("0")?..=end("f")?)
}

/// The deliveries that each prefix matches.
async fn candidates(
    archive: &dyn Archive,
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
    let ranges = wanted.iter().filter_map(|(_, digits)| range(digits)).collect();
    for entry in archive.ledger_between(ranges).await? {
        let id = hex::encode(entry.id.as_bytes());
        for (prefix, _) in wanted.iter().filter(|(_, digits)| id.starts_with(digits)) {
            found.entry((*prefix).clone()).or_insert_with(Vec::new).push(entry.clone());
        }
    }
    Ok(found)
}

fn only_candidate(
    archive: &dyn Archive,
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
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn version_of_a_key_is_ignored_and_its_scope_is_not() {
        for (key, wanted) in [
            ("inv_1", "inv_1"),
            ("inv_1@2", "inv_1"),
            ("inv_1@2?account=a@b", "inv_1?account=a@b"),
            ("inv_1?account=a@b", "inv_1?account=a@b"),
            ("a%40b@2", "a%40b"),
        ] {
            assert_eq!(without_version(key), wanted, "{key}");
        }
    }

    #[test]
    fn dates_times_and_ages_are_parsed() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let day = Duration::from_secs(24 * 60 * 60);
        for (text, wanted) in [
            ("1970-01-03", UNIX_EPOCH + day * 2),
            ("1970-01-03T00:00:01Z", UNIX_EPOCH + day * 2 + Duration::from_secs(1)),
            ("2d", now - day * 2),
        ] {
            assert_eq!(time_before(text, now).unwrap(), wanted, "{text}");
        }
        for text in ["", "soon", "1970-13-01", "-3d"] {
            assert!(time_before(text, now).is_err(), "{text}");
        }
        assert!(age_before("1970-01-03", now).is_err());
    }

    #[test]
    fn range_of_a_prefix_has_the_ids_that_begin_with_it() {
        let range = range("01890a5d").unwrap();
        for (id, wanted) in [
            ("01890a5d-0000-0000-0000-000000000000", true),
            ("01890a5d-ac96-774b-bcce-b302099a8057", true),
            ("01890a5d-ffff-ffff-ffff-ffffffffffff", true),
            ("01890a5c-ffff-ffff-ffff-ffffffffffff", false),
            ("01890a5e-0000-0000-0000-000000000000", false),
        ] {
            assert_eq!(range.contains(&id.parse().unwrap()), wanted, "{id}");
        }
    }

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
