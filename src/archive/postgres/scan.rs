//! Pages of the ledger. Each page is a short transaction: a long one would keep the dead rows of all tables.

use std::{ops::RangeInclusive, time::SystemTime};

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{
    error::Failure,
    operations::{Operations, bytes_of, kind_number, model, only, state, uuid, value},
    read::{COLUMNS, Entry},
    session::Params,
};
use crate::{
    archive::{ArchiveError, Archived, EntrySender, LedgerEntry, Query, RemovedEntry},
    delivery::{DeliveryId, InferenceDigest, InferenceId, StateKind, from_nanos, to_nanos},
};

/// The most deliveries of a page, before conditions apply.
const PAGE: usize = 1000;
/// The most bodies, and about the most bytes, that one statement reads.
const BODIES: usize = 64;
const BODY_BYTES: usize = 4 << 20;

/// Where the candidates of a query come from.
#[derive(Clone, Debug)]
enum Source {
    /// All deliveries.
    Ledger,
    /// Pending, leased and failed deliveries.
    Unsettled,
    /// Dead and undecodable deliveries.
    Dead,
    /// These, in append order.
    Ids(Vec<Uuid>),
}

/// Reads the selected entries page by page.
pub(super) struct Pages<'o> {
    operations: &'o Operations,
    query: Query,
    kinds: Vec<StateKind>,
    /// None before the first page.
    source: Option<Source>,
    is_descending: bool,
    /// The number of the last candidate, in the order of append.
    last: Option<i64>,
}

impl<'o> Pages<'o> {
    pub(super) fn new(operations: &'o Operations, query: &Query, kinds: Vec<StateKind>) -> Self {
        let query = query.clone();
        Self { operations, query, kinds, source: None, is_descending: false, last: None }
    }

    /// Reads all entries after this number.
    pub(super) fn after(operations: &'o Operations, number: i64) -> Self {
        let query = Query::all();
        let mut pages = Self::new(operations, &query, kinds(&query));
        (pages.source, pages.last) = (Some(Source::Ledger), Some(number));
        pages
    }

    pub(super) fn latest_first(mut self) -> Self {
        self.is_descending = true;
        self
    }

    /// Returns the next entries; None at the end. A page may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Entry>>, ArchiveError> {
        let mut source = match self.source.take() {
            Some(source) => source,
            None => self.find_source().await?,
        };
        let ids = self.candidates(&mut source).await?;
        self.source = Some(source);
        if ids.is_empty() || self.kinds.is_empty() {
            return Ok(None);
        }
        let rows = self.page(ids).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let entry = Entry::of(row)?;
            let LedgerEntry { id, model, received_at, .. } = &entry.line;
            if self.query.selects_meta(*id, model, *received_at) {
                entries.push(entry);
            }
        }
        Ok(Some(entries))
    }

    async fn find_source(&self) -> Result<Source, ArchiveError> {
        let Operations { sql, pool, .. } = self.operations;
        let schema = &sql.schema;
        if let Some(ids) = self.query.selected_ids() {
            let ids: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
            let find = format!("SELECT seq, id FROM {schema}.ledger WHERE id = ANY ($1)");
            return self.ids(&find, &[(&ids, Type::UUID_ARRAY)]).await;
        }
        if let Some(inference) = self.query.selected_inference() {
            let [first, last] = [0, u8::MAX].map(|rest| with_rest(inference, rest));
            let find = format!(
                "SELECT seq, id FROM {schema}.inferences WHERE inference BETWEEN $1 AND $2 \
                 UNION SELECT seq, id FROM {schema}.work WHERE inference BETWEEN $1 AND $2"
            );
            return self.ids(&find, &[(&first, Type::BYTEA), (&last, Type::BYTEA)]).await;
        }
        let all = |some: &[StateKind]| self.kinds.iter().all(|kind| some.contains(kind));
        if all(&[StateKind::Pending, StateKind::Leased, StateKind::Failed]) {
            return Ok(Source::Unsettled);
        }
        if all(&[StateKind::Dead, StateKind::Undecodable]) {
            // A delivery whose third lease in a row has expired is dead, even if it was not claimed since.
            pool.query(&format!("SELECT {schema}.expire_leases(100)"), &[]).await?;
            return Ok(Source::Dead);
        }
        Ok(Source::Ledger)
    }

    async fn ids(&self, find: &str, params: Params<'_>) -> Result<Source, ArchiveError> {
        let rows = self.operations.pool.query_again(find, params).await?;
        let found = rows.iter().map(|row| Ok((value(row, 0)?, value(row, 1)?)));
        let mut found = found.collect::<Result<Vec<(i64, Uuid)>, Failure>>()?;
        // Taken from the end.
        found.sort_unstable_by_key(|(seq, _)| if self.is_descending { *seq } else { -*seq });
        Ok(Source::Ids(found.into_iter().map(|(_, id)| id).collect()))
    }

    /// Returns the ids of the next deliveries of the source.
    async fn candidates(&mut self, source: &mut Source) -> Result<Vec<Uuid>, ArchiveError> {
        let Operations { sql, pool, .. } = self.operations;
        let schema = &sql.schema;
        let from = match source {
            Source::Ids(ids) => return Ok(ids.split_off(ids.len().saturating_sub(PAGE))),
            Source::Ledger => format!("{schema}.ledger WHERE true"),
            Source::Unsettled => format!("{schema}.work WHERE kind IN (0, 1, 3)"),
            Source::Dead => format!("{schema}.work WHERE kind IN (4, 5)"),
        };
        let (after, order) = if self.is_descending { ("<", "DESC") } else { (">", "ASC") };
        let start = if self.is_descending { i64::MAX } else { i64::MIN };
        let next = format!(
            "SELECT seq, id FROM {from} AND seq {after} $1 ORDER BY seq {order} LIMIT {PAGE}"
        );
        let rows = pool.query_again(&next, &[(&self.last.unwrap_or(start), Type::INT8)]).await?;
        if let Some(last) = rows.last() {
            self.last = Some(value(last, 0)?);
        }
        Ok(rows.iter().map(|row| value(row, 1)).collect::<Result<_, Failure>>()?)
    }

    /// Reads those of the deliveries that match.
    async fn page(&self, ids: Vec<Uuid>) -> Result<Vec<Row>, ArchiveError> {
        let kinds: Vec<i16> = self.kinds.iter().copied().map(kind_number).collect();
        let mut conditions = Conditions::default();
        conditions.value("d.id = ANY ", ids, Type::UUID_ARRAY);
        conditions.value("d.kind = ANY ", kinds, Type::INT2_ARRAY);
        if let Some(model) = self.query.selected_model() {
            conditions.value("d.model = ", model.as_str().to_owned(), Type::TEXT);
        }
        if let Some(since) = self.query.received_since() {
            conditions.value("d.received_ns >= ", to_nanos(since), Type::INT8);
        }
        if let Some(before) = self.query.received_before() {
            conditions.value("d.received_ns < ", to_nanos(before), Type::INT8);
        }
        if let Some(inference) = self.query.selected_inference() {
            conditions.value("d.inference >= ", with_rest(inference, 0), Type::BYTEA);
            conditions.value("d.inference <= ", with_rest(inference, u8::MAX), Type::BYTEA);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM {}.deliveries d WHERE d.has_body AND {} ORDER BY d.seq {}",
            self.operations.sql.schema,
            conditions.texts.join(" AND "),
            if self.is_descending { "DESC" } else { "ASC" },
        );
        let values = conditions.values.iter();
        let params: Vec<_> =
            values.map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect();
        Ok(self.operations.pool.query_again(&sql, &params).await?)
    }
}

