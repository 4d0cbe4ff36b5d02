//! The one reader of `Retry-After`.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

/// The field in which OpenAI and Azure say milliseconds; their SDKs prefer it.
pub const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The longest wait that an answer can ask for, by `Retry-After` or in its body: a server may be back sooner than it fears.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Reads how long an answer asks to wait: `retry-after-ms`, else `Retry-After` (RFC 9110, section 10.2.3) in seconds or
/// as a date; at most five minutes.
///
/// Fractions of a second are read too, because rate limiters send them. A date that is past is no wait, which is an
/// answer: the server is ready now.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let milliseconds = text(&RETRY_AFTER_MS).and_then(|value| value.trim().parse::<f64>().ok());
    let milliseconds = milliseconds.filter(|wait| *wait >= 0.0 && wait.is_finite());
    match milliseconds {
        Some(wait) => Some(Duration::from_secs_f64((wait / 1e3).min(1e6)).min(LONGEST_WAIT)),
        None => wait_at(SystemTime::now(), text(&header::RETRY_AFTER)?),
    }
}

fn wait_at(now: SystemTime, value: &str) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => Duration::from_secs_f64(seconds.min(1e6)),
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_count_before_seconds_where_they_are_a_number() {
        let wait = |fields: &[(HeaderName, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
            retry_after(&fields.collect())
        };
        let seconds = || (header::RETRY_AFTER, "7");

        assert_eq!(wait(&[seconds(), (RETRY_AFTER_MS, "20.5")]), Some(Duration::from_micros(20_500)));
        assert_eq!(wait(&[seconds(), (RETRY_AFTER_MS, "soon")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[(RETRY_AFTER_MS, "1e9")]), Some(LONGEST_WAIT));
        assert_eq!(wait(&[seconds()]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");

        for (value, wait) in [
            ("7", Some(Duration::from_secs(7))),
            (" 0.5 ", Some(Duration::from_millis(500))),
            ("0", Some(Duration::ZERO)),
            ("1000000", Some(LONGEST_WAIT)),
            ("1e400", None),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(Duration::from_secs(30))),
            (" Sun, 06 Nov 1994 08:50:07 GMT ", Some(Duration::from_secs(30))),
            ("Sun, 06 Nov 1994 09:50:07 GMT", Some(LONGEST_WAIT)),
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
