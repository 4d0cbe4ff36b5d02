//! The registry of client keys that are made, rotated and revoked while Pointsman runs, in a file or in the store.
//!
//! Requests look keys up in a table of this process, which follows the file or the store; they never wait for either.
//! A registry that cannot be read leaves the keys as they were: who has a key keeps it, and nothing that was revoked
//! comes back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use pointsman_core::config::{ClientKeysConfig, KeyHash, Name, UtcMoment};
use pointsman_telemetry::Metrics;
use tokio::sync::Mutex;

use super::issued_key::{IssuedKey, KeyStanding, MAX_FORMER, MAX_NOTE, NewKey, PlainKey, seconds};
use super::key_changes::{self, KeyChange};
use super::key_file::{FileStamp, KeyFile};
use super::key_table::KeyTable;
use super::stored_keys;
use crate::store::{SharedStore, StoreUnavailable};

/// The time after which a registry in the store is read although its mark has not changed: whoever changed a shard may
/// have died before it changed the mark.
const FULL_READ: Duration = Duration::from_secs(60);

/// The registry of the client keys that are made at run time.
#[derive(Debug)]
pub(crate) struct ClientKeyRegistry {
    place: KeyPlace,
    table: ArcSwap<KeyTable>,
    /// The mark of what the table was read from.
    seen: ArcSwapOption<SeenMark>,
    /// Held by whoever reads it, so that nobody puts an older table in the place of a newer one.
    reading: Mutex<()>,
    /// The second of the last look.
    looked: AtomicU64,
    /// Tells whether it was tried to write it.
    has_tried: AtomicBool,
    /// The second in which all of it was last read.
    read: AtomicU64,
    metrics: Arc<Metrics>,
}

/// The place that a registry is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KeyPlace {
    File(KeyFile),
    Store { refresh: Duration },
}

/// The mark of what a table was read from.
#[derive(Debug, PartialEq, Eq)]
enum SeenMark {
    File(Option<FileStamp>),
    Store(Option<Vec<u8>>),
}

/// The reason why a registry cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRegistryError {
    /// The file cannot be read.
    #[error("cannot read the registry of client keys: {message}")]
    Unreadable { message: String },
    /// The file cannot be written.
    #[error("cannot write the registry of client keys")]
    Unwritable { source: std::io::Error },
    /// A line of the file, or of a shard in the store, is no record.
    #[error("line {line} is no record of a client key")]
    BadRecord { line: usize },
    /// Somebody else changes the registry for too long.
    #[error("the registry of client keys is being changed by others")]
    Busy,
    /// There is no room for more keys.
    #[error(
        "the registry of client keys has no room for more keys (allowed: 64 MiB in a `file`, a quarter in the store)"
    )]
    Full,
    /// The store does not answer, or is not configured.
    #[error("the store does not answer")]
    Store(#[from] StoreUnavailable),
    /// There is no such key.
    #[error("there is no key `{id}`")]
    UnknownKey { id: String },
    /// A key that was revoked or has expired stays so.
    #[error("the key `{id}` is {} (allowed: a key that is good)", standing.as_str())]
    NotActive { id: Name, standing: KeyStanding },
    /// Former keys are good still, as many as may be.
    #[error(
        "the key `{id}` has {MAX_FORMER} former keys that are good still, the first of them until {} (allowed: at most \
         {MAX_FORMER}; wait, or rotate with a grace of 0, which ends all of them)",
        shown(*until)
    )]
    TooManyFormer { id: Name, until: UtcMoment },
    /// The order is not one for a key.
    #[error("{message}")]
    BadOrder { message: String },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

