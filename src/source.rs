//! The source of the configuration: a file, a file in a git checkout, or a URL; with or without a detached signature.
//!
//! Gives [`SnapshotBuilder`](crate::snapshot::SnapshotBuilder) the text to build from, and says where that text comes from: the
//! commit, the tag that its server gave it, the key that signed it. What is signed is what is read: the same bytes are verified
//! and parsed. Files that the configuration names are never fetched; relative paths start at a folder of this machine.

mod checkout;
mod credential;
mod fetch;
mod http;
mod kept_copy;
mod report;
mod signature;
#[cfg(test)]
pub(crate) mod signer;
mod version;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::config::{Config, RegularFileError};

use self::checkout::Checkout;
pub(crate) use self::credential::SourceHeader;
pub(crate) use self::fetch::{FetchError, is_loopback};
use self::http::HttpSource;
pub(crate) use self::http::{FetchReason, HttpSettings, PollEnd};
pub(crate) use self::report::SourceReport;
use self::report::SourceTimes;
pub(crate) use self::signature::{KeyError, TrustedKey};
use self::signature::{SignatureError, signature_beside};
pub(crate) use self::version::ConfigVersion;

/// The longest wait for a checkout that is being changed; then the load is refused, and there will be others.
const CHECKOUT_REST: Duration = Duration::from_secs(10);

/// The time between two looks at such a checkout.
const CHECKOUT_LOOK: Duration = Duration::from_millis(50);

/// The source of a process's configuration.
#[derive(Debug)]
pub(crate) struct ConfigSource {
    /// The file; of a URL the name that the file would have in the folder where relative paths start.
    path: PathBuf,
    name: String,
    /// The key without whose signature no text counts.
    key: Option<TrustedKey>,
    http: Option<HttpSource>,
    /// The longest wait for a checkout that is being changed.
    patience: Duration,
    serving: Mutex<ServingVersion>,
}

/// The version that serves, and since when.
#[derive(Debug)]
struct ServingVersion {
    version: Arc<ConfigVersion>,
    since: SystemTime,
    /// A checkout was being changed all the time when it was last read.
    is_busy: bool,
}

/// A text that a configuration can be read from, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct SourceText {
    pub(crate) text: String,
    pub(crate) version: Arc<ConfigVersion>,
}

/// The kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    /// A file.
    File,
    /// A file in a git checkout.
    Git,
    /// A URL.
    Http,
}

/// The reason why a source gives no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {name}: {error}")]
    File { name: String, error: RegularFileError },
    /// The signature is missing or does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Somebody changes the checkout.
    #[error("the git checkout is being changed ({0}); it is read again later")]
    Busy(&'static str),
    /// The URL gives no text.
    #[error("{name}: {error}")]
    Fetch { name: String, error: FetchError },
    /// Nothing was fetched yet, and no copy is kept.
    #[error("{0}: nothing was fetched yet")]
    Nothing(String),
}

impl ConfigSource {
    /// Makes the source of a file, whose signature has to hold where there is a key.
    pub(crate) fn file(path: &Path, key: Option<TrustedKey>) -> Self {
        let name = path.display().to_string();
        let (http, serving) = (None, Mutex::new(ServingVersion::new()));
        Self { path: path.to_owned(), name, key, http, patience: CHECKOUT_REST, serving }
    }

    /// Makes the source of a URL. Relative paths start at `folder`.
    pub(crate) fn http(settings: HttpSettings, folder: &Path, key: Option<TrustedKey>) -> Self {
        let name = settings.shown_url();
        let path = folder.join(settings.file_name());
        let http = Some(HttpSource::new(settings, key.clone()));
        Self { path, name, key, http, patience: CHECKOUT_REST, serving: Mutex::new(ServingVersion::new()) }
    }

    /// Returns the file's path; for a URL the one that it would have in the folder where relative paths start.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name that problems call the text by: the path, or the URL without its query.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the source of the URL, if it is one.
    pub(crate) const fn as_http(&self) -> Option<&HttpSource> {
        self.http.as_ref()
    }

    /// Returns why the text cannot be changed through this process, if so.
    pub(crate) fn edit_refusal(&self) -> Option<String> {
        match (&self.http, &self.key) {
            (Some(_), _) => Some(format!("The configuration comes from {}: change it there.", self.name)),
            (None, Some(_)) => Some("The configuration is signed: change and sign it where its key is.".to_owned()),
            (None, None) => None,
        }
    }

    /// Asks the URL for what it has now, and blocks until that is there or the time for it is over; true when it is something
    /// new. Does nothing for a file.
    ///
    /// At a start the copy that is kept takes the place of what cannot be had.
    pub(crate) fn fetch(&self, reason: FetchReason) -> Result<bool, SourceError> {
        let Some(http) = &self.http else { return Ok(false) };
        http.fetch_now(reason).map_err(|error| SourceError::Fetch { name: self.name.clone(), error })
    }

