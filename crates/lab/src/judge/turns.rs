//! Turns: rows of one question are settled one after the other, so that the question is asked once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::Mutex;

use super::question::VerdictQuestionKey;

/// Questions that rows are settled by at present.
#[derive(Default)]
pub(crate) struct QuestionTurns {
    by_question: RefCell<HashMap<VerdictQuestionKey, TurnQueue>>,
}

/// The rows of one question that are settled or wait for their turn.
#[derive(Default)]
struct TurnQueue {
    turn: Rc<Mutex<()>>,
    rows: usize,
}

/// A row's place in a queue; the last one that goes takes the queue along.
struct TurnTicket<'t> {
    turns: &'t QuestionTurns,
    question: VerdictQuestionKey,
    turn: Rc<Mutex<()>>,
}

impl QuestionTurns {
    /// Does `work` once no other row of the question is at work.
    pub(crate) async fn alone<T>(&self, question: VerdictQuestionKey, work: impl Future<Output = T>) -> T {
        let ticket = self.enter(question);
        let _turn = ticket.turn.lock().await;
        work.await
    }

    fn enter(&self, question: VerdictQuestionKey) -> TurnTicket<'_> {
        let mut queues = self.by_question.borrow_mut();
        let queue = queues.entry(question).or_default();
        queue.rows += 1;
        TurnTicket { turns: self, question, turn: Rc::clone(&queue.turn) }
    }
}

impl Drop for TurnTicket<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.by_question.borrow_mut();
        if let Some(queue) = queues.get_mut(&self.question) {
            queue.rows -= 1;
            if queue.rows == 0 {
                queues.remove(&self.question);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join3;

    use super::*;

    #[tokio::test]
    async fn rows_of_one_question_take_turns_and_leave_nothing_behind() {
        let turns = QuestionTurns::default();
        let (at_work, most) = (Cell::new(0_u32), Cell::new(0_u32));
        let work = |question: u8| {
            turns.alone([question; 16], async {
                at_work.set(at_work.get() + 1);
                most.set(most.get().max(at_work.get()));
                tokio::task::yield_now().await;
                at_work.set(at_work.get() - 1);
            })
        };

        join3(work(1), work(1), work(1)).await;
        assert_eq!(most.get(), 1);
        join3(work(1), work(2), work(3)).await;
        assert_eq!(most.get(), 3);

        assert!(turns.by_question.borrow().is_empty());
    }
}
