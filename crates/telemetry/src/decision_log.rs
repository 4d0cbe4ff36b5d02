//! The decision log: one JSON object a line for each decided request and each word of feedback.
//!
//! A request hands its line over as it is, unwritten ([`DecisionLogEntry`]), to one writer thread behind a bounded
//! queue: it never waits for a disk, and a line that finds the queue full is dropped and counted. Prompts are kept only
//! as a keyed hash unless the operator asked for their text, and answers only of the share of requests that the operator
//! named. What of texts is personal or secret can be replaced before it is written.

mod files;
pub mod record;
mod redaction;
mod sampling;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use pointsman_core::config;
use pointsman_core::config::Secret;
use ring::hmac;
use writer::{LogWriter, WriterMessage};

pub use self::redaction::RedactedText;
use self::redaction::{Redactor, before_cut};
pub use self::sampling::RequestSample;

use super::{DroppedLine, Metrics};

/// Bytes of each end of a longer text that are hashed, with its length: a request must not wait for more.
const HASHED_BYTES: usize = 32 << 10;

/// The wait of a flush before it looks at a full queue again.
const RETRY: Duration = Duration::from_millis(5);

/// Lines that may wait for a program that reads its own decisions; it asks for far fewer at a time.
const HANDED_LINES: usize = 4096;

/// An entry that the writer's thread turns into a line.
pub trait DecisionLogEntry: Send {
    /// Appends one JSON object without line breaks. Runs on the writer's thread.
    fn write(&self, line: &mut Vec<u8>);
}

/// A handle to the writer; clones share it. The thread ends when the last one is dropped and all lines are written.
#[derive(Debug, Clone)]
pub struct DecisionLog(Arc<DecisionLogQueue>);

struct DecisionLogQueue {
    queue: SyncSender<WriterMessage>,
    key: Option<hmac::Key>,
    max_text: Option<usize>,
    answers: Option<LoggedAnswers>,
    redactor: Option<Redactor>,
    metrics: Arc<Metrics>,
}

/// The answers that are written.
#[derive(Debug, Clone, Copy)]
struct LoggedAnswers {
    sample: RequestSample,
    max_bytes: usize,
}

/// The part of a prompt that the decision log keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoggedText {
    /// HMAC-SHA256 in hexadecimal digits, if there is a key: of the text, and of a text longer than 64 KiB of its first
    /// and last 32 KiB and its length.
    pub hash: Option<String>,
    /// The text, if the operator wants texts; the end may be cut.
    pub text: Option<String>,
    /// Bytes of the whole text.
    pub bytes: usize,
}

impl DecisionLog {
    /// Starts the writer; the file is opened for the first line. `secret` hashes texts, relative paths start at
    /// `base_dir`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        section: &config::DecisionLogConfig,
        secret: Option<&Secret>,
        base_dir: &Path,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let (queue, lines) = sync_channel(section.queue);
        let writer = LogWriter::new(section, base_dir, Arc::clone(metrics));
        std::thread::Builder::new().name("decision-log".into()).spawn(move || writer.run(&lines))?;
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        let max_text = section.text.then_some(section.max_text_bytes);
        let redactor = section.answers.as_ref().and_then(|answers| Redactor::new(&answers.redact));
        let answers = section.answers.as_ref().map(|answers| LoggedAnswers {
            sample: RequestSample::new(answers.sample.get()),
            max_bytes: answers.max_bytes,
        });
        Ok(Self(Arc::new(DecisionLogQueue { queue, key, max_text, answers, redactor, metrics: Arc::clone(metrics) })))
    }

    /// Starts a writer that hands each line to `take` in place of a file: for a program that reads its own decisions.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn handing_over(mut take: impl FnMut(&[u8]) + Send + 'static, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let (queue, messages) = sync_channel(HANDED_LINES);
        let hand_over = move || {
            let mut line = Vec::new();
            for message in messages {
                match message {
                    WriterMessage::Line(entry) => {
                        line.clear();
                        entry.write(&mut line);
                        take(&line);
                    }
                    WriterMessage::Flush(done) => drop(done.try_send(())), // whoever asked may have given up
                }
            }
        };
        std::thread::Builder::new().name("decision-lines".into()).spawn(hand_over)?;
        let (key, max_text, answers, redactor) = (None, None, None, None);
        Ok(Self(Arc::new(DecisionLogQueue { queue, key, max_text, answers, redactor, metrics: Arc::clone(metrics) })))
    }

    /// Returns what may be kept of `text`. Takes microseconds for a few KiB and a tenth of a millisecond at most.
    #[must_use]
    pub fn keep(&self, text: &str) -> LoggedText {
        let hash = self.0.key.as_ref().map(|key| hex(hash(key, text.as_bytes()).as_ref()));
        let kept = self.0.max_text.map(|max| text[..text.floor_char_boundary(max.min(text.len()))].to_owned());
        LoggedText { hash, text: kept, bytes: text.len() }
    }

    /// Returns whether texts are written.
    #[must_use]
    pub fn keeps_text(&self) -> bool {
        self.0.max_text.is_some()
    }

    /// Returns how many bytes of a request's answer are written; `None` where its answer is not.
    #[must_use]
    pub fn answer_bytes(&self, request_id: &str) -> Option<usize> {
        self.0.answers.filter(|answers| answers.sample.has(request_id)).map(|answers| answers.max_bytes)
    }

    /// Replaces what the operator does not want written. Takes time by the text's length: for the writer's thread.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> RedactedText<'t> {
        self.0.redactor.as_ref().map_or_else(|| RedactedText::unchanged(text), |redactor| redactor.redact(text))
    }

    /// Like [`Self::redact`], for a text whose end was cut: its last word goes too, with the groups of a number before
    /// it, as it may be half of a secret.
    #[must_use]
    pub fn redact_cut<'t>(&self, text: &'t str) -> RedactedText<'t> {
        self.redact(if self.0.redactor.is_some() { before_cut(text) } else { text })
    }

    /// Hands a line over and returns at once; false when it was dropped, which is counted.
    pub fn write(&self, entry: Box<dyn DecisionLogEntry>) -> bool {
        match self.0.queue.try_send(WriterMessage::Line(entry)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.0.metrics.log_dropped(DroppedLine::QueueFull, 1);
                false
            }
            Err(TrySendError::Disconnected(_)) => {
                self.0.metrics.log_dropped(DroppedLine::WriteFailed, 1);
                false
            }
        }
    }

    /// Waits until everything that was handed over before is on the disk, `patience` at most. Blocks.
    pub fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let (done, waits) = sync_channel(1);
        let mut message = WriterMessage::Flush(done);
        loop {
            match self.0.queue.try_send(message) {
                Ok(()) => return waits.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok(),
                // A full queue drains, unless the disk hangs.
                Err(TrySendError::Full(back)) if Instant::now() < deadline => message = back,
                Err(_) => return false,
            }
            #[expect(clippy::disallowed_methods, reason = "the queue has no sending with a deadline")]
            std::thread::sleep(RETRY);
        }
    }
}

impl std::fmt::Debug for DecisionLogQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionLogQueue").field("max_text", &self.max_text).finish_non_exhaustive()
    }
}

fn hash(key: &hmac::Key, text: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    if text.len() <= 2 * HASHED_BYTES {
        context.update(text);
    } else {
        context.update(&text[..HASHED_BYTES]);
        context.update(&text[text.len() - HASHED_BYTES..]);
        context.update(&(text.len() as u64).to_le_bytes());
    }
    context.sign()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;
