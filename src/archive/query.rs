use std::{fmt, num::NonZeroU64, sync::Arc, time::SystemTime};

use super::Archived;
use crate::delivery::{DeliveryId, InferenceId, ModelName, State, StateKind};

/// Selects deliveries of an archive by id, model, time of receipt, state, and inference. All conditions must match.
///
/// ```
/// use tower_inbox::{archive::Query, delivery::StateKind};
///
/// let dead_invoices = Query::all().model("/hooks/invoices".parse()?).state(StateKind::Dead);
/// # let _ = dead_invoices;
/// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    ids: Option<IdSet>,
    model: Option<ModelName>,
    since: Option<SystemTime>,
    before: Option<SystemTime>,
    states: StateFilter,
    one_in: Option<NonZeroU64>,
    inference: Option<InferenceId>,
}

/// A sorted list of ids without duplicates. Shared by the clones of a query, because archives clone queries and the
/// list may be long.
#[derive(Clone, PartialEq, Eq)]
struct IdSet(Arc<[DeliveryId]>);

impl IdSet {
    fn new(ids: impl IntoIterator<Item = DeliveryId>) -> Self {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids.into())
    }

    fn contains(&self, id: DeliveryId) -> bool {
        self.0.binary_search(&id).is_ok()
    }
}

/// Prints only the number of ids if there are many, because queries are logged.
impl fmt::Debug for IdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTED: usize = 4;
        match self.0.len() {
            ..=PRINTED => self.0.fmt(f),
            many => write!(f, "[{many} ids]"),
        }
    }
}

/// The states that a [`Query`] selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateFilter {
    /// Any state.
    #[default]
    Any,
    /// Pending or leased.
    Pending,
    /// Pending, leased or failed.
    Unsettled,
    /// Processed, repeat, dead or undecodable.
    Settled,
    /// Processed or repeat: settled, with nothing left for an operator to investigate.
    Finished,
    /// One state.
    Only(StateKind),
}

impl StateFilter {
    /// Returns true if the filter selects deliveries in this state.
    pub fn selects(self, kind: StateKind) -> bool {
        match self {
            Self::Any => true,
            Self::Pending => matches!(kind, StateKind::Pending | StateKind::Leased),
            Self::Unsettled => !kind.is_settled(),
            Self::Settled => kind.is_settled(),
            Self::Finished => matches!(kind, StateKind::Processed | StateKind::Repeat),
            Self::Only(wanted) => kind == wanted,
        }
    }
}

impl Query {
    /// Selects every delivery.
    pub fn all() -> Self {
        Self::default()
    }

    /// Selects only this delivery. Replaces previously set ids.
    pub fn id(self, id: DeliveryId) -> Self {
        self.ids([id])
    }

    /// Selects only these deliveries; an empty list selects none. Replaces previously set ids.
    ///
    /// ```
    /// use tower_inbox::{DeliveryId, archive::Query};
    ///
    /// let [first, second] = [DeliveryId::new(), DeliveryId::new()];
    /// let query = Query::all().ids([second, first, second]);
    /// assert_eq!(query.selected_ids(), Some(&[first, second][..]));
    /// assert_eq!(Query::all().selected_ids(), None);
    /// ```
    pub fn ids(mut self, ids: impl IntoIterator<Item = DeliveryId>) -> Self {
        self.ids = Some(IdSet::new(ids));
        self
    }

    /// Selects only deliveries of this model.
    pub fn model(mut self, model: ModelName) -> Self {
        self.model = Some(model);
        self
    }

    /// Selects only deliveries received at or after this time.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Selects only deliveries received before this time.
    pub fn before(mut self, time: SystemTime) -> Self {
        self.before = Some(time);
        self
    }

    /// Selects only deliveries in this state.
    pub fn state(self, kind: StateKind) -> Self {
        self.states(StateFilter::Only(kind))
    }

    /// Selects only deliveries in these states.
    pub fn states(mut self, states: StateFilter) -> Self {
        self.states = states;
        self
    }

    /// Selects only deliveries that are pending or leased.
    pub fn pending(self) -> Self {
        self.states(StateFilter::Pending)
    }

    /// Selects only deliveries that are pending, leased or failed.
    pub fn unsettled(self) -> Self {
        self.states(StateFilter::Unsettled)
    }

    /// Selects only deliveries that are processed, a repeat, dead or undecodable.
    pub fn settled(self) -> Self {
        self.states(StateFilter::Settled)
    }

    /// Selects only deliveries that are processed or a repeat: the states that retention removes by default.
    pub fn finished(self) -> Self {
        self.states(StateFilter::Finished)
    }

    /// Selects only deliveries decoded as this inference, in any version, that are processed, dead or failed.
    pub fn inference(mut self, inference: InferenceId) -> Self {
        self.inference = Some(inference);
        self
    }

    /// Selects a sample of about one in `number`, always the same deliveries. 0 and 1 select all.
    ///
    /// ```
    /// use tower_inbox::archive::Query;
    ///
    /// let some_of_the_invoices = Query::all().model("/hooks/invoices".parse()?).one_in(100);
    /// # let _ = some_of_the_invoices;
    /// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
    /// ```
    pub fn one_in(mut self, number: u64) -> Self {
        self.one_in = NonZeroU64::new(number);
        self
    }

