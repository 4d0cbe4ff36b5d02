//! Inputs that crashed or stalled a session, so that the same text does not take the workers down again and again.
//!
//! The first strike makes an input a suspect: it is run alone from then on, and a clean run clears it. The second one
//! poisons it. The book is bounded and lives as long as the classifier: new weights get a new chance.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cache::Key;

/// The most inputs that are remembered; the oldest is forgotten first.
const LIMIT: usize = 1024;

/// Strikes that poison.
const POISONED: u8 = 2;

/// The book of strikes, shared by the workers of a classifier.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    /// How many are in the book: a look without a lock, since there is hardly ever one.
    known: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    strikes: HashMap<Key, u8>,
    order: VecDeque<Key>,
}

impl Strikes {
    /// Returns whether an input is not to be tried again.
    pub(crate) fn is_poisoned(&self, key: Key) -> bool {
        self.of(key) >= POISONED
    }

    /// Returns whether an input has to run alone.
    pub(crate) fn is_suspect(&self, key: Key) -> bool {
        self.of(key) > 0
    }

    /// Notes that a run with this input crashed or stalled.
    pub(crate) fn strike(&self, key: Key) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let strikes = book.strikes.entry(key).or_default();
        *strikes = strikes.saturating_add(1);
        if *strikes == 1 {
            book.order.push_back(key);
        }
        if book.order.len() > LIMIT
            && let Some(oldest) = book.order.pop_front()
        {
            book.strikes.remove(&oldest);
        }
        self.known.store(book.strikes.len(), Ordering::Release);
    }

    /// Clears a suspect that ran well.
    pub(crate) fn clear(&self, key: Key) {
        if self.known.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if book.strikes.remove(&key).is_some() {
            book.order.retain(|other| *other != key);
            self.known.store(book.strikes.len(), Ordering::Release);
        }
    }

    fn of(&self, key: Key) -> u8 {
        if self.known.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.strikes.get(&key).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::tests::input;

    fn key(number: usize) -> Key {
        input(&format!("text {number}")).1
    }

    #[test]
    fn the_first_strike_makes_a_suspect_and_the_second_poisons() {
        let strikes = Strikes::default();

        strikes.strike(key(1));
        assert!(strikes.is_suspect(key(1)) && !strikes.is_poisoned(key(1)) && !strikes.is_suspect(key(2)));

        strikes.strike(key(1));
        assert!(strikes.is_poisoned(key(1)) && !strikes.is_poisoned(key(2)));
    }

    #[test]
    fn a_clean_run_clears_a_suspect() {
        let strikes = Strikes::default();
        strikes.strike(key(1));

        strikes.clear(key(1));
        strikes.strike(key(1));

        assert!(!strikes.is_poisoned(key(1)));
    }

    #[test]
    fn the_oldest_is_forgotten_when_the_book_is_full() {
        let strikes = Strikes::default();

        (0..=LIMIT).for_each(|number| strikes.strike(key(number)));

        assert!(!strikes.is_suspect(key(0)));
        assert!(strikes.is_suspect(key(1)) && strikes.is_suspect(key(LIMIT)));
    }
}
