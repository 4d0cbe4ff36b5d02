//! The one reader of `Retry-After`.

use std::time::{Duration, SystemTime};

/// The longest wait that a `Retry-After` can ask for: a server may be back sooner than it fears.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds or a date; at most five minutes.
///
/// Fractions of a second are read too, because rate limiters send them. A date that is past is no wait, which is an
/// answer: the server is ready now.
#[must_use]
pub fn retry_after(value: &str) -> Option<Duration> {
    wait_at(SystemTime::now(), value)
}

fn wait_at(now: SystemTime, value: &str) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => Duration::from_secs_f64(seconds.min(1e6)),
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_and_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");

        for (value, wait) in [
            ("7", Some(Duration::from_secs(7))),
            (" 0.5 ", Some(Duration::from_millis(500))),
            ("0", Some(Duration::ZERO)),
            ("1000000", Some(MAX_WAIT)),
            ("1e400", None),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(Duration::from_secs(30))),
            (" Sun, 06 Nov 1994 08:50:07 GMT ", Some(Duration::from_secs(30))),
            ("Sun, 06 Nov 1994 09:50:07 GMT", Some(MAX_WAIT)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(Duration::ZERO)), // past: it is ready now
            ("-1", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait_at(now, value), wait, "{value:?}");
        }
    }
}
