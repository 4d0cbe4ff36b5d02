//! The routes: one for each model by the header that says it, and what else there is to the default provider.

use std::fmt::{self, Write as _};

use http::Uri;
use pointsman_core::config::{Config, Credential, ExtProcConfig, KeyHeader, Name, ProviderConfig};

use super::quoted;

/// Writes the virtual host.
pub(super) fn write(out: &mut String, config: &Config, section: &ExtProcConfig) -> fmt::Result {
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
        let header = format!(
            "headers: [{{name: {}, string_match: {{exact: {}}}}}]",
            quoted(&section.model_header),
            quoted(model.as_str())
        );
        write_routes(out, &header, (&entry.provider, provider))?;
    }
    if let Some((name, provider)) =
        config.default_provider.as_ref().and_then(|name| config.providers.get_key_value(name))
    {
        return write_routes(out, "", (name, provider));
    }
    // Of a `direct_response` the limit of bodies would not count, and every request begins with this route.
    writeln!(out, "              - match: {{prefix: \"/\"}}")?;
    writeln!(out, "                route: {{cluster: no_model, cluster_not_found_response_code: NOT_FOUND}}")
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
    writeln!(out, "                route: {{cluster: {}, timeout: 0s{rewrite}{host}}}", quoted(name.as_str()))?;
    match credential(provider) {
        Some((field, value)) => {
            writeln!(out, "                request_headers_to_add:")?;
            writeln!(
                out,
                "                - {{header: {{key: {}, value: {}}}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}",
                quoted(field),
                quoted(&value)
            )
        }
        None if provider.is_cloud() => {
            writeln!(out, "                # A cloud's requests are signed: add Envoy's own filter for that.")
        }
        None => Ok(()),
    }
}

/// Returns the field and the value by which a provider knows who asks, as Envoy reads them.
fn credential(provider: &ProviderConfig) -> Option<(&'static str, String)> {
    let first = provider.keys.first().and_then(pointsman_core::config::ProviderKey::source);
    let secret = match first.unwrap_or_else(|| provider.credential.clone()) {
        Credential::Env(variable) => format!("%ENVIRONMENT({variable})%"),
        Credential::File(path) => format!("%FILE_CONTENT({})%", path.display()),
        Credential::None | Credential::Passthrough => return None,
    };
    let host = provider.base_url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned)).unwrap_or_default();
    let is_azure = [".openai.azure.com", ".cognitiveservices.azure.com"].iter().any(|end| host.ends_with(end));
    let by_host = match &*host {
        "api.anthropic.com" => KeyHeader::XApiKey,
        _ if is_azure => KeyHeader::ApiKey,
        _ => KeyHeader::Authorization,
    };
    Some(match provider.key_header.unwrap_or(by_host) {
        KeyHeader::Authorization => ("authorization", format!("Bearer {secret}")),
        KeyHeader::XApiKey => ("x-api-key", secret),
        KeyHeader::ApiKey => ("api-key", secret),
        KeyHeader::XGoogApiKey => ("x-goog-api-key", secret),
    })
}
