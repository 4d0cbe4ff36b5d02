//! Work over large bodies, on few threads of its own: parsing, decoding and copying tens of megabytes takes tenths of
//! seconds, and a thread of the runtime that does it serves nobody else meanwhile.
//!
//! The threads are half of the cores, at least one, and of a lower priority: where the cores are busy, the
//! threads that serve everybody go first. A request takes a place before it works there, waits for one within a bound,
//! and gives it back whenever it waits for something else.
//!
//! Futures are polled there as they are, with all that they borrow: the runtime's thread lends itself out
//! ([`tokio::task::block_in_place`]) and another one takes over its tasks. A runtime of one thread cannot do that; under
//! one, the work is done where it is.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use pingora::proxy::Session;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::rejection::Rejection;

/// The bytes from which a body is large. To parse so much text takes less than a millisecond, which is about what a
/// change of threads may cost on a busy machine; smaller bodies never pay for one.
pub(super) const LARGE_BODY: usize = 256 << 10;

/// The niceness of the threads. A tenth of what a thread of the runtime gets where both want all of a core: enough not to
/// starve on a machine that is always busy, and so little that a thread of the runtime that wakes up runs at once.
const NICENESS: i32 = 10;

/// The threads, and the places there; of the process, because the cores are.
static WORKSHOP: LazyLock<Workshop> = LazyLock::new(Workshop::open);

/// Threads for large bodies, with one place each.
struct Workshop {
    /// `None` where no thread can be started: then the work is done where it is.
    threads: Option<ThreadPool>,
    places: Semaphore,
}

/// A place at the threads for large bodies; dropping it lets the next one in.
pub(super) struct WorkPlace(#[expect(dead_code, reason = "held for its drop")] Option<SemaphorePermit<'static>>);

impl Workshop {
    fn open() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = (cores / 2).max(1);
        let threads = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|index| format!("large-body-{index}"))
            .start_handler(|_| be_nice())
            .build();
        if let Err(error) = &threads {
            tracing::warn!(%error, "No threads for large bodies: they are read on those that serve everybody");
        }
        Self { threads: threads.ok(), places: Semaphore::new(count) }
    }
}

/// Lowers the priority of this thread, where the system has one for each.
fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "The priority of a thread for large bodies stays as it is");
    }
}

/// Waits for a place for as long as a client may pause. A client that leaves meanwhile gives up its turn.
///
/// # Errors
/// [`Rejection::Overloaded`] when none came free in time, [`Rejection::ClientGone`] when the client did not wait.
pub(super) async fn place(session: &mut Session, patience: Duration) -> Result<WorkPlace, Rejection> {
    if let Ok(place) = WORKSHOP.places.try_acquire() {
        return Ok(WorkPlace(Some(place)));
    }
    tokio::select! {
        biased;
        place = next_place() => Ok(place),
        _ = session.as_downstream_mut().read_body_or_idle(true) => Err(Rejection::ClientGone),
        () = tokio::time::sleep(patience) => Err(Rejection::Overloaded),
    }
}

/// Waits for a place while the body still comes, whose own deadline bounds the wait.
///
/// # Errors
/// [`Rejection::Overloaded`] when none came free in time.
pub(super) async fn place_within(patience: Duration) -> Result<WorkPlace, Rejection> {
    tokio::time::timeout(patience, next_place()).await.map_err(|_| Rejection::Overloaded)
}

async fn next_place() -> WorkPlace {
    WorkPlace(WORKSHOP.places.acquire().await.ok()) // the semaphore is never closed
}

/// Runs `work` to its end on the threads for large bodies, beginning in `place`.
pub(super) async fn drive<F>(place: WorkPlace, work: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    let mut work = Box::pin(work);
    let mut place = place;
    loop {
        let polled = std::future::poll_fn(|cx| Poll::Ready(poll_there(work.as_mut(), cx))).await;
        drop(place);
        if let Poll::Ready(output) = polled {
            return output;
        }
        woken().await;
        place = next_place().await;
    }
}

fn poll_there<F>(work: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let waker = cx.waker().clone();
    run(move || work.poll(&mut Context::from_waker(&waker)))
}

/// Waits until the task is woken, by whatever `drive` has polled.
async fn woken() {
    let mut is_first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// Does what cannot wait, on `bytes` of a body: on the threads for large bodies, where they are many.
pub(super) fn at_once<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    if bytes < LARGE_BODY { work() } else { run(work) }
}

/// Does `work` on the threads for large bodies, while another thread takes over the tasks of this one.
pub(super) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let runtime = Handle::try_current().ok().filter(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    let (Some(threads), Some(runtime)) = (&WORKSHOP.threads, runtime) else { return work() };
    tokio::task::block_in_place(|| {
        threads.install(|| {
            let _timers_and_sockets = runtime.enter();
            work()
        })
    })
}

/// Gives the memory of a large body back there: to unmap it takes milliseconds.
pub(super) fn release(body: Bytes) {
    if let Some(threads) = WORKSHOP.threads.as_ref().filter(|_| body.len() >= LARGE_BODY) {
        threads.spawn(move || drop(body));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Waits once, as what asks a classifier does.
    async fn pause() {
        tokio::task::yield_now().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_driven_borrows_what_it_likes_and_is_done_on_threads_of_its_own() {
        let text = String::from("a body");
        let mut seen = Vec::new();
        let name = || thread::current().name().unwrap_or_default().to_owned();

        let work = async {
            seen.push(name());
            pause().await;
            seen.push(name());
            text.len()
        };
        let length = drive(next_place().await, work).await;

        assert_eq!(length, text.len());
        assert!(seen.iter().all(|name| name.starts_with("large-body-")), "{seen:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_runtime_serves_others_while_a_body_is_worked_on() {
        let (begun, has_begun) = std::sync::mpsc::sync_channel(1);
        let (answer, answered) = std::sync::mpsc::sync_channel::<()>(1);
        let work = tokio::spawn(async move {
            drive(next_place().await, async move {
                begun.send(()).expect("the test waits");
                answered.recv().expect("the other task answers");
            })
            .await;
        });
        let other = tokio::spawn(async move {
            tokio::task::block_in_place(|| has_begun.recv()).expect("the work begins");
            answer.send(()).expect("the work waits");
        });

        other.await.expect("it is served");
        work.await.expect("it ends");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_the_work_itself() {
        let name = at_once(LARGE_BODY, || thread::current().name().unwrap_or_default().to_owned());

        assert!(!name.starts_with("large-body-"), "{name}");
    }

    #[test]
    fn small_work_stays_where_it_is() {
        let here = thread::current().id();

        assert_eq!(at_once(LARGE_BODY - 1, || thread::current().id()), here);
    }
}
