//! TLS to Pointsman and to providers.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use pointsman_core::config::{PeerProtocol, ProviderConfig};

use super::{EnvoyBootstrap, quoted};

/// The certificate authorities of most systems.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The terms on which a cluster speaks TLS.
struct ClusterTls<'t> {
    /// The name to ask for and to check.
    name: &'t str,
    /// The file of the authorities that are trusted; `None` trusts whoever answers.
    authorities: Option<&'t str>,
    /// The versions of HTTP to offer; none leaves it to the server.
    versions: &'t str,
    /// Lines about the certificate that the cluster shows.
    shown: &'t str,
}

/// Writes what Pointsman's own listener wants.
pub(super) fn write_own(out: &mut String, bootstrap: &EnvoyBootstrap<'_>, host: &str) -> fmt::Result {
    let section = bootstrap.section();
    let Some(tls) = &section.tls else { return Ok(()) };
    let shown = match (&bootstrap.certificate, &tls.client_ca) {
        (Some((cert, key)), _) => format!(
            "          tls_certificates: [{{certificate_chain: {{filename: {}}}, private_key: {{filename: {}}}}}]\n",
            quoted(&cert.display().to_string()),
            quoted(&key.display().to_string())
        ),
        (None, Some(_)) => {
            "          # `ext_proc.tls.client_ca` wants a certificate of Envoy's: print this with --envoy-cert and --envoy-key.\n"
                .to_owned()
        }
        (None, None) => String::new(),
    };
    out.push_str(
        "    # The certificate authority that vouches for Pointsman's own certificate stands in for it here.\n",
    );
    let authorities = bootstrap.path(&tls.cert);
    ClusterTls { name: host, authorities: Some(&authorities), versions: r#"["h2"]"#, shown: &shown }.write(out)
}

/// Writes what a provider wants, whose URL names this host.
pub(super) fn write_of_provider(
    out: &mut String,
    bootstrap: &EnvoyBootstrap<'_>,
    provider: &ProviderConfig,
    host: &str,
) -> fmt::Result {
    let tls = provider.tls.as_ref();
    let own = tls.and_then(|tls| tls.ca.as_ref()).map(|path| bootstrap.path(path));
    let is_checked = tls.is_none_or(|tls| tls.verify);
    if !is_checked {
        out.push_str("    # `tls.verify` is false: whoever answers is trusted.\n");
    }
    let versions = match provider.http {
        PeerProtocol::H1 => "",
        PeerProtocol::H2 => r#"["h2"]"#,
        PeerProtocol::Auto => r#"["h2", "http/1.1"]"#,
    };
    let name = tls.and_then(|tls| tls.sni.as_deref()).unwrap_or(host);
    let authorities = is_checked.then(|| own.as_deref().unwrap_or(SYSTEM_CA));
    ClusterTls { name, authorities, versions, shown: "" }.write(out)
}

impl ClusterTls<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let is_address = self.name.parse::<IpAddr>().is_ok();
        let (kind, name) = (if is_address { "IP_ADDRESS" } else { "DNS" }, quoted(self.name));
        out.push_str(
            r#"    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
"#,
        );
        if !is_address {
            writeln!(out, "        sni: {name}")?;
        }
        if self.authorities.is_none() && self.versions.is_empty() {
            return writeln!(out, "        common_tls_context: {{}}");
        }
        writeln!(out, "        common_tls_context:")?;
        if !self.versions.is_empty() {
            writeln!(out, "          alpn_protocols: {}", self.versions)?;
        }
        out.push_str(self.shown);
        let Some(authorities) = self.authorities else { return Ok(()) };
        let authorities = quoted(authorities);
        write!(
            out,
            r#"          validation_context:
            trusted_ca: {{filename: {authorities}}}
            match_typed_subject_alt_names: [{{san_type: {kind}, matcher: {{exact: {name}}}}}]
"#
        )
    }
}
