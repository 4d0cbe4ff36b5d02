//! A configuration that is fetched: what serves, what comes next, and what was turned down.
//!
//! Asked again and again by its validators, so that a text which did not change costs one answer without a body. A text counts
//! once its signature holds and it is not older than the one that serves; it serves once a snapshot was built from it, as the text
//! of a file does. Only then it takes the place of the copy on disk.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::Uri;
use sha2::{Digest as _, Sha256};

use super::fetch::{Fetch, FetchEnd, FetchError, FetchedText, Validators, without_query};
use super::kept_copy::{CopyError, KeptCopy};
use super::report::{SourceTimes, SourceTrouble};
use super::signature::TrustedKey;
use super::version::ConfigVersion;
use super::{SourceHeader, SourceText};

/// The settings of a source that is fetched: they cannot stand in what is fetched.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// The text's URL.
    pub(crate) url: Uri,
    /// The time between two questions whether there is another text; each wait is up to a tenth shorter or longer.
    pub(crate) interval: Duration,
    /// The longest time for a text and its signature, from the first connection to the last byte.
    pub(crate) timeout: Duration,
    /// Header fields of each request.
    pub(crate) headers: Vec<SourceHeader>,
    /// The file of the authorities that vouch for the server instead of the system's.
    pub(crate) authorities: Option<PathBuf>,
    /// The folder in which the last text that served is kept.
    pub(crate) cache: Option<PathBuf>,
}

/// The reason of a fetch that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchReason {
    /// The process starts: the copy that is kept takes the place of what cannot be had.
    Start,
    /// Somebody wants what there is now, also a text that was turned down before.
    Demand,
    /// It is time.
    Interval,
}

/// The end of a question whether there is another text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PollEnd {
    /// There is none.
    Unchanged,
    /// There is one, to be built from.
    Changed,
    /// There is one that does not count, found just now.
    Refused(String),
    /// The one that does not count is still there.
    StillRefused,
    /// The server is not there, or does not give a text.
    Unreachable,
}

/// A source that is fetched.
#[derive(Debug)]
pub(crate) struct HttpSource {
    settings: HttpSettings,
    key: Option<TrustedKey>,
    copy: Option<KeptCopy>,
    held: Mutex<HeldTexts>,
}

/// A text and what it is called, shared by what was built from it.
#[derive(Debug, Clone)]
struct HeldText {
    fetched: Arc<FetchedText>,
    version: Arc<ConfigVersion>,
    digest: [u8; 32],
}

#[derive(Debug, Default)]
struct HeldTexts {
    /// The text that serves, or the copy of the last one that did.
    serving: Option<HeldText>,
    /// The text that was fetched since, until a snapshot is built from it.
    next: Option<HeldText>,
    /// The text that was read last.
    read: Option<HeldText>,
    /// The text that the server had last, of those that count.
    seen: Option<Validators>,
    /// The text of which no snapshot could be built, and when that was found.
    turned_down: Option<([u8; 32], SystemTime)>,
    /// The reason why the server's text does not count.
    refusal: Option<String>,
    times: SourceTimes,
}

impl HttpSettings {
    /// Returns the URL without its query.
    pub(crate) fn shown_url(&self) -> String {
        without_query(&self.url)
    }

    /// Returns the name of the file that the URL is of.
    pub(super) fn file_name(&self) -> String {
        let name = self.url.path().rsplit('/').next().unwrap_or_default();
        if name.is_empty() { "pointsman.yaml".to_owned() } else { name.to_owned() }
    }
}

impl HttpSource {
    pub(super) fn new(settings: HttpSettings, key: Option<TrustedKey>) -> Self {
        let copy = settings.cache.as_ref().map(|folder| KeptCopy::of(folder, &settings.url));
        let times = SourceTimes { interval: Some(settings.interval), ..SourceTimes::default() };
        Self { settings, key, copy, held: Mutex::new(HeldTexts { times, ..HeldTexts::default() }) }
    }

    /// Returns the time until the next question: the interval, up to a tenth shorter or longer, so that replicas do not all ask
    /// at once.
    pub(crate) fn pause(&self) -> Duration {
        use std::hash::{BuildHasher as _, RandomState};
        let drawn = RandomState::new().hash_one(0_u8) % 1000; // the state is random
        self.settings.interval.mul_f64(0.9 + 0.2 * drawn as f64 / 1000.0)
    }

