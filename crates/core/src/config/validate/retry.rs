//! Retries: how often, how long, and after which statuses.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, TIMEOUT};
use crate::config::RetryConfig;
use crate::config::problem::KeyPath;

const ATTEMPTS: RangeInclusive<u32> = 1..=16;

const ERROR_STATUS: RangeInclusive<u16> = 400..=599;

const PAUSE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10);

impl ConfigChecker<'_> {
    pub(super) fn retry(&mut self, path: &KeyPath, retry: &RetryConfig) {
        self.within(&path.key("max_attempts"), &retry.max_attempts, &ATTEMPTS);
        self.span(&path.key("deadline"), retry.deadline, &TIMEOUT);
        self.span(&path.key("pause"), retry.pause, &PAUSE);
        self.span(&path.key("max_retry_after"), retry.max_retry_after, &TIMEOUT);
        for (index, status) in retry.statuses.iter().enumerate() {
            self.within(&path.key("statuses").index(index), status, &ERROR_STATUS);
        }
    }
}
