//! The effect of an operation on the state of one delivery: pure decisions, shared by the archives that keep leases in
//! memory.

use crate::delivery::{Outcome, State};

/// The stored properties of a delivery that determine how a repeat or a lease request is handled.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) state: State,
    /// Whether its bytes are stored and not known to be unreadable.
    pub(crate) has_body: bool,
}

/// The effect of [`Archive::append`](super::Archive::append) on the first delivery with the same fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The first is ignored, and the delivery is stored as a new one.
    Store,
    /// The first is unchanged.
    Unchanged,
    /// The first becomes pending, due immediately.
    Revive,
    /// The first is leased, in this state.
    Lease(State),
}

/// Decides how to handle a repeat. `wants_lease` is true if the append requests a lease.
pub(crate) fn repeat(first: &Known, wants_lease: bool) -> Repeat {
    match &first.state {
        state if state.is_final() => Repeat::Unchanged,
        _ if !first.has_body => Repeat::Store,
        State::Leased { .. } => Repeat::Unchanged,
        state if state.is_revivable() && wants_lease => Repeat::Lease(State::NEW.leased()),
        state if state.is_revivable() => Repeat::Revive,
        state if wants_lease => Repeat::Lease(state.leased()),
        _ => Repeat::Unchanged,
    }
}

/// Returns the state during a lease by [`Archive::acquire`](super::Archive::acquire); `None` if it cannot be leased.
pub(crate) fn acquire(known: &Known, revive: bool) -> Option<State> {
    match &known.state {
        _ if !known.has_body => None,
        State::Leased { .. } => None,
        state if state.is_revivable() && revive => Some(State::NEW.leased()),
        state if state.is_settled() => None,
        state => Some(state.leased()),
    }
}

/// Returns true if an outcome is recorded. `holds_lease` is true if the caller's token matches the current lease.
pub(crate) fn settles(state: &State, holds_lease: bool, outcome: &Outcome) -> bool {
    let is_late_success = matches!(outcome, Outcome::Processed { .. }) && !state.is_settled();
    holds_lease || is_late_success
}

/// Returns true if [`Archive::retry`](super::Archive::retry) makes the delivery pending.
pub(crate) fn retries(known: &Known) -> bool {
    known.has_body && known.state.is_retryable()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::DeliveryId;

    const PENDING: State = State::Pending { attempts: 1, crashes: 1 };
    const LEASED: State = State::Leased { attempts: 2, crashes: 1 };

    fn known(state: impl Into<State>, has_body: bool) -> Known {
        Known { state: state.into(), has_body }
    }

    #[test]
    fn repeat_of_unsettled_delivery_is_leased_if_wanted() {
        for state in [PENDING, Outcome::failed_at(1, "503").into()] {
            assert_eq!(repeat(&known(state.clone(), true), false), Repeat::Unchanged);
            assert_eq!(repeat(&known(state.clone(), true), true), Repeat::Lease(state.leased()));
            assert_eq!(repeat(&known(state, false), true), Repeat::Store, "its bytes are gone");
        }
        assert_eq!(repeat(&known(LEASED, true), true), Repeat::Unchanged);
        assert_eq!(repeat(&known(LEASED, false), true), Repeat::Store);
    }

    #[test]
    fn repeat_revives_dead_and_undecodable_only_where_their_bytes_are_stored() {
        for outcome in [Outcome::dead("404"), Outcome::undecodable("$")] {
            assert_eq!(repeat(&known(outcome.clone(), true), false), Repeat::Revive);
            let leased = Repeat::Lease(State::NEW.leased());
            assert_eq!(repeat(&known(outcome.clone(), true), true), leased);
            for wants_lease in [true, false] {
                assert_eq!(repeat(&known(outcome.clone(), false), wants_lease), Repeat::Store);
            }
        }
    }

    #[test]
    fn repeat_of_final_delivery_changes_nothing_even_without_its_bytes() {
        let of = DeliveryId::new();
        for outcome in [Outcome::processed(200), Outcome::repeat(of), Outcome::poisoned("crash")] {
            for (has_body, lease) in [(true, true), (true, false), (false, true), (false, false)] {
                assert_eq!(repeat(&known(outcome.clone(), has_body), lease), Repeat::Unchanged);
            }
        }
    }

    #[test]
    fn acquire_leases_unsettled_deliveries_and_revives_settled_ones_only_on_request() {
        assert_eq!(acquire(&known(PENDING, true), false), Some(PENDING.leased()));
        assert_eq!(acquire(&known(PENDING, false), true), None);
        assert_eq!(acquire(&known(LEASED, true), true), None);
        assert_eq!(acquire(&known(Outcome::dead("404"), true), false), None);
        assert_eq!(acquire(&known(Outcome::dead("404"), true), true), Some(State::NEW.leased()));
        assert_eq!(acquire(&known(Outcome::poisoned("crash"), true), true), None);
        assert_eq!(acquire(&known(Outcome::processed(200), true), true), None);
    }

    #[test]
    fn late_outcome_is_recorded_only_if_processed_and_unsettled() {
        let (processed, failed) = (Outcome::processed(200), Outcome::failed("503"));
        assert!(settles(&LEASED, true, &failed) && settles(&LEASED, true, &processed));
        assert!(!settles(&LEASED, false, &failed) && settles(&LEASED, false, &processed));
        assert!(settles(&PENDING, false, &processed));
        let dead = Outcome::dead("404").into();
        assert!(!settles(&dead, false, &processed) && !settles(&dead, false, &failed));
    }

    #[test]
    fn retry_is_a_compare_and_set_from_dead_undecodable_and_failed() {
        for outcome in [Outcome::dead("x"), Outcome::poisoned("x"), Outcome::undecodable("x")] {
            assert!(retries(&known(outcome.clone(), true)) && !retries(&known(outcome, false)));
        }
        assert!(retries(&known(Outcome::failed("x"), true)));
        for state in [PENDING, LEASED, Outcome::processed(200).into()] {
            assert!(!retries(&known(state, true)));
        }
    }
}
