//! The bootstrap of an Envoy that asks Pointsman and sends requests to the providers: as plain YAML, each line of which is
//! there for a reason that `docs/envoy.md` gives.

mod clusters;
mod routes;
mod tls;
mod upstream_filters;

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pointsman_core::config::{Config, ExtProcConfig, ExtProcFailure};

/// The time that Envoy waits for one answer, at least.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The cluster of Pointsman itself, unless a provider is called so.
const OWN_CLUSTER: &str = "pointsman";

/// The way in which Envoy sends the bodies of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PrintedMode {
    /// Whole, in one message: Envoy holds the request back, and passes it on as it came where Pointsman is away.
    Buffered,
    /// In pieces, as the Gateway API Inference Extension has it.
    FullDuplexStreamed,
}

/// The bootstrap of an Envoy; printed by `Display`.
pub(super) struct EnvoyBootstrap<'c> {
    pub(super) config: &'c Config,
    /// The folder of the configuration's file.
    pub(super) folder: &'c Path,
    pub(super) listen: SocketAddr,
    pub(super) mode: PrintedMode,
    pub(super) shows_answers: bool,
    /// The files of the certificate that Envoy shows Pointsman, and of its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
}

/// Returns a text as YAML: JSON's strings are YAML's, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns a duration as protobuf's JSON has it.
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

impl EnvoyBootstrap<'_> {
    fn section(&self) -> ExtProcConfig {
        self.config.ext_proc.clone().unwrap_or_default()
    }

    /// Returns the name of Pointsman's own cluster.
    fn own_cluster(&self) -> String {
        self.unused_name(OWN_CLUSTER)
    }

    /// Returns a name of a cluster that is none of a provider's.
    fn unused_name(&self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while self.config.providers.keys().any(|provider| provider.as_str() == name) {
            name.push_str("-ext-proc");
        }
        name
    }

    /// Returns a path as Envoy finds it, wherever it is started.
    fn path(&self, path: &Path) -> String {
        self.folder.join(path).display().to_string()
    }

    /// Returns whether a request passes that Pointsman has not seen, and what is to be said about that.
    fn failure(&self, section: &ExtProcConfig) -> (bool, &'static str) {
        match (self.mode, section.failure) {
            (_, ExtProcFailure::Closed) => (false, ""),
            (PrintedMode::FullDuplexStreamed, ExtProcFailure::Open) => {
                (false, "  # although `failure` is open: true would change nothing in this mode")
            }
            (PrintedMode::Buffered, ExtProcFailure::Open) if self.config.clients.is_some() => (
                false,
                "  # although `failure` is open: `clients` need keys, at which nobody looks while Pointsman is away",
            ),
            (PrintedMode::Buffered, ExtProcFailure::Open) => (true, ""),
        }
    }

    /// Writes the filter that asks Pointsman.
    fn filter(&self, out: &mut String, section: &ExtProcConfig) -> fmt::Result {
        let mode = match self.mode {
            PrintedMode::FullDuplexStreamed => "FULL_DUPLEX_STREAMED",
            PrintedMode::Buffered => "BUFFERED",
        };
        let (passes, why) = self.failure(section);
        let cluster = quoted(&self.own_cluster());
        let trailers = if self.mode == PrintedMode::FullDuplexStreamed { ", request_trailer_mode: SEND" } else { "" };
        let answers = match (self.shows_answers, self.mode) {
            (false, _) => "response_header_mode: SKIP, response_body_mode: NONE",
            (true, PrintedMode::Buffered) => "response_header_mode: SEND, response_body_mode: STREAMED",
            (true, PrintedMode::FullDuplexStreamed) => {
                "response_header_mode: SEND, response_body_mode: FULL_DUPLEX_STREAMED, response_trailer_mode: SEND"
            }
        };
        let timeout = seconds(MESSAGE_TIMEOUT.max(section.deadline.0 * 2));
        write!(
            out,
            r#"          http_filters:
          - name: envoy.filters.http.ext_proc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              grpc_service: {{envoy_grpc: {{cluster_name: {cluster}, authority: pointsman}}, timeout: 0s}}
              processing_mode: {{request_header_mode: SEND, request_body_mode: {mode}{trailers}, {answers}}}
              message_timeout: {timeout}
              failure_mode_allow: {passes}{why}
              allow_mode_override: true
              metadata_options: {{receiving_namespaces: {{untyped: [pointsman]}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true}}
"#
        )
    }

    /// Writes the access log, which says why Envoy itself answers: its errors have empty bodies.
    fn access_log(out: &mut String) {
        out.push_str(
            r#"          access_log:
          - name: envoy.access_loggers.stdout
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
              log_format:
                json_format:
                  time: "%START_TIME%"
                  method: "%REQ(:METHOD)%"
                  path: "%PATH(NQ)%"  # a query may hold keys
                  status: "%RESPONSE_CODE%"
                  details: "%RESPONSE_CODE_DETAILS%"
                  flags: "%RESPONSE_FLAGS%"
                  duration_ms: "%DURATION%"
                  upstream: "%UPSTREAM_CLUSTER%"
                  pointsman: "%DYNAMIC_METADATA(pointsman)%"
"#,
        );
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let section = self.section();
        let (host, port) = (self.listen.ip(), self.listen.port());
        out.push_str(
            r#"# An Envoy that has Pointsman choose the model of each prompt, and sends it to that model's provider.
# Written by `pointsman ext-proc --print-envoy`; docs/envoy.md says what each part is for.
static_resources:
"#,
        );
        upstream_filters::write_secrets(out, self)?;
        write!(
            out,
            r#"  listeners:
  - name: clients
    address: {{socket_address: {{address: {host}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: AUTO
          stream_idle_timeout: 600s  # answers that are not streamed come late
          upgrade_configs: [{{upgrade_type: websocket}}]  # Pointsman answers those that ask a model: 426
"#
        )?;
        Self::access_log(out);
        self.filter(out, &section)?;
        routes::write(out, self)?;
        clusters::write(out, self)
    }
}

impl fmt::Display for EnvoyBootstrap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests;