    /// Returns the text to build from: the one that comes next, else the one that serves.
    pub(super) fn read(&self) -> Option<SourceText> {
        let mut held = self.locked();
        let text = held.next.clone().or_else(|| held.serving.clone())?;
        held.read = Some(text.clone());
        Some(SourceText { text: text.fetched.text.clone(), version: text.version })
    }

    /// Fetches on the calling thread, with a runtime of its own; true when there is something new.
    pub(super) fn fetch_now(&self, reason: FetchReason) -> Result<bool, FetchError> {
        if reason == FetchReason::Start {
            self.take_copy();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| FetchError::Unreachable(format!("cannot start a runtime: {error}")))?;
        let fetched = runtime.block_on(self.fetch(reason));
        runtime.shutdown_background(); // a name that does not resolve is not waited for
        match (fetched, reason) {
            (Err(error), FetchReason::Start) if self.locked().serving.is_some() => {
                tracing::warn!(source = self.settings.shown_url(), %error, "The kept copy of the configuration serves");
                Ok(false)
            }
            (fetched, _) => fetched,
        }
    }

    /// Asks whether there is another text.
    ///
    /// Cancel-safe: what was not fetched whole does not count.
    pub(crate) async fn poll(&self) -> PollEnd {
        let before = self.locked().refusal.clone();
        match self.fetch(FetchReason::Interval).await {
            Ok(true) => PollEnd::Changed,
            Ok(false) => PollEnd::Unchanged,
            Err(FetchError::Refused(error)) if before.as_ref() == Some(&error) => PollEnd::StillRefused,
            Err(FetchError::Refused(error)) => PollEnd::Refused(error),
            Err(FetchError::Unreachable(_)) => PollEnd::Unreachable,
        }
    }

    /// Fetches, and returns whether there is a text to build from that was not there before.
    async fn fetch(&self, reason: FetchReason) -> Result<bool, FetchError> {
        let known = {
            let mut held = self.locked();
            if reason == FetchReason::Demand && held.turned_down.take().is_some() {
                held.seen = held.serving.as_ref().map(|text| text.fetched.validators.clone());
            }
            held.seen.clone()
        };
        let fetch = Fetch { settings: &self.settings, key: self.key.as_ref(), known: known.as_ref() };
        let fetched = fetch.run().await;
        let mut held = self.locked();
        let taken = fetched.and_then(|end| match end {
            // What was fetched before may wait for its load still.
            FetchEnd::NotModified => Ok(held.next.is_some()),
            FetchEnd::Fetched(text) => held.take(text),
        });
        held.note(&taken);
        taken
    }

    /// Notes that the text of `version` serves, and keeps a copy of it.
    pub(super) fn note_serving(&self, version: &Arc<ConfigVersion>) {
        let text = {
            let mut held = self.locked();
            // Another text may have come since it was read, and waits for its turn.
            let read = held.read.clone().filter(|read| Arc::ptr_eq(&read.version, version));
            let is_new = |text: &HeldText| held.serving.as_ref().is_none_or(|it| it.digest != text.digest);
            let Some(text) = read.filter(is_new) else { return };
            held.next.take_if(|next| next.digest == text.digest);
            held.turned_down = None;
            held.serving = Some(text.clone());
            text
        };
        let Some(copy) = &self.copy else { return };
        let kept = copy.keep(&text.fetched);
        if let Err(error) = &kept {
            tracing::warn!(%error, "No copy of the configuration is kept: a start will need its source");
        }
        self.locked().times.copy = Some(kept.map_err(|error| error.to_string()));
    }

    /// Notes that no snapshot could be built from what was read last.
    pub(super) fn note_refusal(&self) {
        let mut held = self.locked();
        let HeldTexts { next, read, .. } = &mut *held;
        let is_read = |next: &mut HeldText| read.as_ref().is_some_and(|read| Arc::ptr_eq(&read.version, &next.version));
        if let Some(text) = next.take_if(is_read) {
            held.turned_down = Some((text.digest, SystemTime::now()));
        }
    }

