//! The clusters: Pointsman's own, and one for each provider.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use http::Uri;
use pointsman_core::config::{Config, ExtProcConfig, ExtProcPlace, Name, PeerTls, ProviderConfig};

use super::{OWN_CLUSTER, quoted, seconds};

/// The certificate authorities of most systems.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

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
pub(super) fn write(out: &mut String, config: &Config, section: &ExtProcConfig, folder: &Path) -> fmt::Result {
    out.push_str("  clusters:\n");
    own(out, section, folder)?;
    config.providers.iter().try_for_each(|(name, provider)| of_provider(out, name, provider))
}

fn own(out: &mut String, section: &ExtProcConfig, folder: &Path) -> fmt::Result {
    let ip = section.address.ip();
    let host = if ip.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { ip };
    let endpoint = match section.place(folder) {
        ExtProcPlace::Tcp(address) => Endpoint::Host { host: host.to_string(), port: address.port() },
        ExtProcPlace::Unix(path) => Endpoint::Pipe(path.display().to_string()),
    };
    begin(out, OWN_CLUSTER, Duration::from_secs(1), &[endpoint])?;
    out.push_str(
        r#"    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
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
    if let Some(tls) = &section.tls {
        out.push_str(
            "    # The certificate authority that vouches for Pointsman's own certificate stands in for it here.\n",
        );
        tls_socket(out, &host.to_string(), &tls.cert.display().to_string())?;
    }
    Ok(())
}

fn of_provider(out: &mut String, name: &Name, provider: &ProviderConfig) -> fmt::Result {
    let base: Uri = provider.base_url.parse().unwrap_or_default();
    let is_tls = base.scheme_str() == Some("https");
    let host = base.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = base.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let peers: Vec<_> = provider.peers.iter().filter_map(|peer| endpoint(peer)).collect();
    let endpoints = if peers.is_empty() { vec![Endpoint::Host { host: host.clone(), port }] } else { peers };
    begin(out, name.as_str(), provider.timeouts.connect.0, &endpoints)?;
    if is_tls {
        let ca = provider.tls.as_ref().and_then(own_authorities);
        tls_socket(out, &host, ca.as_deref().unwrap_or(SYSTEM_CA))?;
    }
    Ok(())
}

fn own_authorities(tls: &PeerTls) -> Option<String> {
    tls.ca.as_ref().map(|path| path.display().to_string())
}

fn endpoint(peer: &str) -> Option<Endpoint> {
    let (host, port) = peer.rsplit_once(':')?;
    Some(Endpoint::Host { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
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

fn tls_socket(out: &mut String, host: &str, ca: &str) -> fmt::Result {
    let kind = if host.parse::<IpAddr>().is_ok() { "IP_ADDRESS" } else { "DNS" };
    let sni = if kind == "DNS" { format!("        sni: {}\n", quoted(host)) } else { String::new() };
    let (host, ca) = (quoted(host), quoted(ca));
    write!(
        out,
        r#"    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
{sni}        common_tls_context:
          validation_context:
            trusted_ca: {{filename: {ca}}}
            match_typed_subject_alt_names: [{{san_type: {kind}, matcher: {{exact: {host}}}}}]
"#
    )
}
