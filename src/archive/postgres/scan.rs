//! Pages of the ledger. Each page is a short transaction: a long one would keep the dead rows of all tables.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::{
    error::Failure,
    operations::{Operations, kind_number, nanos, uuid, value},
    read::{COLUMNS, Entry},
};
use crate::{
    archive::{ArchiveError, Archived, EntrySender, LedgerEntry, Query},
    delivery::{InferenceId, StateKind},
};

/// The most entries of a page.
const PAGE: i64 = 500;
/// The most ledger rows that the statement for one page visits.
const WINDOW: i64 = 20_000;
/// The most bodies, and about the most bytes, that one statement reads.
const BODIES: usize = 64;
const BODY_BYTES: usize = 4 << 20;

/// The table that determines the order, and has few rows besides those selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Ledger,
    /// Pending, leased and failed deliveries.
    Unsettled,
    /// Dead and undecodable deliveries.
    Dead,
}

/// Reads the selected entries page by page.
pub(super) struct Pages<'o> {
    operations: &'o Operations,
    query: Query,
    kinds: Vec<StateKind>,
    source: Source,
    is_descending: bool,
    /// The first and last number that are still to be read; None before the first page.
    left: Option<(i64, i64)>,
}

impl<'o> Pages<'o> {
    pub(super) fn new(operations: &'o Operations, query: &Query, kinds: Vec<StateKind>) -> Self {
        let all = |some: &[StateKind]| kinds.iter().all(|kind| some.contains(kind));
        let source = if all(&[StateKind::Pending, StateKind::Leased, StateKind::Failed]) {
            Source::Unsettled
        } else if all(&[StateKind::Dead, StateKind::Undecodable]) {
            Source::Dead
        } else {
            Source::Ledger
        };
        let query = query.clone();
        Self { operations, query, kinds, source, is_descending: false, left: None }
    }

    pub(super) fn latest_first(mut self) -> Self {
        self.is_descending = true;
        self
    }

    /// Returns the next entries; None at the end. A page may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Entry>>, ArchiveError> {
        let (first, last) = match self.left {
            Some(left) => left,
            None => self.range().await?,
        };
        if first > last || self.kinds.is_empty() {
            return Ok(None);
        }
        let (from, to) = match (self.source, self.is_descending) {
            (Source::Ledger, false) => (first, last.min(first.saturating_add(WINDOW - 1))),
            (Source::Ledger, true) => (first.max(last.saturating_sub(WINDOW - 1)), last),
            _ => (first, last),
        };
        let rows = self.page(from, to).await?;
        let end = rows.last().map(|row| value::<i64>(row, 0)).transpose()?;
        let end = end.filter(|_| i64::try_from(rows.len()).is_ok_and(|rows| rows >= PAGE));
        self.left = Some(if self.is_descending {
            (first, end.unwrap_or(from) - 1)
        } else {
            (end.unwrap_or(to) + 1, last)
        });
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

    /// The numbers that the source has now.
    async fn range(&self) -> Result<(i64, i64), ArchiveError> {
        let Operations { sql, pool, .. } = self.operations;
        let schema = &sql.schema;
        if self.source == Source::Dead {
            // A delivery whose third lease in a row has expired is dead, even if nobody has claimed it since.
            pool.query(&format!("SELECT {schema}.expire_leases(100)"), &[]).await?;
        }
        let from = match self.source {
            Source::Ledger => format!("{schema}.ledger"),
            Source::Unsettled => format!("{schema}.work WHERE kind IN (0, 1, 3)"),
            Source::Dead => format!("{schema}.work WHERE kind IN (4, 5)"),
        };
        let range = format!("SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM {from}");
        let rows = pool.query_again(&range, &[]).await?;
        let row = rows.first().ok_or_else(|| Failure::Answer("no row".to_owned()))?;
        Ok((value(row, 0)?, value(row, 1)?))
    }