    /// The deliveries set by [`id`](Self::id) or [`ids`](Self::ids), sorted and without duplicates.
    pub fn selected_ids(&self) -> Option<&[DeliveryId]> {
        self.ids.as_ref().map(|ids| &*ids.0)
    }

    /// The model set by [`model`](Self::model).
    pub fn selected_model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// The time set by [`since`](Self::since).
    pub fn received_since(&self) -> Option<SystemTime> {
        self.since
    }

    /// The time set by [`before`](Self::before).
    pub fn received_before(&self) -> Option<SystemTime> {
        self.before
    }

    /// The selected states.
    pub fn selected_states(&self) -> StateFilter {
        self.states
    }

    /// The inference set by [`inference`](Self::inference).
    pub fn selected_inference(&self) -> Option<InferenceId> {
        self.inference
    }

    /// The number set by [`one_in`](Self::one_in).
    pub fn sample(&self) -> Option<NonZeroU64> {
        self.one_in
    }

    /// Returns true if the query selects `archived`.
    pub fn selects(&self, archived: &Archived) -> bool {
        let Archived { delivery, state } = archived;
        self.selects_meta(delivery.id(), delivery.model(), delivery.received_at())
            && self.selects_state(state)
    }

    /// Returns true if `state` matches the conditions on state and inference. Other conditions are not checked.
    pub fn selects_state(&self, state: &State) -> bool {
        self.selects_kind(state.kind(), state.inference().map(|inference| inference.id()))
    }

    /// Returns true if a state of this kind, with this inference, matches the conditions on state and inference.
    pub(crate) fn selects_kind(&self, kind: StateKind, inference: Option<InferenceId>) -> bool {
        self.states.selects(kind) && self.inference.is_none_or(|wanted| inference == Some(wanted))
    }

    /// Returns true if the id, model and time of receipt match. Conditions on state and inference are not checked.
    pub fn selects_meta(&self, id: DeliveryId, model: &ModelName, received_at: SystemTime) -> bool {
        self.ids.as_ref().is_none_or(|wanted| wanted.contains(id))
            && self.model.as_ref().is_none_or(|wanted| wanted == model)
            && self.since.is_none_or(|since| since <= received_at)
            && self.before.is_none_or(|before| received_at < before)
            && self.one_in.is_none_or(|number| random_bits(id) % number == 0)
    }
}

/// The last 62 bits of an id, which are random (RFC 9562, section 5.7).
fn random_bits(id: DeliveryId) -> u64 {
    id.as_bytes().last_chunk().map_or(0, |random| u64::from_be_bytes(*random) & (u64::MAX >> 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Digest, InferenceDigest, InferenceKey, Outcome};

    #[test]
    fn sample_has_about_the_requested_size_and_is_stable() {
        let model = "/m".parse().unwrap();
        let ids: Vec<_> = (0..4000).map(|_| DeliveryId::new()).collect();
        let sample = |number| -> Vec<_> {
            let query = Query::all().one_in(number);
            let selects =
                |id: &&DeliveryId| query.selects_meta(**id, &model, SystemTime::UNIX_EPOCH);
            ids.iter().filter(selects).collect()
        };
        assert_eq!((sample(0).len(), sample(1).len()), (4000, 4000));
        // One tenth of 4000 is 400, with a standard deviation of 19.
        assert!((250..550).contains(&sample(10).len()), "{}", sample(10).len());
        assert_eq!(sample(10), sample(10));
    }

    #[test]
    fn finished_filter_excludes_dead_and_undecodable() {
        let finished =
            StateKind::ALL.into_iter().filter(|kind| StateFilter::Finished.selects(*kind));
        assert_eq!(finished.collect::<Vec<_>>(), [StateKind::Processed, StateKind::Repeat]);
    }

    #[test]
    fn ids_select_a_set_and_no_ids_select_nothing() {
        let [first, second, other] = [(); 3].map(|()| DeliveryId::new());
        let model = "/m".parse().unwrap();
        let selects = |query: &Query, id| query.selects_meta(id, &model, SystemTime::UNIX_EPOCH);
        let both = Query::all().ids([second, first]);
        assert_eq!([first, second, other].map(|id| selects(&both, id)), [true, true, false]);
        assert!(!selects(&Query::all().ids([]), first), "an empty list is not every delivery");
        assert!(!selects(&both.id(other), first), "the later ids replace the earlier ones");
    }

    #[test]
    fn debug_of_many_ids_is_short() {
        let many = Query::all().ids((0..10_000).map(|_| DeliveryId::new()));
        assert!(format!("{many:?}").contains("[10000 ids]"));
        let id = DeliveryId::new();
        assert!(format!("{:?}", Query::all().id(id)).contains(&id.to_string()));
    }

    #[test]
    fn inference_selects_every_version_and_outcome() {
        let model = "/m".parse().unwrap();
        let digest = |id, version| {
            let key = InferenceKey::versioned(id, version);
            Some(InferenceDigest::of(&model, &key, Digest::of(b"body")))
        };
        let query = Query::all().inference(InferenceId::of(&model, "a"));
        for version in ["1", "2"] {
            for outcome in [Outcome::processed(200), Outcome::dead("404"), Outcome::failed("503")] {
                let state = State::from(outcome.with_inference(digest("a", version)));
                assert!(query.selects_state(&state), "{state}");
            }
        }
        let other = Outcome::processed(200).with_inference(digest("b", "1"));
        assert!(!query.selects_state(&other.into()) && !query.selects_state(&State::NEW));
    }
}
