//! A registry of client keys in the store that replicas share.
//!
//! Records stand in shards, so that no value grows beyond what the store's client takes; a mark tells replicas that a
//! shard has changed. Each shard is replaced only by whoever has seen what it holds.

use std::time::Duration;

use futures::future::join_all;

use super::issued_key::IssuedKey;
use super::key_file::{lines, parse};
use super::registry::KeyRegistryError;
use crate::store::{SharedStore, StoreUnavailable};

/// Shards of the registry.
const SHARDS: u64 = 256;

/// The largest shard, in bytes; the client of the store takes answers up to 64 KiB.
const MAX_SHARD: usize = 56 << 10;

/// Replacements that are tried while others change the same shard.
const TRIES: usize = 16;

/// A key stays until it is taken out: the store keeps no value without an end.
const KEEP: Duration = Duration::from_hours(24 * 365 * 50);

/// The key of the mark that changes with every change.
const MARK: &str = "client-keys:mark";

/// Returns the mark of what the store holds.
pub(super) async fn mark(store: &SharedStore) -> Result<Option<Vec<u8>>, StoreUnavailable> {
    store.get(MARK).await
}

/// Reads every record.
///
/// # Errors
/// When the store does not answer, or holds something that is no record.
pub(super) async fn read(store: &SharedStore) -> Result<Vec<IssuedKey>, KeyRegistryError> {
    let shards = join_all((0..SHARDS).map(|shard| async move { store.get(&key_of(shard)).await })).await;
    let mut records = Vec::new();
    for shard in shards {
        records.extend(records_of(shard?.as_deref())?);
    }
    Ok(records)
}

/// Changes the shard of the key `id`.
///
/// # Errors
/// When the store does not answer, the shard is full, others change it all the time, or `change` refuses.
pub(super) async fn change<T>(
    store: &SharedStore,
    id: &str,
    change: impl Fn(&mut Vec<IssuedKey>) -> Result<T, KeyRegistryError>,
) -> Result<T, KeyRegistryError> {
    let shard = key_of(shard_of(id));
    for _ in 0..TRIES {
        let before = store.get(&shard).await?;
        let mut records = records_of(before.as_deref())?;
        let changed = change(&mut records)?;
        let text = lines(&records).into_bytes();
        if text.len() > MAX_SHARD {
            return Err(KeyRegistryError::Full);
        }
        if store.replace(&shard, before, text, KEEP).await? {
            note_change(store).await?;
            return Ok(changed);
        }
    }
    Err(KeyRegistryError::Busy)
}

/// Tells other replicas that something has changed.
async fn note_change(store: &SharedStore) -> Result<(), StoreUnavailable> {
    for _ in 0..TRIES {
        let before = store.get(MARK).await?;
        let count = before.as_deref().and_then(|mark| std::str::from_utf8(mark).ok()?.parse::<u64>().ok());
        let next = count.unwrap_or_default().wrapping_add(1).to_string().into_bytes();
        if store.replace(MARK, before, next, KEEP).await? {
            break;
        }
        // Somebody else has changed the mark, perhaps before this change: it is changed once more.
    }
    Ok(())
}

fn records_of(shard: Option<&[u8]>) -> Result<Vec<IssuedKey>, KeyRegistryError> {
    parse(std::str::from_utf8(shard.unwrap_or_default()).map_err(|_| KeyRegistryError::BadRecord { line: 1 })?)
}

fn key_of(shard: u64) -> String {
    format!("client-keys:{shard:02x}")
}

/// Returns the shard of a key's id, whose last digits are random.
fn shard_of(id: &str) -> u64 {
    let digits = id.len().checked_sub(2).and_then(|start| id.get(start..)).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default() % SHARDS
}
