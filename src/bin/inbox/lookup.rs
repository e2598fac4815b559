//! Finds deliveries by the provider's id of their inference.

use std::collections::BTreeSet;

use tower_inbox::{
    ModelName,
    archive::{Archive, ArchiveError, DiskArchive, LedgerEntry, Query},
    delivery::InferenceId,
};

/// The deliveries that `query` selects and that were processed, dead or failed as the inference `key`, oldest first.
///
/// `key` is the text of an `InferenceKey`, of which the version is ignored, or the 24 hexadecimal digits of an
/// `InferenceId`. Of a query without a model, the key is tried for every model.
pub(crate) async fn find(
    archive: &DiskArchive,
    query: &Query,
    key: &str,
) -> Result<Vec<LedgerEntry>, ArchiveError> {
    let models: Vec<_> = match query.selected_model() {
        Some(model) => vec![model.clone()],
        None => archive.counts().await?.models().cloned().collect(),
    };
    let mut found = Vec::new();
    for inference in inferences(&models, key) {
        let mut entries = archive.ledger(query.clone().inference(inference));
        while let Some(entry) = entries.next().await {
            found.push(entry?);
        }
    }
    found.sort_by_key(|entry| (entry.received_at, entry.id));
    Ok(found)
}

fn inferences(models: &[ModelName], key: &str) -> BTreeSet<InferenceId> {
    let plain = without_version(key);
    let of_models = models.iter().map(|model| InferenceId::of(model, &plain));
    of_models.chain(key.parse()).collect()
}

/// The separators are percent-encoded within the parts of a key.
fn without_version(key: &str) -> String {
    let (id, scope) = key.split_at(key.find('?').unwrap_or(key.len()));
    let id = id.split_once('@').map_or(id, |(id, _)| id);
    format!("{id}{scope}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_a_key_is_ignored_and_its_scope_is_not() {
        for (key, wanted) in [
            ("inv_1", "inv_1"),
            ("inv_1@2", "inv_1"),
            ("inv_1@2?account=a@b", "inv_1?account=a@b"),
            ("inv_1?account=a@b", "inv_1?account=a@b"),
            ("a%40b@2", "a%40b"),
        ] {
            assert_eq!(without_version(key), wanted, "{key}");
        }
    }
}
