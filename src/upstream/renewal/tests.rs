//! When a credential is fetched, by whom, and what serves while that fails.

use std::collections::VecDeque;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;

use super::*;

/// The lifetime of a credential that never comes.
const NEVER: u64 = 0;

/// A source that gives these in turn: credentials with their lifetimes in seconds, or failures.
#[derive(Default)]
struct Script {
    steps: StdMutex<VecDeque<Option<u64>>>,
    fetches: AtomicUsize,
}

impl CredentialSource for Script {
    type Credential = usize;

    async fn fetch(&self) -> Result<FetchedCredential<usize>, FetchError> {
        let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::task::yield_now().await; // others come to wait
        let step = self.steps.lock().expect("no panic").pop_front().flatten();
        if step == Some(NEVER) {
            std::future::pending::<()>().await;
        }
        let lifetime = step.map(Duration::from_secs).ok_or(FetchError::Unreadable("fails as scripted"))?;
        Ok(FetchedCredential { value: number, lifetime: Some(lifetime) })
    }

    fn is_same(&self, _other: &Self) -> bool {
        true
    }
}

type Scripted = Arc<RenewedCredential<Script>>;

fn scripted(steps: impl IntoIterator<Item = Option<u64>>) -> Scripted {
    let source = Script { steps: StdMutex::new(steps.into_iter().collect()), ..Script::default() };
    RenewedCredential::new(&Name::new("p").expect("a name"), source, None, &Metrics::new())
}

async fn value(credential: &Scripted) -> Option<usize> {
    credential.get().await.ok().map(|held| *held.value())
}

fn fetches(credential: &Scripted) -> usize {
    credential.source.fetches.load(Ordering::Relaxed)
}

/// Lets tasks that were spawned run to their end.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn after(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_share_one_fetch() {
    let credential = scripted([Some(3600)]);
    assert_eq!(fetches(&credential), 0, "nothing is fetched before it is needed");

    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let credential = Arc::clone(&credential);
            tokio::spawn(async move { value(&credential).await })
        })
        .collect();

    for waits in waiting {
        assert_eq!(waits.await.expect("no panic"), Some(1));
    }
    assert_eq!(fetches(&credential), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_no_fetch_that_others_wait_for() {
    let credential = scripted([Some(3600), Some(3600)]);

    let mut leaves = Box::pin(value(&credential));
    assert!(futures::poll!(&mut leaves).is_pending());
    drop(leaves);
    settle().await;

    assert_eq!((value(&credential).await, fetches(&credential)), (Some(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_credential_is_renewed_aside_before_it_expires() {
    let credential = scripted([Some(3600), Some(3600)]);
    assert_eq!(value(&credential).await, Some(1));

    after(3359).await;
    assert_eq!((value(&credential).await, fetches(&credential)), (Some(1), 1), "240 s before the end");
    after(2).await;
    assert_eq!(value(&credential).await, Some(1), "nobody waits for it");
    settle().await;

    assert_eq!((value(&credential).await, fetches(&credential)), (Some(2), 2));
}

#[tokio::test(start_paused = true)]
async fn the_last_good_one_serves_while_renewal_fails_until_it_expires_and_tries_are_far_between() {
    let credential = scripted([Some(100), None, None, None]);
    assert_eq!(value(&credential).await, Some(1));

    after(81).await;
    for _ in 0..50 {
        assert_eq!(value(&credential).await, Some(1));
        settle().await;
    }
    assert_eq!(fetches(&credential), 2, "one try within its pause");
    after(20).await;
    assert_eq!(value(&credential).await, None, "it has expired");
    assert_eq!(value(&credential).await, None);
    assert_eq!(fetches(&credential), 3);
    credential.source.steps.lock().expect("no panic").push_front(Some(100));
    after(5).await;
    assert_eq!(value(&credential).await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn one_that_the_provider_refuses_is_fetched_anew_unless_it_is_new() {
    let credential = scripted([Some(3600), Some(3600)]);

    credential.get().await.expect("a credential").refused(401);
    assert_eq!(value(&credential).await, Some(1));
    after(31).await;
    credential.get().await.expect("a credential").refused(401);

    assert_eq!(value(&credential).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_refused_with_403_serves_on_while_no_other_can_be_had_and_one_with_401_does_not() {
    let credential = scripted([Some(3600), None, None, None]);
    let held = credential.get().await.expect("a credential");
    after(31).await;

    held.refused(403);
    assert_eq!((value(&credential).await, fetches(&credential)), (Some(1), 2), "a new one was asked for");
    held.refused(401);
    held.refused(403);

    assert_eq!(value(&credential).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_ends_and_a_lifetime_beyond_all_bounds_is_bounded() {
    let credential = scripted([Some(NEVER), Some(u64::MAX)]);

    assert_eq!(value(&credential).await, None, "it did not come");
    after(5).await;

    assert_eq!(value(&credential).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_credential_of_the_same_source() {
    let credential = scripted([Some(3600)]);
    let reloaded = RenewedCredential::new(&credential.provider, Script::default(), Some(&credential), &Metrics::new());

    assert!(Arc::ptr_eq(&credential, &reloaded));
}
