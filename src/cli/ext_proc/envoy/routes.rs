//! The routes: one for each model by the header that says it, and what else there is to the default provider.

use std::fmt::{self, Write as _};

use http::Uri;
use pointsman_core::config::{ExtProcConfig, Name, ProviderConfig};

use super::{EnvoyBootstrap, quoted};

/// Writes the virtual host.
pub(super) fn write(out: &mut String, bootstrap: &EnvoyBootstrap<'_>) -> fmt::Result {
    let (config, section) = (bootstrap.config, bootstrap.section());
    let limit = config.limits.max_body_bytes;
    write!(
        out,
        r#"          route_config:
            validate_clusters: false
            virtual_hosts:
            - name: models
              domains: ["*"]
              request_body_buffer_limit: {limit}  # Envoy's own limit is 1 MiB
              routes:
"#
    )?;
    for (model, entry) in &config.models {
        let Some(provider) = config.providers.get(&entry.provider) else { continue };
        write_routes(out, &chosen(&section, model), (&entry.provider, provider))?;
    }
    if let Some((name, provider)) =
        config.default_provider.as_ref().and_then(|name| config.providers.get_key_value(name))
    {
        return write_routes(out, "", (name, provider));
    }
    // Of a `direct_response` the limit of bodies would not count, and every request begins with this route.
    let nowhere = quoted(&bootstrap.unused_name("no_model"));
    writeln!(out, "              - match: {{prefix: \"/\"}}")?;
    writeln!(out, "                route: {{cluster: {nowhere}, cluster_not_found_response_code: NOT_FOUND}}")
}

/// Returns what a request matches for which Pointsman has chosen this model. The header alone would also match a client's
/// own, where Envoy passes a request on that Pointsman has not seen; the metadata is Pointsman's.
fn chosen(section: &ExtProcConfig, model: &Name) -> String {
    let (header, model) = (quoted(&section.model_header), quoted(model.as_str()));
    format!(
        "headers: [{{name: {header}, string_match: {{exact: {model}}}}}], dynamic_metadata: [{{filter: pointsman, \
         path: [{{key: model}}], value: {{string_match: {{exact: {model}}}}}}}]"
    )
}

/// Writes the routes to a provider: below `/v1`, which its own path replaces, and elsewhere.
fn write_routes(out: &mut String, header: &str, (name, provider): (&Name, &ProviderConfig)) -> fmt::Result {
    let base: Uri = provider.base_url.parse().unwrap_or_default();
    let prefix = base.path().trim_end_matches('/');
    let header = if header.is_empty() { String::new() } else { format!(", {header}") };
    if !prefix.is_empty() && prefix != "/v1" {
        write_route(out, &format!("path_separated_prefix: \"/v1\"{header}"), Some(prefix), (name, provider))?;
    }
    write_route(out, &format!("prefix: \"/\"{header}"), None, (name, provider))
}

fn write_route(
    out: &mut String,
    matched: &str,
    rewritten: Option<&str>,
    (name, provider): (&Name, &ProviderConfig),
) -> fmt::Result {
    let rewrite = rewritten.map(|prefix| format!(", prefix_rewrite: {}", quoted(prefix))).unwrap_or_default();
    let base: Uri = provider.base_url.parse().unwrap_or_default();
    let host =
        base.authority().map(|host| format!(", host_rewrite_literal: {}", quoted(host.as_str()))).unwrap_or_default();
    writeln!(out, "              - match: {{{matched}}}")?;
    // Answers take as long as they take; pauses in them are bounded by `stream_idle_timeout`.
    writeln!(out, "                route: {{cluster: {}, timeout: 0s{rewrite}{host}}}", quoted(name.as_str()))
}
