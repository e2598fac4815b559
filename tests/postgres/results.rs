//! Compares the logs of nodes with the archive: acknowledged deliveries are archived byte for byte, each fingerprint
//! has one fresh receipt, runs of an inference overlap only after a lost lease, and everything settles.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    time::Duration,
};

use tower_inbox::{
    Archive, Outcome,
    archive::{PostgresArchive, Query},
    delivery::{DeliveryId, State, StateKind},
};

use super::{
    node::{LEASE, Node, body_of, claim, key_of, model},
    support::{Server, eventually},
};

/// The status with which the test itself settles what the nodes left unsettled.
const LAST: u16 = 299;

/// One run of a handler, with times in microseconds.
struct Run {
    inference: String,
    /// When its lease was requested.
    asked: i64,
    began: i64,
    /// None if the node was killed.
    ended: Option<i64>,
}

impl Run {
    fn overlaps(&self, later: &Self) -> bool {
        self.ended.is_none_or(|ended| later.began < ended)
    }

    /// Returns true if the lease of this run may have expired at this time. Leases are not renewed.
    fn may_have_lost_its_lease(&self, at: i64) -> bool {
        at >= self.asked + i64::try_from(LEASE.as_micros()).unwrap()
    }
}

/// The logs of all nodes.
#[derive(Default)]
pub(crate) struct Results {
    sent: HashMap<u64, usize>,
    fresh: HashMap<u64, usize>,
    ids: HashMap<u64, Vec<String>>,
    processed: HashMap<String, HashSet<u16>>,
    damaged: Vec<String>,
    runs: HashMap<String, Run>,
}

impl Results {
    pub(crate) fn read(nodes: &[Node]) -> Self {
        let mut results = Self::default();
        for node in nodes {
            for line in std::fs::read_to_string(&node.log).unwrap_or_default().lines() {
                results.add(&line.split(' ').collect::<Vec<_>>());
            }
        }
        results
    }

    fn add(&mut self, line: &[&str]) {
        let key = || line[1].parse::<u64>().unwrap();
        let micros = |place: usize| line[place].parse::<i64>().unwrap();
        match line[0] {
            "sent" => *self.sent.entry(key()).or_default() += 1,
            "fresh" | "repeat" => {
                *self.fresh.entry(key()).or_default() += usize::from(line[0] == "fresh");
                self.ids.entry(key()).or_default().push(line[2].to_owned());
            }
            "began" => {
                let (inference, asked) = (line[2].to_owned(), micros(3));
                let run = Run { inference, asked, began: micros(4), ended: None };
                let twice = self.runs.insert(line[1].to_owned(), run);
                assert!(twice.is_none(), "lease {} was used twice", line[1]);
            }
            "ended" => self.runs.get_mut(line[1]).unwrap().ended = Some(micros(2)),
            "processed" => {
                let statuses = self.processed.entry(line[1].to_owned()).or_default();
                statuses.insert(line[2].parse().unwrap());
            }
            _ => self.damaged.push(line[1].to_owned()),
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn processed(&self) -> usize {
        self.processed.len()
    }

    /// Kills the nodes, settles what they left unsettled, and checks everything. Prints what there was.
    pub(crate) async fn check(
        nodes: &mut [Node],
        server: &Server,
        archive: &PostgresArchive,
        title: &str,
    ) -> Self {
        nodes.iter_mut().for_each(Node::kill);
        wait_for_statements(server).await;
        let poisoned = settle_rest(archive).await;
        let results = Self::read(nodes);
        results.check_receipts();
        let overlaps = results.check_runs();
        results.check_archive(archive).await;
        let line = format!(
            "{title}: {} deliveries acknowledged, {} receipts, {} settled by nodes, {} runs, {overlaps} of them \
             overlapped after a lost lease, {poisoned} poisoned\n",
            results.acknowledged(),
            results.ids.values().map(Vec::len).sum::<usize>(),
            results.processed(),
            results.runs.len(),
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        results
    }

    fn check_receipts(&self) {
        assert!(self.damaged.is_empty(), "handlers got other bytes: {:?}", self.damaged);
        for (key, ids) in &self.ids {
            assert!(ids.iter().all(|id| *id == ids[0]), "{key} has several ids: {ids:?}");
            let fresh = self.fresh[key];
            // The receipt of a node that was killed may be lost.
            let lost = self.sent[key] - ids.len();
            assert!(fresh == 1 || (fresh == 0 && lost > 0), "{key}: {fresh} fresh, {lost} lost");
        }
    }

    /// Returns the number of runs that overlapped an earlier one of the same inference.
    fn check_runs(&self) -> usize {
        let mut runs: Vec<_> = self.runs.iter().collect();
        runs.sort_by_key(|(_, run)| (&run.inference, run.began));
        let mut overlaps = 0;
        for (place, (token, run)) in runs.iter().enumerate() {
            let same = |later: &&(&String, &Run)| later.1.inference == run.inference;
            for (other, later) in runs[place + 1..].iter().take_while(same) {
                if run.overlaps(later) {
                    overlaps += 1;
                    let lost = run.may_have_lost_its_lease(later.began)
                        || later.may_have_lost_its_lease(run.began);
                    assert!(lost, "{token} and {other} ran {} at the same time", run.inference);
                }
            }
        }
        overlaps
    }

    async fn check_archive(&self, archive: &PostgresArchive) {
        let mut kept: HashMap<u64, (DeliveryId, State)> = HashMap::new();
        let mut entries = archive.scan(Query::all());
        while let Some(archived) = entries.next().await.transpose().unwrap() {
            let (id, body) = (archived.delivery.id(), archived.delivery.body());
            let key = key_of(body);
            assert_eq!(body, &body_of(key), "the bytes of {key}");
            assert!(archived.state.is_settled(), "{key}: {}", archived.state);
            let twice = kept.insert(key, (id, archived.state));
            assert!(twice.is_none(), "{key} is archived twice");
        }
        for (key, ids) in &self.ids {
            let (id, state) = kept.get(key).unwrap_or_else(|| panic!("{key} is lost"));
            assert_eq!(ids[0], id.to_string(), "{key}");
            let Some(statuses) = self.processed.get(&ids[0]) else { continue };
            let expected: Vec<_> = statuses.iter().map(|s| Outcome::processed(*s)).collect();
            let outcome: Vec<_> = state.outcome().cloned().into_iter().collect();
            assert_eq!(outcome, expected, "{key}: each confirmed outcome is the final one");
        }
    }
}

/// Waits until the nodes have acknowledged `more` deliveries that they had not acknowledged before.
pub(crate) async fn load(nodes: &[Node], more: usize) {
    let before = Results::read(nodes).acknowledged();
    eventually("the nodes acknowledge deliveries", async || {
        Results::read(nodes).acknowledged() >= before + more
    })
    .await;
}

/// Waits until the statements of the killed nodes have ended.
async fn wait_for_statements(server: &Server) {
    let client = server.client().await;
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()";
    eventually("no statement is running", async || {
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}

/// Settles what the nodes left unsettled. Returns the number of poisoned deliveries.
async fn settle_rest(archive: &PostgresArchive) -> u64 {
    eventually("everything is settled", async || {
        while let Ok(claimed) = archive.claim(claim(64).suspects(64)).await {
            if claimed.leases.is_empty() {
                break;
            }
            for (_, lease) in claimed.leases {
                archive.settle(lease, Outcome::processed(LAST), Duration::ZERO).await.unwrap();
            }
        }
        archive.counts().await.is_ok_and(|counts| counts.unsettled(&model()) == 0)
    })
    .await;
    archive.counts().await.unwrap().of_all(StateKind::Dead)
}
