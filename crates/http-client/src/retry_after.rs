//! The one reader of `Retry-After`.

use std::time::{Duration, SystemTime};

/// The longest wait that a `Retry-After` can ask for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Reads `Retry-After`: seconds, or a date; bounded.
#[must_use]
pub fn retry_after(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => Duration::from_secs_f64(seconds.min(1e6)),
        Ok(_) => return None,
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_and_bounded() {
        assert_eq!(retry_after("2"), Some(Duration::from_secs(2)));
        assert_eq!(retry_after("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("Fri, 01 Jan 2021 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("1000000"), Some(MAX_WAIT));
        assert_eq!([retry_after("soon"), retry_after("-1")], [None, None]);
    }
}
