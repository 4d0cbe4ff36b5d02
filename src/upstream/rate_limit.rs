//! The headers by which an answer says when a rate limit ends, beside `Retry-After`.
//!
//! OpenAI: `x-ratelimit-remaining-requests: 0` and `x-ratelimit-reset-requests: 6m0s`, and the same of tokens. Others:
//! `x-ratelimit-reset` or `ratelimit-reset` in seconds from now, or since 1970.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// The kinds of limits that OpenAI's headers tell apart.
const KINDS: [&str; 2] = ["requests", "tokens"];

/// The headers of others that say one limit.
const PLAIN: [&str; 2] = ["x-ratelimit-reset", "ratelimit-reset"];

/// A number of seconds that is a moment since 1970, not a wait.
const A_MOMENT: f64 = 1e9;

/// Returns how long the limit lasts that an answer of 429 was refused by: of several that are used up the longest.
pub(crate) fn limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let used_up = KINDS.iter().filter(|kind| text(&format!("x-ratelimit-remaining-{kind}")) == Some("0"));
    let reset = |kind: &&str| wait(text(&format!("x-ratelimit-reset-{kind}"))?);
    used_up.filter_map(reset).max().or_else(|| PLAIN.iter().find_map(|name| seconds(text(name)?, SystemTime::now())))
}

/// Reads a wait as Go writes durations: `20ms`, `1.5s`, `6m0s`.
fn wait(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut whole = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        whole += number
            * match &unit[..end] {
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &unit[end..];
    }
    (!text.is_empty()).then(|| Duration::from_secs_f64(whole.min(1e6)))
}

fn seconds(text: &str, now: SystemTime) -> Option<Duration> {
    let number: f64 = text.parse().ok().filter(|number: &f64| *number >= 0.0 && number.is_finite())?;
    if number < A_MOMENT {
        return Some(Duration::from_secs_f64(number.min(1e6)));
    }
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(number).ok()?)?;
    Some(at.duration_since(now).unwrap_or_default().min(Duration::from_secs(1_000_000)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn reset(fields: &[(&'static str, &'static str)]) -> Option<Duration> {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        limit_reset(&fields.iter().map(field).collect())
    }

    #[test]
    fn the_limit_that_is_used_up_says_when_it_ends() {
        let limits = [
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0.5s"),
        ];

        assert_eq!(reset(&limits), Some(Duration::from_millis(360_500)));
        assert_eq!(reset(&limits[..2]), None);
        assert_eq!(reset(&[("x-ratelimit-reset", "12")]), Some(Duration::from_secs(12)));
        assert_eq!(reset(&[]), None);
    }

    #[test]
    fn a_wait_is_read_in_any_unit_and_nothing_else_is() {
        for (text, milliseconds) in [("20ms", 20), ("1.5s", 1500), ("1h2m3s", 3_723_000), ("1d", 86_400_000)] {
            assert_eq!(wait(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "soon", "5", "5 s", "s", "1.2.3s", "-1s", "1y"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_from_now_or_since_1970() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);

        assert_eq!(seconds("3.5", now), Some(Duration::from_millis(3500)));
        assert_eq!(seconds("1800000009", now), Some(Duration::from_secs(9)));
        assert_eq!(seconds("1700000000", now), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "inf", "NaN"] {
            assert_eq!(seconds(text, now), None, "{text}");
        }
    }
}