/// The first or the last digest that begins with the id of an inference.
fn with_rest(inference: InferenceId, rest: u8) -> Vec<u8> {
    let mut bytes = inference.as_bytes().to_vec();
    bytes.resize(InferenceDigest::LENGTH, rest);
    bytes
}

/// The conditions of a statement, with their values.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<(Box<dyn ToSql + Send + Sync>, Type)>,
}

impl Conditions {
    fn value(&mut self, text: &str, value: impl ToSql + Send + Sync + 'static, kind: Type) {
        self.values.push((Box::new(value), kind));
        self.texts.push(format!("{text}(${})", self.values.len()));
    }
}

/// The kinds that a query selects.
pub(super) fn kinds(query: &Query) -> Vec<StateKind> {
    StateKind::ALL.into_iter().filter(|kind| query.selected_states().selects(*kind)).collect()
}

impl Operations {
    pub(super) async fn latest(
        &self,
        query: &Query,
        most: usize,
    ) -> Result<Vec<LedgerEntry>, ArchiveError> {
        let mut pages = Pages::new(self, query, kinds(query)).latest_first();
        let mut latest = Vec::new();
        while latest.len() < most
            && let Some(entries) = pages.next().await?
        {
            latest.extend(entries.into_iter().map(|entry| entry.line));
        }
        latest.truncate(most);
        Ok(latest)
    }

    pub(super) async fn ledger_between(
        &self,
        ranges: &[RangeInclusive<DeliveryId>],
    ) -> Result<Vec<LedgerEntry>, ArchiveError> {
        let find = format!(
            "SELECT DISTINCT l.seq, l.id FROM unnest($1, $2) AS r (first_id, last_id) \
             JOIN {}.ledger l ON l.id BETWEEN r.first_id AND r.last_id",
            self.sql.schema
        );
        let first: Vec<Uuid> = ranges.iter().map(|range| uuid(*range.start())).collect();
        let last: Vec<Uuid> = ranges.iter().map(|range| uuid(*range.end())).collect();
        let params = [(&first as _, Type::UUID_ARRAY), (&last as _, Type::UUID_ARRAY)];
        let query = Query::all();
        let (mut pages, mut found) = (Pages::new(self, &query, kinds(&query)), Vec::new());
        pages.source = Some(pages.ids(&find, &params).await?);
        while let Some(entries) = pages.next().await? {
            found.extend(entries.into_iter().map(|entry| entry.line));
        }
        Ok(found)
    }

