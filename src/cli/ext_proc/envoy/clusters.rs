//! The clusters: Pointsman's own, and one for each provider.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use pointsman_core::config::{ExtProcPlace, HealthCheck, LoadBalancing, Name, PeerProtocol, ProviderConfig};

use super::upstream_filters::WrittenLists;
use super::{EnvoyBootstrap, quoted, seconds, tls, upstream_filters};

/// The beginning of what a cluster says of HTTP.
const HTTP_OPTIONS: &str = r#"    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
"#;

/// A place to connect to.
enum Endpoint {
    Host {
        host: String,
        port: u16,
    },
    /// A Unix socket.
    Pipe(String),
}

/// Writes every cluster.
pub(super) fn write(out: &mut String, bootstrap: &EnvoyBootstrap<'_>) -> fmt::Result {
    out.push_str("  clusters:\n");
    own(out, bootstrap)?;
    let mut lists = WrittenLists::default();
    let mut providers = bootstrap.config.providers.iter();
    providers.try_for_each(|(name, provider)| of_provider(out, bootstrap, (name, provider), &mut lists))
}

fn own(out: &mut String, bootstrap: &EnvoyBootstrap<'_>) -> fmt::Result {
    let section = bootstrap.section();
    let ip = section.address.ip();
    let host = if ip.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { ip };
    let endpoint = match section.place(bootstrap.folder) {
        ExtProcPlace::Tcp(address) => Endpoint::Host { host: host.to_string(), port: address.port() },
        ExtProcPlace::Unix(path) => Endpoint::Pipe(path.display().to_string()),
    };
    begin(out, &bootstrap.own_cluster(), Duration::from_secs(1), &[endpoint])?;
    open_requests(out, bootstrap.config.limits.max_requests)?;
    out.push_str(HTTP_OPTIONS);
    out.push_str(
        r#"        explicit_http_config: {http2_protocol_options: {}}
    health_checks:
    - timeout: 1s
      interval: 5s
      no_traffic_interval: 5s
      unhealthy_threshold: 2
      healthy_threshold: 1
      grpc_health_check: {service_name: envoy.service.ext_proc.v3.ExternalProcessor}
    common_lb_config: {healthy_panic_threshold: {value: 0}}
"#,
    );
    tls::write_own(out, bootstrap, &host.to_string())
}

fn of_provider(
    out: &mut String,
    bootstrap: &EnvoyBootstrap<'_>,
    (name, provider): (&Name, &ProviderConfig),
    lists: &mut WrittenLists,
) -> fmt::Result {
    let base: Uri = provider.base_url.parse().unwrap_or_default();
    let is_tls = base.scheme_str() == Some("https");
    let host = base.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = base.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let peers: Vec<_> = provider.peers.iter().filter_map(|peer| endpoint(peer)).collect();
    let endpoints = if peers.is_empty() { vec![Endpoint::Host { host: host.clone(), port }] } else { peers };
    begin(out, name.as_str(), provider.timeouts.connect.0, &endpoints)?;
    match provider.balance {
        LoadBalancing::RoundRobin => {}
        LoadBalancing::LeastRequests => out.push_str("    lb_policy: LEAST_REQUEST\n"),
        LoadBalancing::PrefixHash => out.push_str("    # `balance: prefix_hash` is not Envoy's: peers take turns.\n"),
    }
    open_requests(out, provider.max_concurrent.unwrap_or(bootstrap.config.limits.max_requests))?;
    if let Some(check) = &provider.health_check {
        let host = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        health_check(out, check, host, provider.http)?;
    }
    out.push_str(HTTP_OPTIONS);
    out.push_str(match (provider.http, is_tls) {
        (PeerProtocol::H2, _) => "        explicit_http_config: {http2_protocol_options: {}}\n",
        (PeerProtocol::Auto, true) => "        auto_config: {http_protocol_options: {}, http2_protocol_options: {}}\n",
        (PeerProtocol::H1, _) | (PeerProtocol::Auto, false) => {
            "        explicit_http_config: {http_protocol_options: {}}\n"
        }
    });
    upstream_filters::write(out, bootstrap, (name.as_str(), provider), lists)?;
    if is_tls { tls::write_of_provider(out, bootstrap, provider, &host) } else { Ok(()) }
}

fn endpoint(peer: &str) -> Option<Endpoint> {
    let (host, port) = peer.rsplit_once(':')?;
    Some(Endpoint::Host { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
}

/// Writes how much may be open at once: Envoy's own limit is 1024.
fn open_requests(out: &mut String, most: usize) -> fmt::Result {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    writeln!(
        out,
        "    circuit_breakers: {{thresholds: [{{max_connections: {most}, max_pending_requests: {most}, max_requests: {most}}}]}}"
    )
}

fn health_check(out: &mut String, check: &HealthCheck, host: &str, http: PeerProtocol) -> fmt::Result {
    let statuses = if check.expected_status.is_empty() {
        "{start: 200, end: 300}".to_owned()
    } else {
        let one = |status: &u16| format!("{{start: {status}, end: {}}}", status + 1);
        check.expected_status.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let codec = if http == PeerProtocol::H2 { ", codec_client_type: HTTP2" } else { "" };
    let (interval, timeout) = (seconds(check.interval.0), seconds(check.timeout.0));
    let (path, host) = (quoted(&check.path), quoted(host));
    write!(
        out,
        r"    health_checks:
    - timeout: {timeout}
      interval: {interval}
      no_traffic_interval: {interval}
      unhealthy_threshold: {}
      healthy_threshold: {}
      http_health_check: {{path: {path}, host: {host}, expected_statuses: [{statuses}]{codec}}}
",
        check.unhealthy_after, check.healthy_after
    )?;
    if check.fail_open {
        return Ok(());
    }
    writeln!(out, "    common_lb_config: {{healthy_panic_threshold: {{value: 0}}}}")
}

fn begin(out: &mut String, name: &str, connect: Duration, endpoints: &[Endpoint]) -> fmt::Result {
    let is_fixed = |endpoint: &Endpoint| match endpoint {
        Endpoint::Host { host, .. } => host.parse::<IpAddr>().is_ok(),
        Endpoint::Pipe(_) => true,
    };
    let is_address = endpoints.iter().all(is_fixed);
    let kind = if is_address { "STATIC" } else { "STRICT_DNS" };
    let name = quoted(name);
    writeln!(out, "  - name: {name}\n    type: {kind}\n    connect_timeout: {}", seconds(connect))?;
    writeln!(out, "    load_assignment:\n      cluster_name: {name}\n      endpoints:\n      - lb_endpoints:")?;
    for endpoint in endpoints {
        let address = match endpoint {
            Endpoint::Host { host, port } => {
                format!("{{socket_address: {{address: {}, port_value: {port}}}}}", quoted(host))
            }
            Endpoint::Pipe(path) => format!("{{pipe: {{path: {}}}}}", quoted(path)),
        };
        writeln!(out, "        - endpoint: {{address: {address}}}")?;
    }
    Ok(())
}
