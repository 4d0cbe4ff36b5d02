//! The queue of reloads: one runs, one waits, and whoever asks meanwhile shares the outcome of the one that waits.
//!
//! That one has not read a file yet, so it will see whatever made somebody ask. Asking costs no thread, and nothing is
//! kept of one who does not wait any more.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::ReloadResult;

/// The change of snapshots that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SnapshotChange {
    /// What the files say now.
    Reload,
    /// What served before the last change.
    Rollback,
}

/// The triggers of reloads that go by what was fetched and verified before. Whoever else asks wants what the source has now.
const FETCHED_TRIGGERS: [&str; 2] = ["file", "source"];

/// Returns whether a reload was asked for because something was seen to have changed, and by nobody who waits for what the
/// source has now.
pub(super) fn is_noticed(trigger: &str) -> bool {
    FETCHED_TRIGGERS.contains(&trigger)
}

/// The end of a turn; `None` when nothing served before that could be rolled back to.
pub(super) type TurnEnd = Option<ReloadResult>;

/// The turns that wait, at most one for each kind of change.
#[derive(Debug, Default)]
pub(super) struct TurnQueue {
    has_runner: bool,
    waiting: VecDeque<WaitingTurn>,
    /// Those who wait for the turn that runs.
    awaiting: Vec<TurnAsker>,
}

/// One who waits for a turn's end.
type TurnAsker = oneshot::Sender<TurnEnd>;

/// A turn that has not begun.
#[derive(Debug)]
struct WaitingTurn {
    turn: ReloadTurn,
    askers: Vec<TurnAsker>,
}

/// A change of snapshots, and the first reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReloadTurn {
    pub(super) change: SnapshotChange,
    pub(super) trigger: &'static str,
}

impl TurnQueue {
    /// Asks for a change; the turn that waits for it already is everybody's.
    pub(super) fn ask(&mut self, change: SnapshotChange, trigger: &'static str) -> oneshot::Receiver<TurnEnd> {
        let (asker, end) = oneshot::channel();
        match self.waiting.iter_mut().find(|waiting| waiting.turn.change == change) {
            Some(waiting) => {
                // Who asks for it is told what the source has now; that serves who was only noticed to need it, too.
                if is_noticed(waiting.turn.trigger) {
                    waiting.turn.trigger = trigger;
                }
                waiting.askers.retain(|asker| !asker.is_closed());
                waiting.askers.push(asker);
            }
            None => {
                let turn = ReloadTurn { change, trigger };
                self.waiting.push_back(WaitingTurn { turn, askers: vec![asker] });
            }
        }
        end
    }

    /// Returns whether somebody must run what waits, which is then the caller.
    pub(super) const fn claim(&mut self) -> bool {
        !std::mem::replace(&mut self.has_runner, true)
    }

    /// Takes the next turn out; at the end, whoever ran them does so no more.
    pub(super) fn next(&mut self) -> Option<ReloadTurn> {
        let next = self.waiting.pop_front();
        self.has_runner = next.is_some();
        let WaitingTurn { turn, askers } = next?;
        self.awaiting = askers;
        Some(turn)
    }

    /// Tells everybody who waits for the turn that ran.
    pub(super) fn end(&mut self, end: &TurnEnd) {
        for asker in self.awaiting.drain(..) {
            let _ = asker.send(end.clone()); // whoever left does not want to know
        }
    }

    /// Ends every wait, whatever runs: nobody will be told how it ended.
    pub(super) fn dismiss(&mut self) {
        self.awaiting.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_ask_share_one_turn_and_those_who_left_are_forgotten() {
        let mut turns = TurnQueue::default();
        for _ in 0..1000 {
            drop(turns.ask(SnapshotChange::Reload, "test"));
        }
        let waits = turns.ask(SnapshotChange::Reload, "later");

        let turn = turns.next().expect("a turn");

        assert_eq!(turn, ReloadTurn { change: SnapshotChange::Reload, trigger: "test" });
        assert_eq!(turns.awaiting.len(), 1);
        turns.end(&None);
        assert_eq!(futures::executor::block_on(waits), Ok(None));
        assert!(turns.next().is_none());
    }

    #[test]
    fn who_asks_for_what_the_source_has_now_is_not_served_by_a_turn_that_does_not_look() {
        let mut turns = TurnQueue::default();
        let _asked = ["file", "admin", "source"].map(|trigger| turns.ask(SnapshotChange::Reload, trigger));

        let trigger = turns.next().expect("a turn").trigger;

        assert!(trigger == "admin" && !is_noticed(trigger) && is_noticed("file"));
    }

    #[test]
    fn who_waits_for_a_turn_that_does_not_end_is_let_go() {
        let mut turns = TurnQueue::default();
        let runs = turns.ask(SnapshotChange::Reload, "test");
        turns.next().expect("a turn");
        let waits = turns.ask(SnapshotChange::Reload, "test");

        turns.dismiss();

        assert!(futures::executor::block_on(runs).is_err());
        assert!(futures::executor::block_on(waits).is_err());
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn one_runs_what_waits_and_each_kind_of_change_has_its_turn() {
        let mut turns = TurnQueue::default();
        let _asked = [SnapshotChange::Reload, SnapshotChange::Rollback, SnapshotChange::Reload]
            .map(|change| turns.ask(change, "test"));

        assert!(turns.claim() && !turns.claim());
        let order = std::iter::from_fn(|| turns.next()).map(|turn| turn.change).collect::<Vec<_>>();

        assert_eq!(order, [SnapshotChange::Reload, SnapshotChange::Rollback]);
        assert!(turns.claim(), "nobody runs them any more");
    }
}
