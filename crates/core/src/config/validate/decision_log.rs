//! The decision log: bounds, and a key for what is not written as text.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, root};
use crate::config::DecisionLogConfig;

const FILE_BYTES: RangeInclusive<u64> = 1 << 10..=1 << 40;
const FILES: RangeInclusive<usize> = 1..=10_000;
const QUEUE: RangeInclusive<usize> = 1..=65_536;
const TEXT_BYTES: RangeInclusive<usize> = 1..=1 << 20;
const AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 366);

impl ConfigChecker<'_> {
    pub(super) fn decision_log(&mut self, log: &DecisionLogConfig) {
        let path = root("decision_log");
        if log.path.file_name().is_none() {
            self.wrong(&path.key("path"), "must be the path of a file");
        }
        self.within(&path.key("max_text_bytes"), &log.max_text_bytes, &TEXT_BYTES);
        self.within(&path.key("max_bytes"), &log.max_bytes, &FILE_BYTES);
        self.span(&path.key("max_age"), log.max_age, &AGE);
        self.within(&path.key("max_files"), &log.max_files, &FILES);
        self.within(&path.key("queue"), &log.queue, &QUEUE);
        match &log.hash_key {
            Some(source) => self.credential(&path.key("hash_key"), &source.as_credential()),
            None if !log.text => {
                let message =
                    "is required where `text` is false (allowed: {env: VARIABLE} or {file: PATH} of a secret)";
                self.wrong(&path.key("hash_key"), message);
            }
            None => {}
        }
        if let Some(answers) = &log.answers {
            let path = path.key("answers");
            self.within(&path.key("max_bytes"), &answers.max_bytes, &TEXT_BYTES);
            if !log.text {
                let message = "needs `decision_log.text`, without which nobody knows what an answer is to (allowed: \
                               `decision_log.text: true` beside it)";
                self.wrong(&path, message);
            }
        }
    }
}
