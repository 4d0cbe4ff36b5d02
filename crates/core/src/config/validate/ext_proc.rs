//! The listener for Envoy: who may reach it, names of headers, bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::edge::collide;
use super::{ConfigChecker, KeyPath, root};
use crate::config::ExtProcConfig;

const MESSAGE_BYTES: RangeInclusive<usize> = 1 << 10..=(1 << 30) + (1 << 20);
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);

/// Fields by which HTTP frames and reads a request, by which a provider knows who asks, or by which requests are told apart:
/// a model's name in one of them breaks the request, and what stood there would be lost.
const OF_REQUESTS: [&str; 39] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "api-key",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "keep-alive",
    "openai-beta",
    "origin",
    "proxy-authenticate",
    "proxy-connection",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "traceparent",
    "tracestate",
];

/// The ends of fields that hold keys.
const OF_REQUESTS_ENDS: [&str; 3] = ["-api-key", "-authorization", "-token"];

impl ConfigChecker<'_> {
    /// Checks the section: other machines reach it within TLS alone, unless the operator says otherwise.
    pub(super) fn ext_proc(&mut self) {
        let config = self.config;
        let (path, Some(section)) = (root("ext_proc"), &config.ext_proc) else { return };
        if section.is_open() && section.tls.is_none() && !section.allow_open {
            let message = format!(
                "other machines may reach {}, and prompts and keys would cross the network in the clear (allowed: a \
                 loopback address such as 127.0.0.1:{}; any other with `tls`, or with `allow_open: true` where the network \
                 keeps others out)",
                section.address,
                section.address.port()
            );
            self.wrong(&path.key("address"), message);
        }
        if section.socket.as_ref().is_some_and(|socket| socket.as_os_str().is_empty()) {
            self.wrong(&path.key("socket"), "must be the path of a Unix socket");
        }
        if section.socket.is_some() && section.address != ExtProcConfig::default().address {
            let message = "stands in for `address`, which says another place (allowed: one of the two)";
            self.wrong(&path.key("socket"), message);
        }
        let others = config.listen.iter().map(|listen| listen.address).chain([config.admin.address]);
        let mut others = others.filter(|_| section.socket.is_none());
        if let Some(other) = others.find(|other| collide(*other, section.address)) {
            self.wrong(&path.key("address"), format!("must differ from the other listeners, one of which is {other}"));
        }
        self.model_headers(&path, section);
        if let Some(bytes) = section.max_message_bytes {
            self.within(&path.key("max_message_bytes"), &bytes, &MESSAGE_BYTES);
        }
        self.span(&path.key("deadline"), section.deadline, &DEADLINE);
        if let Some(tls) = &section.tls {
            self.mutual_tls(&path.key("tls"), tls);
        }
    }

    /// Checks the names of the headers that say the model.
    fn model_headers(&mut self, path: &KeyPath, section: &ExtProcConfig) {
        let headers = [("model_header", Some(&section.model_header))];
        for (key, name) in
            headers.into_iter().chain([("upstream_model_header", section.upstream_model_header.as_ref())])
        {
            let Some(name) = name else { continue };
            let lower = name.to_ascii_lowercase();
            // Envoy drops these without a word.
            let is_kept_out = lower == "host" || lower.starts_with("x-envoy-");
            if name.parse::<http::HeaderName>().is_err() {
                self.wrong(&path.key(key), format!("`{name}` is not a header's name"));
            } else if is_kept_out {
                self.wrong(
                    &path.key(key),
                    format!("Envoy lets nobody set `{name}` (allowed: any but `host` and `x-envoy-*`)"),
                );
            } else if OF_REQUESTS.contains(&&*lower) || OF_REQUESTS_ENDS.iter().any(|end| lower.ends_with(end)) {
                let message = format!(
                    "`{name}` says something else of a request, which would be lost (allowed: a name of its own, such as \
                     `x-model`)"
                );
                self.wrong(&path.key(key), message);
            }
        }
        if section.upstream_model_header.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&section.model_header)) {
            self.wrong(&path.key("upstream_model_header"), "must differ from `model_header`");
        }
    }
}
