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
    Handle { attempt: u32, crashes: u32 },
    /// Answer what the first was answered.
    AnswerAsTheFirst { status: u16 },
    /// Answer what this one was answered, in which the same inference was before.
    AnswerAs(DeliveryId),
    /// It was settled before a worker came to it, and stays so.
    Leave,
    /// The process ended too often while it was handled.
    PutAside { crashes: u32 },
}

/// By what became of the delivery before, and by why it comes now.
pub(super) fn plan(outcome: Option<&Outcome>, cause: Cause) -> Plan {
    let again =
        |attempts: u32, crashes| Plan::Handle { attempt: attempts.saturating_add(1), crashes };
    match (outcome, cause) {
        (None, _)
        | (Some(_), Cause::Replayed)
        | (Some(Outcome::Dead { .. } | Outcome::Undecodable { .. }), Cause::Posted) => again(0, 0),
        (Some(Outcome::Processed { status, .. }), _) => Plan::AnswerAsTheFirst { status: *status },
        (Some(Outcome::Repeat { of }), _) => Plan::AnswerAs(*of),
        (Some(Outcome::Dead { .. } | Outcome::Undecodable { .. }), Cause::Taken) => Plan::Leave,
        (Some(Outcome::Failed { attempts, .. }), _) => again(*attempts, 0),
        (Some(Outcome::Pending { attempts, crashes, running: false }), _) => {
            again(*attempts, *crashes)
        }
        // Nobody is at it, for it is our turn: whoever was did not come to an end.
        (Some(Outcome::Pending { attempts, crashes, running: true }), _) => {
            match crashes.saturating_add(1) {
                crashes if crashes >= MOST_CRASHES => Plan::PutAside { crashes },
                crashes => again(*attempts, crashes),
            }
        }
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
        Plan::Handle { attempt, crashes }
    }

    #[test]
    fn attempts_are_counted_on() {
        assert_eq!(plan(None, Posted), handle(1, 0));
        assert_eq!(plan(Some(&Outcome::failed_at(3, "x")), Taken), handle(4, 0));
        assert_eq!(plan(Some(&pending(3, 1, false)), Taken), handle(4, 1));
        assert_eq!(plan(Some(&Outcome::failed_at(u32::MAX, "x")), Taken), handle(u32::MAX, 0));
    }

    #[test]
    fn the_third_crash_in_a_row_puts_it_aside() {
        assert_eq!(plan(Some(&pending(1, 0, true)), Taken), handle(2, 1));
        assert_eq!(plan(Some(&pending(2, 1, true)), Posted), handle(3, 2));
        assert_eq!(plan(Some(&pending(3, 2, true)), Taken), Plan::PutAside { crashes: 3 });
    }

    #[test]
    fn what_is_settled_is_left_unless_its_sender_or_somebody_else_wants_it() {
        let (dead, undecodable) = (Outcome::dead("x"), Outcome::undecodable("x"));
        for settled in [&dead, &undecodable] {
            assert_eq!(plan(Some(settled), Taken), Plan::Leave);
            assert_eq!(plan(Some(settled), Posted), handle(1, 0));
        }
        let processed = Outcome::processed(201);
        for cause in [Posted, Taken] {
            let first = Plan::AnswerAsTheFirst { status: 201 };
            assert_eq!(plan(Some(&processed), cause), first);
        }
        assert_eq!(plan(Some(&processed), Replayed), handle(1, 0));
    }
}