    /// Sends all selected ledger entries.
    pub(super) async fn send_ledger(&self, query: &Query, sender: EntrySender<LedgerEntry>) {
        let sent = self.try_send_ledger(query, &sender).await;
        end(sender, sent).await;
    }

    /// Returns false if the receiver is gone.
    async fn try_send_ledger(
        &self,
        query: &Query,
        sender: &EntrySender<LedgerEntry>,
    ) -> Result<bool, ArchiveError> {
        let mut pages = Pages::new(self, query, kinds(query));
        while let Some(entries) = pages.next().await? {
            for entry in entries {
                if !sender.send(Ok(entry.line)).await {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Sends the ledger entries of final deliveries without a body.
    pub(super) async fn send_removed(&self, sender: EntrySender<RemovedEntry>) {
        let sent = self.try_send_removed(&sender).await;
        end(sender, sent).await;
    }

    /// Returns false if the receiver is gone.
    async fn try_send_removed(
        &self,
        sender: &EntrySender<RemovedEntry>,
    ) -> Result<bool, ArchiveError> {
        let sql = format!(
            "SELECT seq, id, model, received_ns, state, substr(fingerprint, 1, 12) FROM {}.deliveries \
             WHERE seq > $1 AND NOT has_body AND kind IN (2, 4, 6) ORDER BY seq LIMIT {PAGE}",
            self.sql.schema
        );
        let mut last = i64::MIN;
        loop {
            let rows = self.pool.query_again(&sql, &[(&last, Type::INT8)]).await?;
            for row in &rows {
                last = value(row, 0)?;
                let received_at = from_nanos(value(row, 3)?).unwrap_or(SystemTime::UNIX_EPOCH);
                let state = state(value(row, 4)?)?;
                if !state.is_final() {
                    continue;
                }
                let id = bytes_of(value(row, 1)?);
                let entry = LedgerEntry::new(id, model(row, 2)?, received_at, state);
                let prefix: &[u8] = value(row, 5)?;
                let prefix = prefix
                    .try_into()
                    .map_err(|_| Failure::Answer("a fingerprint of another length".to_owned()))?;
                if !sender.send(Ok(RemovedEntry::new(entry, prefix))).await {
                    return Ok(false);
                }
            }
            if rows.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Sends all selected deliveries.
    pub(super) async fn send_deliveries(&self, query: &Query, sender: EntrySender<Archived>) {
        let sent = self.try_send_deliveries(query, &sender).await;
        end(sender, sent).await;
    }

    /// Returns false if the receiver is gone.
    async fn try_send_deliveries(
        &self,
        query: &Query,
        sender: &EntrySender<Archived>,
    ) -> Result<bool, ArchiveError> {
        let mut pages = Pages::new(self, query, kinds(query));
        while let Some(entries) = pages.next().await? {
            for part in parts(entries) {
                for archived in self.with_bodies(part).await? {
                    if !sender.send(archived).await {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Calls `retry` or `remove` for all selected deliveries, page by page. The database checks states again, under a
    /// lock.
    pub(super) async fn change(
        &self,
        sql: &str,
        query: &Query,
        kinds: Vec<StateKind>,
    ) -> Result<u64, ArchiveError> {
        let numbers: Vec<i16> = kinds.iter().copied().map(kind_number).collect();
        let inference = query.selected_inference().map(|inference| inference.as_bytes().to_vec());
        let mut pages = Pages::new(self, query, kinds);
        let mut changed = 0;
        while let Some(entries) = pages.next().await? {
            let ids: Vec<Uuid> = entries.iter().map(|entry| uuid(entry.line.id)).collect();
            if ids.is_empty() {
                continue;
            }
            let params = [
                (&ids as _, Type::UUID_ARRAY),
                (&numbers as _, Type::INT2_ARRAY),
                (&inference as _, Type::BYTEA),
            ];
            let rows = self.pool.query_durably(sql, &params).await?;
            let number: i64 = only(&rows)?;
            changed += number.max(0).unsigned_abs();
        }
        Ok(changed)
    }
}

/// Ends a stream. Without `finish` it ends as incomplete.
async fn end<T>(sender: EntrySender<T>, sent: Result<bool, ArchiveError>) {
    match sent {
        Ok(true) => sender.finish(),
        Ok(false) => {}
        Err(error) => drop(sender.send(Err(error)).await),
    }
}

/// Splits entries into parts whose bodies are read by one statement.
fn parts(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut parts: Vec<Vec<Entry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.length;
        match parts.last_mut() {
            Some(part) if part.len() < BODIES && bytes <= BODY_BYTES => part.push(entry),
            _ => {
                bytes = entry.length;
                parts.push(vec![entry]);
            }
        }
    }
    parts
}
