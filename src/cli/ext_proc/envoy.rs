//! The bootstrap of an Envoy that asks Pointsman and sends requests to the providers: as plain YAML, each line of which is
//! there for a reason that `docs/envoy.md` gives.

mod clusters;
mod routes;

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use pointsman_core::config::{Config, ExtProcConfig};

/// The time that Envoy waits for one answer, at least.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The cluster of Pointsman itself.
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

    /// Writes the filter that asks Pointsman.
    fn filter(&self, out: &mut String, section: &ExtProcConfig) -> fmt::Result {
        let (mode, failure) = match (self.mode, section.failure) {
            (PrintedMode::FullDuplexStreamed, _) => ("FULL_DUPLEX_STREAMED", false), // it has no effect there
            (PrintedMode::Buffered, failure) => ("BUFFERED", failure == pointsman_core::config::ExtProcFailure::Open),
        };
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
              grpc_service: {{envoy_grpc: {{cluster_name: {OWN_CLUSTER}}}, timeout: 0s}}
              processing_mode: {{request_header_mode: SEND, request_body_mode: {mode}{trailers}, {answers}}}
              message_timeout: {timeout}
              failure_mode_allow: {failure}
              allow_mode_override: true
              metadata_options: {{receiving_namespaces: {{untyped: [pointsman]}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
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
                  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
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
        write!(
            out,
            r#"# An Envoy that has Pointsman choose the model of each prompt, and sends it to that model's provider.
# Written by `pointsman ext-proc --print-envoy`; docs/envoy.md says what each part is for.
static_resources:
  listeners:
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
"#
        )?;
        Self::access_log(out);
        self.filter(out, &section)?;
        routes::write(out, self.config, &section)?;
        clusters::write(out, self.config, &section, self.folder)
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
mod tests {
    use super::*;

    fn printed(more: &str, mode: PrintedMode) -> String {
        let text = format!(
            "version: 1\nlisten: {{address: '127.0.0.1:0'}}\ndefault_provider: plain\nproviders:\n  \
             plain: {{base_url: 'http://127.0.0.1:8000/v1'}}\n  far: {{base_url: 'https://api.example.com/api/v1', \
             credential: {{env: FAR_KEY}}}}\nmodels:\n  small: {{provider: plain, name: llama}}\n  big: {{provider: far}}\n\
             {more}"
        );
        let config = Config::parse(&text, "test.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let listen = "127.0.0.1:10000".parse().expect("an address");
        EnvoyBootstrap { config: &config, folder: Path::new("/etc/pm"), listen, mode, shows_answers: false }.to_string()
    }

    #[test]
    fn each_model_has_a_route_by_the_header_that_says_it() {
        let text = printed("ext_proc: {model_header: x-llm}\n", PrintedMode::Buffered);

        for part in [
            r#"{name: "x-llm", string_match: {exact: "small"}}"#,
            r#"{name: "x-llm", string_match: {exact: "big"}}"#,
            r#"prefix_rewrite: "/api/v1""#,
            r#"Bearer %ENVIRONMENT(FAR_KEY)%"#,
            "request_body_buffer_limit: 33554432",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }

    #[test]
    fn a_failure_is_allowed_where_the_mode_knows_it_and_the_configuration_wants_it() {
        let open = "ext_proc: {failure: open}\n";

        assert!(printed(open, PrintedMode::Buffered).contains("failure_mode_allow: true"));
        assert!(printed("", PrintedMode::Buffered).contains("failure_mode_allow: false"));
        assert!(printed(open, PrintedMode::FullDuplexStreamed).contains("failure_mode_allow: false"));
    }

    #[test]
    fn a_socket_is_found_from_the_folder_of_the_file() {
        let text = printed("ext_proc: {socket: run/pm.sock}\n", PrintedMode::Buffered);

        assert!(text.contains(r#"{address: {pipe: {path: "/etc/pm/run/pm.sock"}}}"#), "{text}");
    }

    #[test]
    fn envoy_waits_longer_for_an_answer_than_a_decision_may_take() {
        assert!(printed("", PrintedMode::Buffered).contains("message_timeout: 1s"));
        assert!(printed("ext_proc: {deadline: 3s}\n", PrintedMode::Buffered).contains("message_timeout: 6s"));
    }
}