impl ClientKeyRegistry {
    /// Opens what `section` describes: a file is read at once, the store with the first [`Self::follow`]. `before` is
    /// taken over where it is the same.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub(crate) fn open(
        section: &ClientKeysConfig,
        base_dir: &Path,
        before: Option<&Arc<Self>>,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<Self>, KeyRegistryError> {
        let place = match section {
            ClientKeysConfig::File(path) => KeyPlace::File(KeyFile::at(base_dir.join(path))),
            ClientKeysConfig::Store(stored) => KeyPlace::Store { refresh: stored.refresh.0 },
        };
        if let Some(same) = before.filter(|before| before.place == place) {
            return Ok(Arc::clone(same));
        }
        let (table, seen) = match &place {
            KeyPlace::File(file) => {
                let stamp = file.stamp();
                (KeyTable::of(file.read()?), Some(Arc::new(SeenMark::File(stamp))))
            }
            KeyPlace::Store { .. } => (KeyTable::default(), None),
        };
        let (table, seen) = (ArcSwap::from_pointee(table), ArcSwapOption::new(seen));
        Ok(Arc::new(Self {
            place,
            table,
            seen,
            reading: Mutex::default(),
            looked: AtomicU64::new(0),
            has_tried: AtomicBool::new(false),
            read: AtomicU64::new(0),
            metrics: Arc::clone(metrics),
        }))
    }

    /// Returns whose key has this hash, and the number that tells the key apart, if it is good now.
    pub(super) fn identify(&self, hash: &KeyHash) -> Option<(Name, u64)> {
        self.table.load().identify(hash, seconds())
    }

    /// Returns every key, the oldest first.
    #[must_use]
    pub(crate) fn keys(&self) -> Vec<IssuedKey> {
        self.table.load().records.clone()
    }

    /// Looks whether somebody else has changed the registry, if it is time, and takes the change over.
    pub(crate) async fn follow(&self, store: Option<&SharedStore>) {
        let now = seconds();
        if let KeyPlace::Store { refresh } = self.place
            && now.saturating_sub(self.looked.load(Ordering::Relaxed)) < refresh.as_secs()
        {
            return;
        }
        self.looked.store(now, Ordering::Relaxed);
        self.warn_if_unwritable();
        let _reading = self.reading.lock().await;
        match self.read_changes(store).await {
            Ok(changes) => key_changes::write_down(changes),
            Err(error) => {
                self.metrics.client_keys_unread();
                tracing::warn!(%error, "The registry of client keys cannot be read, so that the keys stay as they were");
            }
        }
        self.show(now);
    }

