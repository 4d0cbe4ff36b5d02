//! One server of a cluster, connected as long as the cluster has a use for it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep};

use crate::store::connection::{ServerDuty, StoreConnection, StoreServer};
use crate::store::worker::PAUSE;

/// A server of a cluster; its task ends with it.
pub(super) struct ClusterNode {
    state: Rc<NodeState>,
    task: AbortHandle,
}

/// The state of a server's connection.
#[derive(Default)]
struct NodeState {
    link: RefCell<Option<Rc<StoreConnection>>>,
    /// The reason why there is no connection; none while the first is being made.
    trouble: RefCell<Option<String>>,
    changed: Notify,
}

impl ClusterNode {
    /// Begins to connect to the server; calls `note_change` whenever a connection stands, breaks or fails.
    pub(super) fn start(
        server: StoreServer,
        duty: ServerDuty,
        patience: Duration,
        note_change: impl Fn() + 'static,
    ) -> Self {
        let state = Rc::new(NodeState::default());
        let task = spawn_local(keep_connected(Rc::clone(&state), server, duty, patience, note_change)).abort_handle();
        Self { state, task }
    }

    /// Returns the connection, if one stands.
    pub(super) fn link(&self) -> Option<Rc<StoreConnection>> {
        self.state.link.borrow().clone()
    }

    /// Returns the reason why there is no connection; none while the first is being made.
    pub(super) fn trouble(&self) -> Option<String> {
        self.state.trouble.borrow().clone()
    }

    /// Returns the connection; waits for the first, and no longer than `patience`.
    pub(super) async fn link_soon(&self, patience: Duration) -> Option<Rc<StoreConnection>> {
        let first = async {
            loop {
                if let Some(link) = self.link() {
                    return Some(link);
                }
                if self.trouble().is_some() {
                    return None;
                }
                self.state.changed.notified().await;
            }
        };
        tokio::time::timeout(patience, first).await.ok().flatten()
    }
}

impl Drop for ClusterNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_connected(
    state: Rc<NodeState>,
    server: StoreServer,
    duty: ServerDuty,
    patience: Duration,
    note_change: impl Fn(),
) {
    let mut pause = PAUSE[0];
    loop {
        let why = match server.connect(patience, duty).await {
            Ok(link) => {
                let connected = Instant::now();
                state.trouble.take();
                state.link.replace(Some(Rc::clone(&link)));
                state.changed.notify_waiters();
                note_change();
                let why = link.until_broken().await;
                state.link.take();
                if connected.elapsed() >= PAUSE[1] {
                    pause = PAUSE[0];
                }
                why
            }
            Err(why) => why,
        };
        state.trouble.replace(Some(why));
        state.changed.notify_waiters();
        note_change();
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE[1]);
    }
}
