//! A credential that expires and renews itself: fetched when it is first needed, and again before it expires.
//!
//! One fetch is in flight at a time, whoever waits for it. While a renewal fails, the last good credential serves until it
//! expires, or is refused with 401; from then on requests fail at once between two tries. Nothing is fetched for a
//! provider that nobody asks.

pub(super) mod fetch;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use pointsman_core::config::Name;
use pointsman_telemetry::{Metrics, RenewalMetrics};
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::fetch::FetchError;

/// The longest time before its end in which a credential is renewed. Google's metadata server and AWS have the next one
/// five minutes before.
const LONGEST_MARGIN: Duration = Duration::from_secs(240);

/// The longest lifetime that is believed; a credential that claims to live longer is renewed all the same.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time that a fetch may take, all its requests together: others wait for it.
const LONGEST_FETCH: Duration = Duration::from_secs(15);

/// The least time between two fetches that fail; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The status that says that a credential is none; others may speak of what was asked for.
const UNAUTHORIZED: u16 = 401;

/// The least age of a credential at which a refusal by the provider has it fetched anew.
const LEAST_AGE: Duration = Duration::from_secs(30);

/// A source of credentials that expire.
pub(crate) trait CredentialSource: Send + Sync + 'static {
    /// The credential.
    type Credential: Send + Sync + 'static;

    /// Fetches a credential.
    fn fetch(&self) -> impl Future<Output = Result<FetchedCredential<Self::Credential>, FetchError>> + Send;

    /// Returns whether another source gives the same credentials, so that a reload need not fetch any.
    fn is_same(&self, other: &Self) -> bool;
}

/// A credential that was just fetched.
pub(crate) struct FetchedCredential<T> {
    pub(super) value: T,
    /// The time for which it is good; `None` for one that does not expire.
    pub(super) lifetime: Option<Duration>,
}

/// The credential of a provider, renewed before it expires.
pub(crate) struct RenewedCredential<S: CredentialSource> {
    provider: Name,
    source: S,
    held: ArcSwapOption<HeldCredential<S::Credential>>,
    pace: Arc<Mutex<RenewalPace>>,
    metrics: RenewalMetrics,
}

/// A credential, and until when it is good.
pub(crate) struct HeldCredential<T> {
    value: T,
    fetched: Instant,
    lifetime: Option<Duration>,
    /// The status with which the provider has refused it; 0 where it has not.
    refusal: AtomicU16,
}

/// The reason why there is no credential.
#[derive(Debug, Clone, thiserror::Error)]
#[error("there is no credential for the provider: {0}")]
pub(crate) struct NoCredentialError(Arc<str>);

/// The fetches that failed in a row, and when the next one may be.
#[derive(Default)]
struct RenewalPace {
    failures: u32,
    not_before: Option<Instant>,
    last: Option<NoCredentialError>,
}

impl<T> HeldCredential<T> {
    /// Returns the credential itself.
    pub(crate) const fn value(&self) -> &T {
        &self.value
    }

    /// Notes that the provider refused it with `status`: a new one is fetched for the next request, unless this one is
    /// new itself.
    pub(crate) fn refused(&self, status: u16) {
        let is_worse = status == UNAUTHORIZED || self.refusal.load(Ordering::Relaxed) == 0;
        if is_worse && self.lifetime.is_some() && self.fetched.elapsed() >= LEAST_AGE {
            self.refusal.store(status, Ordering::Relaxed);
        }
    }

    fn is_good(&self, now: Instant) -> bool {
        self.refusal.load(Ordering::Relaxed) == 0 && self.is_alive(now)
    }

    /// Returns whether it serves where no other can be had: a refusal other than 401 may be of what one request asked
    /// for.
    fn is_last_resort(&self, now: Instant) -> bool {
        self.refusal.load(Ordering::Relaxed) != UNAUTHORIZED && self.is_alive(now)
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.lifetime.is_none_or(|lifetime| now.duration_since(self.fetched) < lifetime)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        let margin = |lifetime: Duration| (lifetime / 5).min(LONGEST_MARGIN);
        self.lifetime.is_none_or(|lifetime| now.duration_since(self.fetched) < lifetime - margin(lifetime))
    }
}

