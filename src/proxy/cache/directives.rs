//! What clients and providers say by `Cache-Control` (RFC 9111, 5.2). Directives that ask for older answers than the policy
//! gives have no effect.

use std::time::Duration;

use http::{HeaderMap, header};

/// The directives of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CacheDirectives {
    /// Neither give a kept answer nor keep this one.
    pub(super) no_store: bool,
    /// Give no kept answer.
    pub(super) no_cache: bool,
    /// Give no older answer.
    pub(super) max_age: Option<Duration>,
    /// Give a kept answer or none.
    pub(super) only_if_cached: bool,
}

impl CacheDirectives {
    /// Reads those of a request; what is not known is left out, as the standard wants.
    pub(super) fn of(fields: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for (name, value) in words(fields) {
            match &*name {
                "no-store" => directives.no_store = true,
                "no-cache" => directives.no_cache = true,
                "only-if-cached" => directives.only_if_cached = true,
                // An age that cannot be read is as good as over.
                "max-age" => directives.max_age = Some(Duration::from_secs(value.parse().unwrap_or(0))),
                _ => {}
            }
        }
        directives
    }
}

/// Returns whether an answer says that nobody may keep it.
pub(super) fn forbids_keeping(answer: &HeaderMap) -> bool {
    words(answer).any(|(name, _)| name == "no-store")
}

fn words(fields: &HeaderMap) -> impl Iterator<Item = (String, &str)> {
    let values = fields.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::CACHE_CONTROL, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn directives_are_read_in_any_case_and_from_every_field() {
        let none = CacheDirectives::default();
        for (said, expected) in [
            (&[][..], none),
            (&["public, max-stale=60, min-fresh=5"], none),
            (&["No-Store"], CacheDirectives { no_store: true, ..none }),
            (&["no-cache , only-if-cached"], CacheDirectives { no_cache: true, only_if_cached: true, ..none }),
            (&["max-age=\"60\""], CacheDirectives { max_age: Some(Duration::from_secs(60)), ..none }),
            (&["max-age=x"], CacheDirectives { max_age: Some(Duration::ZERO), ..none }),
            (
                &["max-age=5", "no-store"],
                CacheDirectives { no_store: true, max_age: Some(Duration::from_secs(5)), ..none },
            ),
        ] {
            assert_eq!(CacheDirectives::of(&fields(said)), expected, "{said:?}");
        }
    }

    #[test]
    fn an_answer_that_nobody_may_keep_says_no_store() {
        assert!(forbids_keeping(&fields(&["private, no-store"])));
        assert!(!forbids_keeping(&fields(&["no-cache, must-revalidate"])) && !forbids_keeping(&HeaderMap::new()));
    }
}