    async fn page(&self, from: i64, to: i64) -> Result<Vec<tokio_postgres::Row>, ArchiveError> {
        let schema = &self.operations.sql.schema;
        let kinds: Vec<i16> = self.kinds.iter().copied().map(kind_number).collect();
        let mut conditions = Conditions::default();
        let (table, number) = match self.source {
            Source::Ledger => (format!("{schema}.deliveries d"), "d.seq"),
            source => {
                let kinds = if source == Source::Dead { "4, 5" } else { "0, 1, 3" };
                conditions.text(format!("u.kind IN ({kinds})"));
                (format!("{schema}.work u JOIN {schema}.deliveries d ON d.id = u.id"), "u.seq")
            }
        };
        conditions.text("d.has_body".to_owned());
        conditions.value(&format!("{number} >= "), from, Type::INT8);
        conditions.value(&format!("{number} <= "), to, Type::INT8);
        if self.kinds.len() < StateKind::ALL.len() {
            conditions.value("d.kind = ANY ", kinds, Type::INT2_ARRAY);
        }
        if let Some(ids) = self.query.selected_ids() {
            let ids: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
            conditions.value("d.id = ANY ", ids, Type::UUID_ARRAY);
        }
        if let Some(model) = self.query.selected_model() {
            conditions.value("d.model = ", model.as_str().to_owned(), Type::TEXT);
        }
        if let Some(since) = self.query.received_since() {
            conditions.value("d.received_ns >= ", nanos(since), Type::INT8);
        }
        if let Some(before) = self.query.received_before() {
            conditions.value("d.received_ns < ", nanos(before), Type::INT8);
        }
        if let Some(inference) = self.query.selected_inference() {
            conditions.inference(schema, inference);
        }
        let order = if self.is_descending { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {COLUMNS} FROM {table} WHERE {} ORDER BY {number} {order} LIMIT {PAGE}",
            conditions.texts.join(" AND ")
        );
        let values = conditions.values.iter();
        let params: Vec<_> =
            values.map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect();
        Ok(self.operations.pool.query_again(&sql, &params).await?)
    }
}

/// The conditions of a statement, with their values.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<(Box<dyn ToSql + Send + Sync>, Type)>,
}

impl Conditions {
    fn text(&mut self, text: String) {
        self.texts.push(text);
    }

    fn place(&mut self, value: impl ToSql + Send + Sync + 'static, kind: Type) -> usize {
        self.values.push((Box::new(value), kind));
        self.values.len()
    }

    fn value(&mut self, text: &str, value: impl ToSql + Send + Sync + 'static, kind: Type) {
        let place = self.place(value, kind);
        self.text(format!("{text}(${place})"));
    }

    /// Every digest that begins with the id of the inference.
    fn inference(&mut self, schema: &str, inference: InferenceId) {
        let digest = |rest: u8| {
            let mut bytes = inference.as_bytes().to_vec();
            bytes.resize(24, rest);
            bytes
        };
        let first = self.place(digest(0), Type::BYTEA);
        let last = self.place(digest(u8::MAX), Type::BYTEA);
        let range = format!("inference BETWEEN ${first} AND ${last}");
        self.text(format!("d.{range}"));
        self.text(format!(
            "d.id IN (SELECT id FROM {schema}.inferences WHERE {range} \
             UNION ALL SELECT id FROM {schema}.work WHERE {range})"
        ));
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

    /// Sends all selected ledger entries.
    pub(super) async fn send_ledger(&self, query: &Query, sender: EntrySender<LedgerEntry>) {
        let mut pages = Pages::new(self, query, kinds(query));
        loop {
            let entries = match pages.next().await {
                Ok(Some(entries)) => entries,
                Ok(None) => return sender.finish(),
                Err(error) => return interrupted(&sender, error).await,
            };
            for entry in entries {
                if !sender.send(Ok(entry.line)).await {
                    return;
                }
            }
        }
    }

    /// Sends all selected deliveries.
    pub(super) async fn send_deliveries(&self, query: &Query, sender: EntrySender<Archived>) {
        let mut pages = Pages::new(self, query, kinds(query));
        loop {
            let entries = match pages.next().await {
                Ok(Some(entries)) => entries,
                Ok(None) => return sender.finish(),
                Err(error) => return interrupted(&sender, error).await,
            };
            for part in parts(entries) {
                let found = match self.with_bodies(part).await {
                    Ok(found) => found,
                    Err(error) => return interrupted(&sender, error).await,
                };
                for archived in found {
                    if !sender.send(archived).await {
                        return;
                    }
                }
            }
        }
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
            let number: i64 = super::operations::only(&rows)?;
            changed += number.max(0).unsigned_abs();
        }
        Ok(changed)
    }
}

/// Sends the error. Without `finish` the stream ends as incomplete.
async fn interrupted<T>(sender: &EntrySender<T>, error: ArchiveError) {
    sender.send(Err(error)).await;
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