    /// Reads the text, and verifies it where there is a key.
    pub(crate) fn read(&self) -> Result<SourceText, SourceError> {
        match &self.http {
            Some(http) => http.read().ok_or_else(|| SourceError::Nothing(self.name.clone())),
            None => self.read_file(),
        }
    }

    fn read_file(&self) -> Result<SourceText, SourceError> {
        let unreadable = |error| SourceError::File { name: self.name.clone(), error };
        let text = Config::read_text(&self.path).map_err(unreadable)?;
        let signature = match &self.key {
            Some(key) => Some(key.verify_beside(&self.path, text.as_bytes())?),
            None => None,
        };
        let commit = Checkout::around(&self.path).and_then(|checkout| checkout.commit);
        let version = Arc::new(ConfigVersion { commit, signature, ..ConfigVersion::default() });
        Ok(SourceText { text, version })
    }

    /// Runs `load` on a checkout that nobody changes meanwhile: waits for git's lock on the index to go, and loads again
    /// when another commit is checked out at the end than at the beginning.
    pub(crate) fn at_rest<T>(&self, mut load: impl FnMut() -> T) -> Result<T, SourceError> {
        if self.http.is_some() {
            return Ok(load());
        }
        let deadline = Instant::now() + self.patience;
        loop {
            let before = Checkout::around(&self.path);
            let trouble = if before.as_ref().is_some_and(Checkout::is_locked) {
                "its index is locked"
            } else {
                let loaded = load();
                let after = Checkout::around(&self.path);
                if before == after && !after.as_ref().is_some_and(Checkout::is_locked) {
                    self.locked().is_busy = false;
                    return Ok(loaded);
                }
                "another commit was checked out meanwhile"
            };
            if Instant::now() >= deadline {
                self.locked().is_busy = true;
                return Err(SourceError::Busy(trouble));
            }
            std::thread::park_timeout(CHECKOUT_LOOK);
        }
    }

    /// Returns whether the last load found a checkout that was being changed, so that it should be tried again.
    pub(crate) fn is_busy(&self) -> bool {
        self.locked().is_busy
    }

    /// Returns the files beside the configuration whose change is to be looked at: the signature, and what says which commit is
    /// checked out.
    pub(crate) fn watched_files(&self) -> Vec<PathBuf> {
        if self.http.is_some() {
            return Vec::new();
        }
        let mut files = Checkout::around(&self.path).map(|checkout| checkout.head_files()).unwrap_or_default();
        files.extend(self.key.is_some().then(|| signature_beside(&self.path)));
        files
    }

    /// Notes that the text of `version` serves from now on, and keeps a copy of what was fetched.
    pub(crate) fn note_serving(&self, version: &Arc<ConfigVersion>) {
        if let Some(http) = &self.http {
            http.note_serving(version);
        }
        let mut serving = self.locked();
        if *serving.version != **version {
            *serving = ServingVersion { version: Arc::clone(version), since: SystemTime::now(), is_busy: false };
        }
    }

    /// Notes that what was read last does not serve: what served before is read from now on, until there is something new.
    pub(crate) fn note_refusal(&self) {
        if let Some(http) = &self.http {
            http.note_refusal();
        }
    }

    /// Goes back to the copy that is kept, at a start whose fetched text does not serve; false when there is none.
    pub(crate) fn fall_back(&self) -> bool {
        self.http.as_ref().is_some_and(HttpSource::fall_back)
    }

    /// Returns the kind of the source, as it is now.
    pub(crate) fn kind(&self) -> SourceKind {
        match (&self.http, &self.locked().version.commit) {
            (Some(_), _) => SourceKind::Http,
            (None, Some(_)) => SourceKind::Git,
            (None, None) => SourceKind::File,
        }
    }

    /// Returns what is known of the source.
    pub(crate) fn report(&self) -> SourceReport {
        let (version, since) = {
            let serving = self.locked();
            (Arc::clone(&serving.version), serving.since)
        };
        let fetched = self.http.as_ref().map_or_else(SourceTimes::default, HttpSource::times);
        let is_unsigned = self.key.is_none();
        SourceReport { kind: self.kind(), name: self.name.clone(), version, since, is_unsigned, fetched }
    }

    fn locked(&self) -> MutexGuard<'_, ServingVersion> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServingVersion {
    fn new() -> Self {
        Self { version: Arc::default(), since: SystemTime::now(), is_busy: false }
    }
}

impl SourceError {
    /// Returns whether the source may give a text at another time, without anybody changing it.
    pub(crate) const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Fetch { error: FetchError::Unreachable(_), .. } | Self::Nothing(_) | Self::Busy(_))
    }
}

impl SourceKind {
    /// Returns the kind as metrics and the admin plane spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Git => "git",
            Self::Http => "http",
        }
    }
}

#[cfg(test)]
mod tests;
