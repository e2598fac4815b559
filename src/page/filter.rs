//! The filter of the list of deliveries, as it is in the address of the page.

use std::time::{Duration, SystemTime};

use super::format;
use crate::{
    archive::{Query, StateFilter},
    delivery::{InferenceId, ModelName, StateKind},
};

/// Selects deliveries by model, state, time and inference. The default selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) model: Option<ModelName>,
    pub(super) states: States,
    pub(super) since: Option<Moment>,
    pub(super) before: Option<Moment>,
    /// The key of an inference, or the hexadecimal digits of its digest.
    pub(super) inference: Option<String>,
}

/// The states that a filter selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum States {
    #[default]
    Any,
    Unsettled,
    /// Dead or undecodable.
    DeadLetters,
    Only(StateKind),
}

/// A time, with the text that was entered for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) text: String,
    pub(super) time: SystemTime,
}

impl Filter {
    pub(super) fn of_model(model: &ModelName) -> Self {
        Self { model: Some(model.clone()), ..Self::default() }
    }

    pub(super) fn of_states(states: States) -> Self {
        Self { states, ..Self::default() }
    }

    pub(super) fn states(self, states: States) -> Self {
        Self { states, ..self }
    }

    /// The queries that together select the deliveries. No delivery is selected by two of them.
    ///
    /// `models` are all models, for a filter with an inference and without a model.
    pub(super) fn queries(&self, models: &[ModelName]) -> Vec<Query> {
        let mut query = Query::all();
        if let Some(model) = &self.model {
            query = query.model(model.clone());
        }
        if let Some(since) = &self.since {
            query = query.since(since.time);
        }
        if let Some(before) = &self.before {
            query = query.before(before.time);
        }
        let by_state = self.states.filters().iter().map(|states| query.clone().states(*states));
        let Some(key) = &self.inference else { return by_state.collect() };
        let inferences = inferences(key, self.model.as_slice_or(models));
        let of_each = |query: Query| {
            inferences.iter().map(move |inference| query.clone().inference(*inference))
        };
        by_state.flat_map(of_each).collect()
    }

    /// The same filter with times in place of ages, which would select others a minute later.
    pub(super) fn fixed(self) -> Self {
        let fixed = |moment: Moment| Moment { text: format::exact_time(moment.time), ..moment };
        Self { since: self.since.map(fixed), before: self.before.map(fixed), ..self }
    }

    /// The parameters of the address, without those that are not set.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let states = (self.states != States::Any).then(|| self.states.as_str().to_owned());
        let text = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.text.clone());
        let all = [
            ("model", self.model.as_ref().map(ToString::to_string)),
            ("state", states),
            ("since", text(&self.since)),
            ("before", text(&self.before)),
            ("inference", self.inference.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// One model if there is one, and all models otherwise.
trait OneOr<T> {
    fn as_slice_or<'a>(&'a self, all: &'a [T]) -> &'a [T];
}

impl<T> OneOr<T> for Option<T> {
    fn as_slice_or<'a>(&'a self, all: &'a [T]) -> &'a [T] {
        if self.is_some() { self.as_slice() } else { all }
    }
}

/// The inferences with this key, one for each model; or the one with this digest.
fn inferences(key: &str, models: &[ModelName]) -> Vec<InferenceId> {
    let plain = without_version(key);
    let mut found: Vec<_> = models.iter().map(|model| InferenceId::of(model, &plain)).collect();
    found.extend(key.parse::<InferenceId>());
    found.sort_unstable();
    found.dedup();
    found
}

/// Removes the version of a key. Separators inside its parts are percent-encoded.
fn without_version(key: &str) -> String {
    let (id, scope) = key.split_at(key.find('?').unwrap_or(key.len()));
    let id = id.split_once('@').map_or(id, |(id, _)| id);
    format!("{id}{scope}")
}

impl States {
    /// The choices of the form, in its order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let only = StateKind::ALL.into_iter().map(Self::Only);
        [Self::Any, Self::Unsettled, Self::DeadLetters].into_iter().chain(only)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Unsettled => "unsettled",
            Self::DeadLetters => "dead-letters",
            Self::Only(kind) => kind.as_str(),
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Any => "any state",
            Self::Unsettled => "not settled",
            Self::DeadLetters => "dead or undecodable",
            Self::Only(kind) => kind.as_str(),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::all().find(|states| states.as_str() == text)
    }

    /// Whether `retry` can change any of the deliveries.
    pub(super) fn may_be_retryable(self) -> bool {
        match self {
            Self::Any | Self::Unsettled | Self::DeadLetters => true,
            Self::Only(kind) => is_retryable(kind),
        }
    }

    fn filters(self) -> &'static [StateFilter] {
        use StateKind::{Dead, Failed, Leased, Pending, Processed, Repeat, Undecodable};
        match self {
            Self::Any => &[StateFilter::Any],
            Self::Unsettled => &[StateFilter::Unsettled],
            Self::DeadLetters => &[StateFilter::Only(Dead), StateFilter::Only(Undecodable)],
            Self::Only(Pending) => &[StateFilter::Only(Pending)],
            Self::Only(Leased) => &[StateFilter::Only(Leased)],
            Self::Only(Processed) => &[StateFilter::Only(Processed)],
            Self::Only(Failed) => &[StateFilter::Only(Failed)],
            Self::Only(Dead) => &[StateFilter::Only(Dead)],
            Self::Only(Undecodable) => &[StateFilter::Only(Undecodable)],
            Self::Only(Repeat) => &[StateFilter::Only(Repeat)],
        }
    }
}