    /// Reads the registry where its mark has changed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn read_again(&self, store: Option<&SharedStore>) -> Result<(), KeyRegistryError> {
        let _reading = self.reading.lock().await;
        self.read_changes(store).await.map(drop)
    }

    /// Reads the registry where its mark has changed, and returns what was changed since it was last read. Whoever calls
    /// holds `reading`.
    async fn read_changes(&self, store: Option<&SharedStore>) -> Result<Vec<KeyChange>, KeyRegistryError> {
        let mark = match &self.place {
            KeyPlace::File(file) => SeenMark::File(file.stamp()),
            KeyPlace::Store { .. } => SeenMark::Store(stored_keys::mark(known(store)?).await?),
        };
        let now = seconds();
        let is_fresh = now.saturating_sub(self.read.load(Ordering::Relaxed)) < FULL_READ.as_secs();
        let seen = self.seen.load_full();
        if seen.as_deref() == Some(&mark) && (is_fresh || !self.is_in_store()) {
            return Ok(Vec::new());
        }
        let records = match &self.place {
            KeyPlace::File(file) => file.read()?,
            KeyPlace::Store { .. } => stored_keys::read(known(store)?).await?,
        };
        // Keys are revoked, never taken out: a registry that is empty all at once was lost, and is not believed.
        let before = self.table.load_full();
        if records.is_empty() && !before.records.is_empty() {
            return Err(KeyRegistryError::Unreadable { message: "it is empty, and held keys before".to_owned() });
        }
        // What is read for the first time has not changed.
        let changes = if seen.is_some() { key_changes::between(&before.records, &records) } else { Vec::new() };
        self.table.store(Arc::new(KeyTable::of(records)));
        self.seen.store(Some(Arc::new(mark)));
        self.read.store(now, Ordering::Relaxed);
        Ok(changes)
    }

    /// Tries whether keys could be made here: whether the file can be replaced that it is kept in.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) fn try_writing(&self) -> Result<(), KeyRegistryError> {
        match &self.place {
            KeyPlace::File(file) => file.try_writing(),
            KeyPlace::Store { .. } => Ok(()),
        }
    }

    /// Warns once of a registry that is only read: whoever serves would hear of it from nobody before a key is made.
    fn warn_if_unwritable(&self) {
        if self.has_tried.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.try_writing() {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(error = %source, "The registry of client keys cannot be written: no key can be made, rotated or revoked here");
        }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When the order is not one for a key, or the registry cannot be changed.
    pub(crate) async fn create(
        &self,
        order: NewKey,
        store: Option<&SharedStore>,
    ) -> Result<(IssuedKey, PlainKey), KeyRegistryError> {
        let now = seconds();
        if order.note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE || note.contains(char::is_control)) {
            let message = format!("a note has at most {MAX_NOTE} characters on one line");
            return Err(KeyRegistryError::BadOrder { message });
        }
        if order.expires.is_some_and(|expires| expires.0 <= now) {
            return Err(KeyRegistryError::BadOrder { message: "`expires` is over already".to_owned() });
        }
        let (key, plain) = IssuedKey::make(order, now).ok_or(KeyRegistryError::NoRandomness)?;
        let added = key.clone();
        let add = move |records: &mut Vec<IssuedKey>| {
            records.push(added.clone());
            Ok(())
        };
        self.change(&key.id, store, add).await?;
        Ok((key, plain))
    }

    /// Replaces a key by a new one, which has its id; the former stays good for `grace`.
    ///
    /// # Errors
    /// When there is no such key, it is not good, too many former ones are, or the registry cannot be changed.
    pub(crate) async fn rotate(
        &self,
        id: &str,
        grace: Duration,
        store: Option<&SharedStore>,
    ) -> Result<(IssuedKey, PlainKey), KeyRegistryError> {
        let rotated = move |records: &mut Vec<IssuedKey>| {
            let (key, now) = (find(records, id)?, seconds());
            match key.standing(now) {
                KeyStanding::Active => {}
                standing => return Err(KeyRegistryError::NotActive { id: key.id.clone(), standing }),
            }
            let plain = key.rotate(grace, now)?;
            Ok((key.clone(), plain))
        };
        self.change(id, store, rotated).await
    }

    /// Ends a key now. A second time changes nothing.
    ///
    /// # Errors
    /// When there is no such key, or the registry cannot be changed.
    pub(crate) async fn revoke(&self, id: &str, store: Option<&SharedStore>) -> Result<IssuedKey, KeyRegistryError> {
        let revoked = move |records: &mut Vec<IssuedKey>| {
            let key = find(records, id)?;
            key.revoke(seconds());
            Ok(key.clone())
        };
        self.change(id, store, revoked).await
    }

    /// Changes the registry, and takes the change over at once. Waits for a file, so never on a request's thread.
    async fn change<T>(
        &self,
        id: &str,
        store: Option<&SharedStore>,
        change: impl Fn(&mut Vec<IssuedKey>) -> Result<T, KeyRegistryError>,
    ) -> Result<T, KeyRegistryError> {
        // Until the change is taken over: nobody takes it for somebody else's.
        let _reading = self.reading.lock().await;
        let changed = match &self.place {
            KeyPlace::File(file) => file.change(change)?.0,
            KeyPlace::Store { .. } => stored_keys::change(known(store)?, id, change).await?,
        };
        let changes = self.read_changes(store).await?;
        key_changes::write_down(changes.into_iter().filter(|change| *change.id != *id));
        self.show(seconds());
        Ok(changed)
    }

    fn show(&self, now: u64) {
        let table = self.table.load();
        for standing in KeyStanding::ALL {
            self.metrics.client_keys(standing.as_str(), table.count(standing, now));
        }
    }

    /// Returns whether replicas share the registry.
    #[must_use]
    pub(crate) fn is_in_store(&self) -> bool {
        matches!(self.place, KeyPlace::Store { .. })
    }
}

fn shown(moment: UtcMoment) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(moment.0))
}

fn known(store: Option<&SharedStore>) -> Result<&SharedStore, StoreUnavailable> {
    store.ok_or(StoreUnavailable)
}

fn find<'r>(records: &'r mut [IssuedKey], id: &str) -> Result<&'r mut IssuedKey, KeyRegistryError> {
    let unknown = || KeyRegistryError::UnknownKey { id: id.chars().take(64).collect() };
    records.iter_mut().find(|record| *record.id == *id).ok_or_else(unknown)
}
