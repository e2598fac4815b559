use crate::archive::disk::format::{
    entry::Entry,
    warc::{Encoded, Salt, encode},
};

/// Entries that are written and synced together. Some are already encoded.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Batch {
    entries: Vec<Entry>,
    records: Vec<Encoded>,
    /// The salt of the segment that `records` is encoded for.
    salt: Option<Salt>,
}

impl Batch {
    pub(in crate::archive::disk) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(in crate::archive::disk) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(in crate::archive::disk) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Returns the records of all entries for a segment with this salt. Reuses records that are already encoded for it.
    pub(in crate::archive::disk) fn records(&mut self, salt: Salt) -> &[Encoded] {
        if self.salt.replace(salt) != Some(salt) {
            self.records.clear();
        }
        let rest = self.entries.iter().skip(self.records.len());
        self.records.extend(rest.map(|entry| encode(entry, salt)));
        &self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::tests::{bytes, delivery};

    #[test]
    fn what_was_encoded_ahead_is_what_is_written_unless_it_was_for_another_segment() {
        let entries = ["a", "b"].map(|body| Entry::Delivery {
            delivery: delivery("/m", body.as_bytes()),
            leased: false,
        });
        let encoded = |salt| bytes(&entries.clone().map(|entry| encode(&entry, salt)));
        let (one, other) = (Salt::random(), Salt::random());
        let mut batch = Batch::default();
        for entry in entries.clone() {
            batch.push(entry);
            batch.records(one);
        }
        assert_eq!(bytes(batch.records(one)), encoded(one));
        assert_eq!(bytes(batch.records(other)), encoded(other));
    }
}