    /// Leaves what was fetched for the copy; false when there is none, or nothing was fetched.
    pub(super) fn fall_back(&self) -> bool {
        self.note_refusal();
        let held = self.locked();
        held.turned_down.is_some() && held.serving.is_some()
    }

    /// Returns what is known of the fetches.
    pub(super) fn times(&self) -> SourceTimes {
        let held = self.locked();
        let mut times = held.times.clone();
        let unused = held.turned_down.map(|(_, since)| {
            let detail = "what it has was refused; the last reload says why".to_owned();
            SourceTrouble { detail, since }
        });
        times.trouble = times.trouble.or(unused);
        times
    }

    /// Returns whether the server was not there at the last question, or gave no text.
    pub(crate) fn is_away(&self) -> bool {
        let held = self.locked();
        held.times.trouble.is_some() && held.refusal.is_none()
    }

    /// Reads the copy that is kept, verified anew; it counts as what served last.
    fn take_copy(&self) {
        let Some(copy) = &self.copy else { return };
        match copy.read(self.key.as_ref()) {
            Ok(fetched) => {
                let mut held = self.locked();
                held.seen = Some(fetched.validators.clone());
                held.times.copy = Some(Ok(()));
                held.serving = Some(HeldText::of(fetched));
            }
            Err(CopyError::None) => {}
            Err(error) => tracing::warn!(%error, "The kept copy of the configuration does not count"),
        }
    }

    fn locked(&self) -> MutexGuard<'_, HeldTexts> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldTexts {
    /// Takes a verified text; true when it is another than the one that serves and the one that was turned down.
    fn take(&mut self, fetched: FetchedText) -> Result<bool, FetchError> {
        let text = HeldText::of(fetched);
        if let Some(serving) = self.serving.as_ref().filter(|serving| serving.digest != text.digest) {
            refuse_older(&serving.fetched, &text.fetched)?;
        }
        self.seen = Some(text.fetched.validators.clone());
        if self.serving.as_ref().is_some_and(|serving| serving.digest == text.digest) {
            (self.next, self.turned_down) = (None, None); // the server went back to what serves
            return Ok(false);
        }
        if self.turned_down.is_some_and(|(digest, _)| digest == text.digest) {
            return Ok(false);
        }
        self.next = Some(text);
        Ok(true)
    }

    fn note(&mut self, end: &Result<bool, FetchError>) {
        let now = SystemTime::now();
        self.times.checked = Some(now);
        self.refusal = None;
        match end {
            Ok(_) => {
                self.times.reached = Some(now);
                self.times.trouble = None;
            }
            Err(error) => {
                if let FetchError::Refused(said) = error {
                    self.times.reached = Some(now);
                    self.refusal = Some(said.clone());
                }
                let since = self.times.trouble.as_ref().map_or(now, |trouble| trouble.since);
                self.times.trouble = Some(SourceTrouble { detail: error.to_string(), since });
            }
        }
    }
}

impl HeldText {
    fn of(fetched: FetchedText) -> Self {
        let (version, digest) = (Arc::new(fetched.version()), Sha256::digest(fetched.text.as_bytes()).into());
        Self { fetched: Arc::new(fetched), version, digest }
    }
}

/// Refuses a text that was signed before the one that serves: somebody may show an old one again.
fn refuse_older(serving: &FetchedText, next: &FetchedText) -> Result<(), FetchError> {
    let signed_at = |text: &FetchedText| text.facts.as_ref().and_then(|facts| facts.signed_at);
    let Some(floor) = signed_at(serving) else { return Ok(()) };
    let shown = |at| humantime::format_rfc3339_seconds(at);
    match signed_at(next) {
        Some(at) if at >= floor => Ok(()),
        Some(at) => Err(FetchError::Refused(format!(
            "was signed at {}, before the text that serves ({}): an older text is signed anew to serve again",
            shown(at),
            shown(floor)
        ))),
        None => Err(FetchError::Refused(format!(
            "its signature says no time, and that of the text that serves does ({}): keep `timestamp:` in the trusted comment",
            shown(floor)
        ))),
    }
}

#[cfg(test)]
mod tests;
