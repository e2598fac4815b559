use crate::{
    delivery::{DeliveryId, Outcome},
    layer::attempt::Cause,
};

/// How often in a row the process may end while a delivery is handled before it is put aside.
const MOST_CRASHES: u32 = 3;

/// What is to be done with a delivery whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Hand it on.
    Handle(Handle),
    /// Answer what the first was answered.
    AnswerAsTheFirst { status: u16 },
    /// Answer what this one was answered, in which the same inference was before.
    AnswerAs(DeliveryId),
    /// It was settled before a worker came to it, and stays so.
    Leave,
    /// The process ended too often while it was handled.
    PutAside { crashes: u32 },
    /// It was put aside before, and only somebody who asks for it gets it handled.
    StayAside,
}

/// How a delivery is handed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    /// Whether it is recorded first that it is begun, so that a crash is seen as one.
    ///
    /// The first run for a sender is not: it would cost each delivery a record and its sender a sync. What such a run
    /// leaves behind when the process ends is a delivery without an outcome, and that tells as much.
    pub(super) mark: bool,
}

/// By what became of the delivery before, and by why it comes now. `left` is whether it may have been begun by a process
/// that has ended since, if there is no outcome.
pub(super) fn plan(outcome: Option<&Outcome>, cause: Cause, left: bool) -> Plan {
    let again = |attempts: u32, crashes| {
        let mark = match cause {
            Cause::Taken => true,
            Cause::Posted => left || outcome.is_some(),
            Cause::Replayed => false,
        };
        Plan::Handle(Handle { attempt: attempts.saturating_add(1), crashes, mark })
    };
    match (outcome, cause) {
        (None, _) => again(u32::from(left), u32::from(left)),
        (Some(Outcome::Failed { attempts, .. }), _) => again(*attempts, 0),
        (Some(Outcome::Pending { attempts, crashes, running: false }), _)
        | (Some(Outcome::Pending { attempts, crashes, .. }), Cause::Replayed) => {
            again(*attempts, *crashes)
        }
        // Nobody is at it, for it is our turn: whoever was did not come to an end.
        (Some(Outcome::Pending { attempts, crashes, running: true }), _) => {
            match crashes.saturating_add(1) {
                crashes if crashes >= MOST_CRASHES => Plan::PutAside { crashes },
                crashes => again(*attempts, crashes),
            }
        }
        (Some(_), Cause::Taken) => Plan::Leave,
        (Some(Outcome::Processed { status, .. }), Cause::Posted) => {
            Plan::AnswerAsTheFirst { status: *status }
        }
        (Some(Outcome::Repeat { of }), Cause::Posted) => Plan::AnswerAs(*of),
        (Some(Outcome::Dead { put_aside: true, .. }), Cause::Posted) => Plan::StayAside,
        (Some(Outcome::Dead { .. } | Outcome::Undecodable { .. }), Cause::Posted)
        | (Some(_), Cause::Replayed) => again(0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Cause::{Posted, Replayed, Taken};

    fn pending(attempts: u32, crashes: u32, running: bool) -> Outcome {
        Outcome::Pending { attempts, crashes, running }
    }

    fn handle(attempt: u32, crashes: u32) -> Plan {
        Plan::Handle(Handle { attempt, crashes, mark: true })
    }

    fn unmarked(attempt: u32) -> Plan {
        Plan::Handle(Handle { attempt, crashes: 0, mark: false })
    }

    fn found(outcome: &Outcome, cause: Cause) -> Plan {
        plan(Some(outcome), cause, false)
    }

    #[test]
    fn attempts_are_counted_on() {
        assert_eq!(plan(None, Taken, false), handle(1, 0));
        assert_eq!(found(&Outcome::failed_at(3, "x"), Taken), handle(4, 0));
        assert_eq!(found(&Outcome::failed_at(3, "x"), Posted), handle(4, 0));
        assert_eq!(found(&pending(3, 1, false), Taken), handle(4, 1));
        assert_eq!(found(&Outcome::failed_at(u32::MAX, "x"), Taken), handle(u32::MAX, 0));
    }

    #[test]
    fn only_the_first_run_for_a_sender_is_not_recorded_and_what_it_leaves_is_a_crash() {
        assert_eq!(plan(None, Posted, false), unmarked(1));
        assert_eq!(plan(None, Posted, true), handle(2, 1));
        assert_eq!(plan(None, Taken, true), handle(2, 1));
    }

    #[test]
    fn the_third_crash_in_a_row_puts_it_aside() {
        assert_eq!(found(&pending(1, 0, true), Taken), handle(2, 1));
        for cause in [Posted, Taken] {
            assert_eq!(found(&pending(2, 1, true), cause), handle(3, 2));
            assert_eq!(found(&pending(3, 2, true), cause), Plan::PutAside { crashes: 3 });
        }
    }

    #[test]
    fn what_was_put_aside_stays_so_unless_somebody_wants_to_see_it() {
        let aside = Outcome::put_aside("x");
        assert_eq!(found(&aside, Posted), Plan::StayAside);
        assert_eq!(found(&aside, Taken), Plan::Leave);
        assert_eq!(found(&aside, Replayed), unmarked(1));
        assert_eq!(found(&aside.again().unwrap(), Taken), handle(1, 0));
    }

    #[test]
    fn what_is_settled_is_left_unless_its_sender_or_somebody_else_wants_it() {
        for settled in [Outcome::dead("x"), Outcome::undecodable("x")] {
            assert_eq!(found(&settled, Taken), Plan::Leave);
            assert_eq!(found(&settled, Posted), handle(1, 0));
            assert_eq!(found(&settled, Replayed), unmarked(1));
        }
        let (processed, of) = (Outcome::processed(201), DeliveryId::new());
        assert_eq!(found(&processed, Posted), Plan::AnswerAsTheFirst { status: 201 });
        assert_eq!(found(&Outcome::Repeat { of }, Posted), Plan::AnswerAs(of));
        for settled in [processed, Outcome::Repeat { of }] {
            assert_eq!(found(&settled, Taken), Plan::Leave);
            assert_eq!(found(&settled, Replayed), unmarked(1));
        }
    }

    #[test]
    fn a_replay_of_what_is_not_settled_is_one_attempt_more() {
        assert_eq!(found(&Outcome::failed_at(3, "x"), Replayed), unmarked(4));
        for (crashes, running) in [(1, false), (2, true)] {
            let handle = Handle { attempt: 4, crashes, mark: false };
            assert_eq!(found(&pending(3, crashes, running), Replayed), Plan::Handle(handle));
        }
    }
}
