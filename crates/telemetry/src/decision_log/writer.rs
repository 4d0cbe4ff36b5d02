//! The thread that writes: takes what waits, serialises it, and hands whole lines to the files.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use pointsman_core::config;

use super::DecisionLogEntry;
use super::files::LogFiles;
use crate::logging::LogFormat;
use crate::logging::escape::escaped;
use crate::{DroppedLine, Metrics};

/// Bytes that are written at once at most; fewer as soon as nothing waits.
const CHUNK: usize = 64 << 10;

/// A message to the writer's thread.
pub(super) enum WriterMessage {
    /// A line to write.
    Line(Box<dyn DecisionLogEntry>),
    /// A question that is answered once everything before it is on the disk.
    Flush(SyncSender<()>),
}

/// Turns entries into lines in files.
pub(super) struct LogWriter {
    files: LogFiles,
    metrics: Arc<Metrics>,
    chunk: usize,
    buffer: Vec<u8>,
    lines: u64,
    /// True when the last write failed; every change is logged, not every line.
    failing: bool,
}

impl LogWriter {
    pub(super) fn new(section: &config::DecisionLogConfig, base_dir: &Path, metrics: Arc<Metrics>) -> Self {
        let chunk = usize::try_from(section.max_bytes).unwrap_or(CHUNK).min(CHUNK);
        let files = LogFiles::new(section, base_dir);
        Self { files, metrics, chunk, buffer: Vec::new(), lines: 0, failing: false }
    }

    /// Writes until the last handle is dropped.
    pub(super) fn run(mut self, queue: &Receiver<WriterMessage>) {
        while let Ok(message) = queue.recv() {
            self.take(message);
            for message in queue.try_iter() {
                self.take(message);
            }
            self.write_out();
        }
    }

    fn take(&mut self, message: WriterMessage) {
        match message {
            WriterMessage::Line(entry) => {
                let start = self.buffer.len();
                entry.write(&mut self.buffer);
                if let Cow::Owned(line) = escaped(&self.buffer[start..], LogFormat::Json) {
                    self.buffer.truncate(start);
                    self.buffer.extend_from_slice(&line);
                }
                self.buffer.push(b'\n');
                // What is written at once must fit a file.
                if start > 0 && self.buffer.len() > self.chunk {
                    let line = self.buffer.split_off(start);
                    self.write_out();
                    self.buffer = line;
                }
                self.lines += 1;
                if self.buffer.len() >= self.chunk {
                    self.write_out();
                }
            }
            WriterMessage::Flush(done) => {
                self.write_out();
                self.files.sync();
                let _ = done.try_send(()); // whoever asked may have given up
            }
        }
    }

    fn write_out(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self.files.append(&self.buffer);
        let lines = std::mem::take(&mut self.lines);
        self.buffer.clear();
        match written {
            Ok(()) => {
                self.metrics.log_written(lines);
                if std::mem::take(&mut self.failing) {
                    tracing::info!(path = %self.files.path().display(), "The decision log is written again");
                }
            }
            Err(error) => {
                self.metrics.log_dropped(DroppedLine::WriteFailed, lines);
                if !std::mem::replace(&mut self.failing, true) {
                    let path = self.files.path().display();
                    tracing::error!(%path, %error, "The decision log cannot be written, lines are lost");
                }
            }
        }
    }
}
