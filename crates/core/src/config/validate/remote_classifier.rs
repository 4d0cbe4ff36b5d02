//! Classifiers that run elsewhere: addresses, what a protocol takes, heads that can be made of its answers.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ConfigChecker;
use super::peers::is_host;
use crate::config::collector::OtlpCollector;
use crate::config::problem::KeyPath;
use crate::config::{
    ClassifierConfig, RemoteClassifierConfig, RemoteHead, RemoteProtocol, RemoteQuestionKind, RemoteTerm,
};

const ADDRESSES: usize = 16;
const CONCURRENT: RangeInclusive<usize> = 1..=1024;
const CHARS: RangeInclusive<usize> = 100..=1_000_000;
const FAILURES: RangeInclusive<u32> = 1..=1000;
const REST: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);
const HEADS: usize = 64;
const LABELS: usize = 255;
const TERMS: usize = 64;

impl ConfigChecker<'_> {
    pub(super) fn remote_classifier(
        &mut self,
        path: &KeyPath,
        remote: &RemoteClassifierConfig,
        classifier: &ClassifierConfig,
    ) {
        self.remote_addresses(path, remote);
        self.remote_request(path, remote);
        if let Some(timeout) = remote.timeout {
            self.span(&path.key("timeout"), timeout, &(Duration::from_millis(1)..=classifier.deadline.0));
        }
        self.within(&path.key("max_concurrent"), &remote.max_concurrent, &CONCURRENT);
        self.within(&path.key("max_chars"), &remote.max_chars, &CHARS);
        self.within(&path.key("breaker").key("failures"), &remote.breaker.failures, &FAILURES);
        self.span(&path.key("breaker").key("rest"), remote.breaker.rest, &REST);
        let quantile = remote.hedge.quantile.get();
        if !(0.5..1.0).contains(&quantile) {
            let message = format!("{quantile} is out of bounds (allowed: from 0.5, below 1)");
            self.wrong(&path.key("hedge").key("quantile"), message);
        }
        let path = path.key("heads");
        if remote.heads.is_empty() && remote.protocol != RemoteProtocol::Pointsman {
            self.wrong(&path, "has no head (allowed: at least one, made of the server's outputs)");
        }
        if remote.heads.len() > HEADS {
            self.wrong(&path, format!("has {} heads (allowed: up to {HEADS})", remote.heads.len()));
        }
        for (name, head) in &remote.heads {
            self.remote_head(&path.key(name), head, remote.protocol);
        }
    }

    fn remote_addresses(&mut self, path: &KeyPath, remote: &RemoteClassifierConfig) {
        if remote.url.is_some() != remote.urls.is_empty() {
            self.wrong(path, "names no server, or names it twice (allowed: one of `url` and `urls`)");
        }
        if remote.urls.len() > ADDRESSES {
            let message = format!("has {} servers (allowed: up to {ADDRESSES})", remote.urls.len());
            self.wrong(&path.key("urls"), message);
        }
        let own = remote.url.iter().map(|url| (path.key("url"), url));
        let more = remote.urls.iter().enumerate().map(|(index, url)| (path.key("urls").index(index), url));
        for (path, url) in own.chain(more) {
            if !is_server(url) {
                self.wrong(&path, "is not the URL of a server (allowed: http(s)://host[:port][/prefix])");
            }
        }
        if remote.tls.is_some() && !remote.addresses().all(|url| url.starts_with("https:")) {
            self.wrong(&path.key("tls"), "has no meaning for this url (allowed: with https:// only)");
        }
        if let Some(name) = remote.tls.as_ref().and_then(|tls| tls.sni.as_deref())
            && !is_host(name)
        {
            self.wrong(&path.key("tls").key("sni"), format!("`{name}` is not a host name"));
        }
        if let Some(source) = &remote.credential {
            self.secret_source(&path.key("credential"), source);
        }
        for (name, source) in &remote.headers {
            let path = path.key("headers").key(name);
            if !OtlpCollector::is_header(name) {
                self.wrong(&path, "is not a header field that can be added (allowed: such as x-scope-orgid)");
            }
            self.secret_source(&path, source);
        }
    }

    fn remote_request(&mut self, path: &KeyPath, remote: &RemoteClassifierConfig) {
        let (protocol, name) = (remote.protocol, remote.protocol.as_str());
        if remote.model.as_deref().is_none_or(str::is_empty) && (protocol.is_oip() || protocol.asks_questions()) {
            self.wrong(&path.key("model"), format!("is missing (allowed: the model's name, which `{name}` needs)"));
        }
        for (key, name) in [("model", &remote.model), ("version", &remote.version)] {
            if protocol.is_oip() && name.as_deref().is_some_and(|name| !is_path_part(name)) {
                self.wrong(&path.key(key), "is no part of a path (allowed: letters, digits and - . _ ~)");
            }
        }
        for (key, value) in [("version", &remote.version), ("input", &remote.input)] {
            if value.is_some() && !protocol.is_oip() {
                self.wrong(&path.key(key), format!("has no meaning for `{name}` (allowed: for oip_http, oip_grpc)"));
            }
        }
        let Some(own) = &remote.path else { return };
        let path = path.key("path");
        if protocol.is_oip() {
            self.wrong(&path, format!("has no meaning for `{name}` (allowed: for the other protocols)"));
        } else if !own.starts_with('/') || own.parse::<http::uri::PathAndQuery>().is_err() {
            self.wrong(&path, format!("`{own}` is not a path (allowed: begins with /)"));
        }
    }

    fn remote_head(&mut self, path: &KeyPath, head: &RemoteHead, protocol: RemoteProtocol) {
        let name = protocol.as_str();
        if head.output.is_some() && (protocol.has_one_output() || !head.sum.is_empty()) {
            let problem = if head.sum.is_empty() { "a protocol with one output" } else { "a head with a `sum`" };
            self.wrong(&path.key("output"), format!("has no meaning for {problem} (allowed: to leave it out)"));
        }
        if head.labels.is_empty() && (head.is_number() || !protocol.names_labels()) {
            self.wrong(&path.key("labels"), format!("are missing (allowed: at least two, as `{name}` names none)"));
        }
        if head.labels.len() == 1 || head.labels.len() > LABELS {
            let message = format!("has {} labels (allowed: 2 to {LABELS})", head.labels.len());
            self.wrong(&path.key("labels"), message);
        }
        let labels: BTreeSet<_> = head.labels.iter().collect();
        if labels.len() < head.labels.len() || labels.iter().any(|label| label.trim().is_empty()) {
            self.wrong(&path.key("labels"), "holds a label twice, or an empty one (allowed: names of their own)");
        }
        for (theirs, ours) in &head.rename {
            if !head.labels.is_empty() && !labels.contains(ours) {
                let message = format!("`{ours}` is not among `labels` (allowed: {})", head.labels.join(", "));
                self.wrong(&path.key("rename").key(theirs), message);
            }
        }
        self.remote_number(path, head, protocol);
        self.remote_question(path, head, protocol);
    }

    fn remote_number(&mut self, path: &KeyPath, head: &RemoteHead, protocol: RemoteProtocol) {
        if let Some([low, high]) = head.range
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            self.wrong(&path.key("range"), "is no range (allowed: [lowest, highest], finite)");
        }
        if head.range.is_some() && !head.cuts.is_empty() {
            self.wrong(&path.key("range"), "stands beside `cuts` (allowed: one of them)");
        }
        let cuts = if head.cuts.is_empty() { 1 } else { head.cuts.len() };
        if head.is_number() && !head.labels.is_empty() && head.labels.len() != cuts + 1 {
            let message = format!("has {} labels for {} parts (allowed: {})", head.labels.len(), cuts + 1, cuts + 1);
            self.wrong(&path.key("labels"), message);
        }
        if head.cuts.iter().any(|cut| !cut.is_finite()) || head.cuts.windows(2).any(|pair| pair[0] >= pair[1]) {
            self.wrong(&path.key("cuts"), "do not rise (allowed: finite numbers, each above the one before)");
        }
        if head.sum.len() > TERMS {
            self.wrong(&path.key("sum"), format!("has {} terms (allowed: up to {TERMS})", head.sum.len()));
        }
        for (index, term) in head.sum.iter().enumerate() {
            self.remote_term(&path.key("sum").index(index), term, protocol);
        }
    }

    fn remote_term(&mut self, path: &KeyPath, term: &RemoteTerm, protocol: RemoteProtocol) {
        if term.output.is_some() == protocol.has_one_output() {
            let problem =
                if term.output.is_some() { "has no meaning for a protocol with one output" } else { "is missing" };
            let allowed = if term.output.is_some() { "to leave it out" } else { "the name of an output" };
            self.wrong(&path.key("output"), format!("{problem} (allowed: {allowed})"));
        }
        let numbers = [term.weight, term.divide].into_iter().chain(term.floor).chain(term.values.iter().copied());
        if numbers.into_iter().any(|number| !number.is_finite()) || term.divide == 0.0 {
            self.wrong(path, "holds a number that is not finite, or divides by 0 (allowed: finite numbers)");
        }
    }

    fn remote_question(&mut self, path: &KeyPath, head: &RemoteHead, protocol: RemoteProtocol) {
        let path = path.key("question");
        let Some(question) = &head.question else {
            if protocol.asks_questions() && head.sum.is_empty() {
                self.wrong(&path, format!("is missing (allowed: what `{}` is asked)", protocol.as_str()));
            }
            return;
        };
        if !protocol.asks_questions() || head.is_number() {
            self.wrong(&path, "has no meaning here (allowed: for heads of labels of decisions and systemone)");
        }
        if question.instructions.trim().is_empty() {
            self.wrong(&path.key("instructions"), "is empty (allowed: the question)");
        }
        if question.kind == RemoteQuestionKind::Predicate && head.labels.len() != 2 {
            self.wrong(
                &path.key("kind"),
                "`predicate` has two answers (allowed: two `labels`, the second one for yes)",
            );
        }
        for label in question.descriptions.keys() {
            if !head.labels.contains(label) {
                let message = format!("`{label}` is not among `labels` (allowed: {})", head.labels.join(", "));
                self.wrong(&path.key("descriptions").key(label), message);
            }
        }
    }
}

/// Tells whether a name can be a part of a path as it stands.
fn is_path_part(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Tells whether `url` is that of a server, without a user and without a query.
fn is_server(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    is_http && url.query().is_none() && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
}