impl<S: CredentialSource> RenewedCredential<S> {
    /// Makes the credential of a provider, or keeps that of `previous`, where it is of the same source.
    pub(super) fn new(provider: &Name, source: S, previous: Option<&Arc<Self>>, metrics: &Metrics) -> Arc<Self> {
        if let Some(previous) = previous.filter(|old| old.source.is_same(&source)) {
            return Arc::clone(previous);
        }
        Arc::new(Self {
            provider: provider.clone(),
            source,
            held: ArcSwapOption::empty(),
            pace: Arc::default(),
            metrics: metrics.renewal(provider),
        })
    }

    /// Returns a credential that is good now. Waits for one only where there is none; one that is about to expire is
    /// renewed aside.
    ///
    /// # Errors
    /// When none can be had.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Arc<HeldCredential<S::Credential>>, NoCredentialError> {
        let now = Instant::now();
        if let Some(held) = self.held.load_full().filter(|held| held.is_good(now)) {
            if !held.is_fresh(now) {
                self.renew_aside();
            }
            return Ok(held);
        }
        // On a task of its own: a client that leaves ends no fetch that others wait for.
        let this = Arc::clone(self);
        let fetching = tokio::spawn(async move {
            let mut pace = this.pace.lock().await;
            let now = Instant::now();
            match this.held.load_full().filter(|held| held.is_good(now)) {
                Some(held) => Ok(held),
                None => this.renew(&mut pace).await.or_else(|error| this.last_resort().ok_or(error)),
            }
        });
        fetching.await.unwrap_or_else(|error| Err(NoCredentialError(error.to_string().into())))
    }

    /// Returns the held credential, where it serves as long as no other can be had.
    fn last_resort(&self) -> Option<Arc<HeldCredential<S::Credential>>> {
        let now = Instant::now();
        self.held.load_full().filter(|held| held.is_last_resort(now))
    }

    /// Renews the credential on a task of its own, unless one is at it.
    fn renew_aside(self: &Arc<Self>) {
        let Ok(mut pace) = Arc::clone(&self.pace).try_lock_owned() else { return };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let now = Instant::now();
            if !this.held.load_full().is_some_and(|held| held.is_fresh(now)) {
                let _ = this.renew(&mut pace).await; // it was counted and logged
            }
        });
    }

    async fn renew(&self, pace: &mut RenewalPace) -> Result<Arc<HeldCredential<S::Credential>>, NoCredentialError> {
        let now = Instant::now();
        if let (Some(last), true) = (&pace.last, pace.not_before.is_some_and(|moment| now < moment)) {
            return Err(last.clone());
        }
        let fetched = tokio::time::timeout(LONGEST_FETCH, self.source.fetch()).await;
        match fetched.unwrap_or(Err(FetchError::TooSlow)) {
            Ok(fetched) => {
                *pace = RenewalPace::default();
                Ok(self.hold(fetched))
            }
            Err(error) => Err(self.note_failure(&error, pace)),
        }
    }

    fn hold(&self, fetched: FetchedCredential<S::Credential>) -> Arc<HeldCredential<S::Credential>> {
        let FetchedCredential { value, lifetime } = fetched;
        let lifetime = lifetime.map(|lifetime| lifetime.min(LONGEST_LIFE));
        if let Some(lifetime) = lifetime {
            self.metrics.renewed(SystemTime::now() + lifetime);
            tracing::debug!(provider = %self.provider, lifetime_s = lifetime.as_secs(), "Credential renewed");
        }
        let held = HeldCredential { value, fetched: Instant::now(), lifetime, refusal: AtomicU16::new(0) };
        let held = Arc::new(held);
        self.held.store(Some(Arc::clone(&held)));
        held
    }

    fn note_failure(&self, error: &FetchError, pace: &mut RenewalPace) -> NoCredentialError {
        self.metrics.failed();
        let pause = FIRST_PAUSE.saturating_mul(1 << pace.failures.min(6)).min(LONGEST_PAUSE);
        pace.failures = pace.failures.saturating_add(1);
        let now = Instant::now();
        pace.not_before = Some(now + pause);
        let provider = &self.provider;
        if self.last_resort().is_some() {
            tracing::warn!(%provider, %error, "A credential cannot be renewed; the last one serves until it expires");
        } else {
            tracing::error!(%provider, %error, "There is no credential for a provider");
        }
        let error = NoCredentialError(error.to_string().into());
        pace.last = Some(error.clone());
        error
    }
}

impl<T> fmt::Debug for HeldCredential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldCredential").finish_non_exhaustive()
    }
}

impl<S: CredentialSource> fmt::Debug for RenewedCredential<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewedCredential").field("provider", &self.provider).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
