use std::collections::{HashMap, HashSet};

use tokio::sync::oneshot;

use super::{batch::Batch, entry::Entry, index::Index};
use crate::{
    archive::ArchiveError,
    delivery::{Delivery, DeliveryId, Fingerprint, Outcome, Receipt},
};

/// Where the answer to a command goes. Nobody may be waiting for it any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, ArchiveError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Append(Delivery, Reply<Receipt>),
    Settle(DeliveryId, Outcome, Reply<()>),
    /// To seal the segment that is written, so that it can be written anew.
    Seal(Reply<()>),
}

/// What is answered once the entries are durable, or could not be made so.
#[derive(Debug)]
pub(super) enum Answer {
    Receipt(Reply<Receipt>, Receipt),
    Settled(Reply<()>),
}

impl Answer {
    pub(super) fn done(self) {
        // Who dropped the future does not wait for the answer.
        match self {
            Self::Receipt(reply, receipt) => drop(reply.send(Ok(receipt))),
            Self::Settled(reply) => drop(reply.send(Ok(()))),
        }
    }

    pub(super) fn failed(self, error: ArchiveError) {
        match self {
            Self::Receipt(reply, _) => drop(reply.send(Err(error))),
            Self::Settled(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// What is written for commands: an entry and an answer for each.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) batch: Batch,
    pub(super) answers: Vec<Answer>,
    /// What cannot be done, whatever the disk does.
    pub(super) refused: Vec<(Answer, ArchiveError)>,
    /// Who waits until the segment is sealed behind the entries.
    pub(super) seals: Vec<Reply<()>>,
    deliveries: usize,
    first_of: HashMap<Fingerprint, DeliveryId>,
    new_ids: HashSet<DeliveryId>,
}

impl Plan {
    /// How many commands for a delivery were added.
    pub(super) fn deliveries(&self) -> usize {
        self.deliveries
    }

    /// Decides what each command comes to, after what the index holds and the commands before it.
    pub(super) fn add(&mut self, commands: Vec<Command>, index: &Index) {
        self.first_of.reserve(commands.len());
        self.new_ids.reserve(commands.len());
        for command in commands {
            match command {
                Command::Append(delivery, reply) => self.append(delivery, reply, index),
                Command::Settle(id, outcome, reply) => self.settle(id, outcome, reply, index),
                Command::Seal(reply) => self.seals.push(reply),
            }
        }
    }

    fn append(&mut self, delivery: Delivery, reply: Reply<Receipt>, index: &Index) {
        self.deliveries += 1;
        let id = delivery.id();
        let fingerprint = delivery.fingerprint();
        if let Some(of) =
            index.first(fingerprint).or_else(|| self.first_of.get(&fingerprint).copied())
        {
            let received_at = delivery.received_at();
            self.batch.push(Entry::Repeat { of, id, received_at });
            self.answers.push(Answer::Receipt(reply, Receipt::repeat(of)));
            return;
        }
        if self.knows(id, index) {
            let answer = Answer::Receipt(reply, Receipt::repeat(id));
            self.refused.push((answer, ArchiveError::Other(Box::new(IdTaken { id }))));
            return;
        }
        self.first_of.insert(fingerprint, id);
        self.new_ids.insert(id);
        self.batch.push(Entry::Delivery(delivery));
        self.answers.push(Answer::Receipt(reply, Receipt::fresh(id)));
    }

    fn settle(&mut self, of: DeliveryId, outcome: Outcome, reply: Reply<()>, index: &Index) {
        if !self.knows(of, index) {
            self.refused.push((Answer::Settled(reply), ArchiveError::Unknown { id: of }));
            return;
        }
        self.batch.push(Entry::Outcome { of, outcome: on_one_line(outcome) });
        self.answers.push(Answer::Settled(reply));
    }

    fn knows(&self, id: DeliveryId, index: &Index) -> bool {
        self.new_ids.contains(&id) || index.get(id).is_some()
    }
}

/// An outcome that was put together by hand may have a reason of many lines; the log keeps one.
fn on_one_line(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { attempts, reason, due } => {
            let failed = Outcome::failed_at(attempts, reason);
            due.into_iter().fold(failed, Outcome::not_before)
        }
        Outcome::Dead { reason, put_aside: true } => Outcome::put_aside(reason),
        Outcome::Dead { reason, .. } => Outcome::dead(reason),
        Outcome::Undecodable { reason } => Outcome::undecodable(reason),
        other => other,
    }
}

/// Two deliveries with one id would be one after the next start.
#[derive(Debug, thiserror::Error)]
#[error("another delivery has the id {id}: give each an id of its own")]
struct IdTaken {
    id: DeliveryId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::tests::{a_place, delivery};

    fn plan(commands: Vec<Command>, index: &Index) -> Plan {
        let mut plan = Plan::default();
        plan.add(commands, index);
        plan
    }

    fn append(delivery: &Delivery) -> (Command, oneshot::Receiver<Result<Receipt, ArchiveError>>) {
        let (reply, answer) = oneshot::channel();
        (Command::Append(delivery.clone(), reply), answer)
    }

    #[test]
    fn the_second_of_two_equal_deliveries_in_a_batch_repeats_the_first() {
        let (first, second) = (delivery("/m", b"a"), delivery("/m", b"a"));
        let (one, mut first_answer) = append(&first);
        let (two, mut second_answer) = append(&second);
        let plan = plan(vec![one, two], &Index::default());
        assert!(matches!(&plan.batch.entries()[0], Entry::Delivery(kept) if *kept == first));
        assert!(matches!(plan.batch.entries()[1], Entry::Repeat { of, .. } if of == first.id()));
        plan.answers.into_iter().for_each(Answer::done);
        let fresh = first_answer.try_recv().unwrap().unwrap();
        assert_eq!(fresh, Receipt::fresh(first.id()));
        let repeat = second_answer.try_recv().unwrap().unwrap();
        assert_eq!(repeat, Receipt::repeat(first.id()));
    }

    #[test]
    fn an_id_is_given_once() {
        let taken = delivery("/m", b"a");
        let mut index = Index::default();
        index.insert(&crate::archive::disk::entry::Facts::of(&taken), a_place());
        let (command, _answer) = append(&delivery("/m", b"b").with_id(taken.id()));
        let plan = plan(vec![command], &index);
        assert!(plan.batch.entries().is_empty());
        assert!(plan.refused[0].1.to_string().contains("archive"));
    }

    #[test]
    fn an_outcome_may_follow_its_delivery_in_the_same_batch() {
        let delivery = delivery("/m", b"a");
        let (append, _answer) = append(&delivery);
        let settle = |id| {
            Command::Settle(
                id,
                Outcome::Failed { attempts: 1, reason: "a\r\nb".into(), due: None },
                oneshot::channel().0,
            )
        };
        let commands = vec![append, settle(delivery.id()), settle(DeliveryId::new())];
        let plan = plan(commands, &Index::default());
        assert_eq!((plan.batch.entries().len(), plan.refused.len()), (2, 1));
        let Entry::Outcome { outcome, .. } = &plan.batch.entries()[1] else { panic!("no outcome") };
        assert_eq!(*outcome, Outcome::failed("a  b"));
    }
}
