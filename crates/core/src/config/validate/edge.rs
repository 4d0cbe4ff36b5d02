//! Listeners, limits, clients: addresses that differ, bounds, keys that belong to one client. `admin` has that listener's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath, TIMEOUT, root};
use crate::config::{ClientConfig, KeyHash, MutualTls, Name, WebSocketLimits};

const BODY_BYTES: RangeInclusive<usize> = 1..=1 << 30;
const HEADER_BYTES: RangeInclusive<usize> = 1 << 10..=1 << 20;
const BYTES_IN_FLIGHT: RangeInclusive<usize> = 1..=1 << 40;
const COUNT: RangeInclusive<usize> = 1..=1 << 20;
const DECISION_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(10);
const DEPTH: RangeInclusive<usize> = 16..=1 << 20;
const RATE: RangeInclusive<u64> = 1..=1_000_000_000;
const SOCKET_TIME: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(24);
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

impl ConfigChecker<'_> {
    pub(super) fn listeners(&mut self) {
        let config = self.config;
        if config.listen.is_empty() {
            self.wrong(&root("listen"), "must hold at least one listener");
        }
        for (index, listen) in config.listen.iter().enumerate() {
            if let Some(before) = config.listen[..index].iter().position(|other| collide(other.address, listen.address))
            {
                let message = format!("`{}` is taken by listen[{before}] already", listen.address);
                self.wrong(&root("listen").index(index).key("address"), message);
            }
            if collide(listen.address, config.admin.address) {
                let message = format!("must differ from listen.address, which is {}", listen.address);
                self.wrong(&root("admin").key("address"), message);
            }
            if let Some(tls) = &listen.tls {
                for (key, file) in [("cert", &tls.cert), ("key", &tls.key)] {
                    if file.as_os_str().is_empty() {
                        self.wrong(&root("listen").index(index).key("tls").key(key), "must be the path of a PEM file");
                    }
                }
            }
        }
        self.admin();
        self.grpc();
    }

    /// Models of typed decisions name who answers for them.
    pub(super) fn decisions(&mut self) {
        let config = self.config;
        for (name, section) in &config.decisions {
            let path = root("decisions").key(name);
            match &section.classifier {
                Some(classifier) => self.reference(&path.key("classifier"), classifier, "classifiers", "classifier"),
                None if section.judge.is_none() => {
                    self.wrong(&path, "must say who answers (allowed: `classifier`, `judge`, or both)");
                }
                None => {}
            }
            if let Some(judge) = &section.judge {
                self.reference(&path.key("judge"), judge, "models", "model");
            }
            self.span(&path.key("timeout"), section.timeout, &DECISION_TIMEOUT);
            self.within(&path.key("max_concurrent"), &section.max_concurrent, &COUNT);
        }
    }

    /// Whoever reaches the gRPC listener may ask, unless keys are needed: beyond loopback the operator has to say so.
    fn grpc(&mut self) {
        let (path, config) = (root("grpc"), self.config);
        let Some(grpc) = &config.grpc else { return };
        let ext_proc =
            config.ext_proc.as_ref().filter(|section| section.socket.is_none()).map(|section| section.address);
        let others = config.listen.iter().map(|listen| listen.address).chain([config.admin.address]).chain(ext_proc);
        if let Some(other) = others.into_iter().find(|other| collide(*other, grpc.address)) {
            self.wrong(&path.key("address"), format!("must differ from that of another listener, which is {other}"));
        }
        let is_known = config.clients.is_some() || grpc.asks_for_certificates();
        if grpc.is_open() && !is_known && !grpc.allow_open {
            let message = format!(
                "other machines may reach {}, and nobody needs a key (allowed: a loopback address such as 127.0.0.1:{}; \
                 any other with `clients`, with `tls.client_ca`, or with `allow_open: true` where the network keeps others out)",
                grpc.address,
                grpc.address.port()
            );
            self.wrong(&path.key("address"), message);
        }
        if let Some(tls) = &grpc.tls {
            self.mutual_tls(&path.key("tls"), tls);
        }
    }

    /// The files of a listener whose callers may show certificates are named.
    pub(super) fn mutual_tls(&mut self, path: &KeyPath, tls: &MutualTls) {
        let files = [("cert", Some(&tls.cert)), ("key", Some(&tls.key)), ("client_ca", tls.client_ca.as_ref())];
        for (key, file) in files {
            if file.is_some_and(|file| file.as_os_str().is_empty()) {
                self.wrong(&path.key(key), "must be the path of a PEM file");
            }
        }
    }

    pub(super) fn limits(&mut self) {
        let (path, limits) = (root("limits"), &self.config.limits);
        self.within(&path.key("max_body_bytes"), &limits.max_body_bytes, &BODY_BYTES);
        self.within(&path.key("max_header_bytes"), &limits.max_header_bytes, &HEADER_BYTES);
        self.within(&path.key("max_messages"), &limits.max_messages, &COUNT);
        self.within(&path.key("max_parts"), &limits.max_parts, &COUNT);
        self.within(&path.key("max_depth"), &limits.max_depth, &DEPTH);
        if let Some(bytes) = limits.max_bytes_in_flight {
            self.within(&path.key("max_bytes_in_flight"), &bytes, &BYTES_IN_FLIGHT);
        }
        self.within(&path.key("max_connections"), &limits.max_connections, &COUNT);
        self.within(&path.key("max_requests"), &limits.max_requests, &COUNT);
        for (key, span) in [
            ("header", limits.header),
            ("body", limits.body),
            ("body_idle", limits.body_idle),
            ("write_idle", limits.write_idle),
        ] {
            self.span(&path.key(key), span, &TIMEOUT);
        }
        self.span(&path.key("keep_alive"), limits.keep_alive, &KEEP_ALIVE);
        self.span(&path.key("drain"), limits.drain, &(Duration::ZERO..=*TIMEOUT.end()));
        self.span(&path.key("drain_min"), limits.drain_min, &(Duration::ZERO..=*TIMEOUT.end()));
        self.websockets(&path.key("websocket"), &limits.websocket);
    }

    fn websockets(&mut self, path: &KeyPath, limits: &WebSocketLimits) {
        self.within(&path.key("max_open"), &limits.max_open, &(0..=*COUNT.end()));
        self.within(&path.key("max_open_per_client"), &limits.max_open_per_client, &COUNT);
        self.within(&path.key("max_bytes"), &limits.max_bytes, &BYTES_IN_FLIGHT);
        for (key, span) in [("idle", limits.idle), ("ping", limits.ping), ("max_session", limits.max_session)] {
            self.span(&path.key(key), span, &SOCKET_TIME);
        }
    }

    pub(super) fn clients(&mut self) {
        let mut owners: BTreeMap<KeyHash, &Name> = BTreeMap::new();
        for (name, client) in self.config.clients.iter().flatten() {
            let path = root("clients").key(name);
            for (index, key) in client.keys.iter().enumerate() {
                if let Some(owner) = owners.insert(key.sha256, name) {
                    let message = format!("is a key of `{owner}` already");
                    self.wrong(&path.key("keys").index(index).key("sha256"), message);
                }
            }
            self.client(&path, client);
        }
    }

    fn client(&mut self, path: &KeyPath, client: &ClientConfig) {
        if client.keys.is_empty() && self.config.client_keys.is_none() && !self.config.has_key(&path.key("keys")) {
            self.wrong(path, "must hold `keys` (allowed: none only with `client_keys`, whose registry holds them)");
        }
        if let Some(team) = &client.team {
            self.reference(&path.key("team"), team, "teams", "team");
        }
        self.client_policies(path, client.policies.as_deref());
        let limit = client.rate_limit;
        let rates =
            [("requests_per_minute", limit.requests_per_minute), ("tokens_per_minute", limit.tokens_per_minute)];
        for (key, rate) in rates {
            if let Some(rate) = rate {
                self.within(&path.key("rate_limit").key(key), &rate, &RATE);
            }
        }
    }
}

impl ConfigChecker<'_> {
    /// Checks the list of policies that may serve a client, or a team's clients.
    pub(super) fn client_policies(&mut self, path: &KeyPath, policies: Option<&[Name]>) {
        let known: Vec<_> = self.config.policies.iter().map(|policy| policy.name.as_str()).collect();
        for (index, policy) in policies.unwrap_or_default().iter().enumerate() {
            if !known.contains(&policy.as_str()) {
                let message = format!("there is no policy `{policy}` (allowed: {})", known.join(", "));
                self.wrong(&path.key("policies").index(index), message);
            }
        }
    }
}

/// A wildcard address takes the port on every interface.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_host
}