/// Whether `retry` changes a delivery in this state.
pub(super) fn is_retryable(kind: StateKind) -> bool {
    matches!(kind, StateKind::Dead | StateKind::Undecodable | StateKind::Failed)
}

impl Moment {
    /// Parses a date, a date and time, or an age such as `2h`.
    pub(super) fn parse(text: &str, now: SystemTime) -> Option<Self> {
        let date = format!("{text}T00:00:00Z");
        let age = |age: Duration| now.checked_sub(age);
        let time = humantime::parse_rfc3339(&date)
            .or_else(|_| humantime::parse_rfc3339_weak(text))
            .ok()
            .or_else(|| humantime::parse_duration(text).ok().and_then(age))
            .filter(|time| *time >= SystemTime::UNIX_EPOCH)?;
        Some(Self { text: text.to_owned(), time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_and_ages_are_parsed() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |text| Moment::parse(text, now).map(|moment| moment.time);
        let day = Duration::from_secs(86_400);
        assert_eq!(at("1970-01-03"), Some(SystemTime::UNIX_EPOCH + day * 2));
        assert_eq!(at("1970-01-03T00:00:00Z"), at("1970-01-03"));
        assert_eq!(at("2d"), Some(now - day * 2));
        for text in ["", "soon", "1970-13-01", "-3d", "9000y"] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn states_read_back_from_their_parameter() {
        for states in States::all() {
            assert_eq!(States::parse(states.as_str()), Some(states));
        }
        assert_eq!(States::parse("other"), None);
    }

    #[test]
    fn filter_by_inference_has_a_query_for_each_model_and_state() {
        let models: Vec<ModelName> = vec!["/a".parse().unwrap(), "/b".parse().unwrap()];
        let filter = Filter { inference: Some("inv_1@2".to_owned()), ..Filter::default() };
        let wanted: Vec<_> = models.iter().map(|model| InferenceId::of(model, "inv_1")).collect();
        let found = |filter: &Filter| -> Vec<_> {
            let queries = filter.queries(&models);
            queries.iter().filter_map(Query::selected_inference).collect()
        };
        assert!(wanted.iter().all(|inference| found(&filter).contains(inference)));
        assert_eq!(found(&filter).len(), 2);
        assert_eq!(found(&filter.clone().states(States::DeadLetters)).len(), 4);
        let one = Filter { model: Some("/a".parse().unwrap()), ..filter };
        assert_eq!(found(&one), wanted[..1]);
    }
}
