//! What a provider's cluster changes of requests and answers, as the proxy does: the client's keys and accounts stop here,
//! as do the fields that tell of the operator's account; the operator's key goes in.
//!
//! They are filters of the cluster: they come after the route was chosen, and again before a retry.

use std::fmt::{self, Write as _};

use pointsman_core::config::{Config, Credential, ExtProcConfig, ForwardedHeaders, Glob, KeyHeader, ProviderConfig};

use super::{EnvoyBootstrap, quoted};
use crate::proxy::stopped;
use crate::upstream::{BaseUrl, wanted_by};

/// The fields by which Envoy talks to itself; of a client's none is believed.
const ENVOYS: &str = "x-envoy-";

/// Lists that were written once, and are named from then on.
#[derive(Default)]
pub(super) struct WrittenLists(Vec<String>);

impl WrittenLists {
    /// Returns a list as YAML, or its name where it was written before.
    fn list(&mut self, name: &str, entries: &str) -> String {
        let known = self.0.iter().position(|known| known == entries);
        let number = known.unwrap_or_else(|| {
            self.0.push(entries.to_owned());
            self.0.len() - 1
        });
        if known.is_some() { format!(" *{name}_{number}\n") } else { format!(" &{name}_{number}\n{entries}") }
    }
}

/// Writes the secrets: the operator's keys, which Envoy reads from variables and files when it starts.
pub(super) fn write_secrets(out: &mut String, bootstrap: &EnvoyBootstrap<'_>) -> fmt::Result {
    let keys = bootstrap.config.providers.iter().filter_map(|(name, provider)| Some((name, source(provider)?)));
    for (index, (name, source)) in keys.enumerate() {
        if index == 0 {
            out.push_str("  secrets:\n");
        }
        let place = match source {
            Credential::Env(variable) => format!("environment_variable: {}", quoted(&variable)),
            Credential::File(path) => format!("filename: {}", quoted(&bootstrap.path(&path))),
            Credential::None | Credential::Passthrough => continue,
        };
        writeln!(out, "  - name: {}\n    generic_secret: {{secret: {{{place}}}}}", quoted(name.as_str()))?;
    }
    Ok(())
}

/// Writes the filters of a provider's cluster.
pub(super) fn write(
    out: &mut String,
    bootstrap: &EnvoyBootstrap<'_>,
    provider: (&str, &ProviderConfig),
    lists: &mut WrittenLists,
) -> fmt::Result {
    let (name, provider) = provider;
    out.push_str(
        r#"        http_filters:
        - name: envoy.filters.http.header_mutation
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
            mutations:
"#,
    );
    let passes = provider.credential == Credential::Passthrough && provider.keys.is_empty();
    let section = bootstrap.section();
    out.push_str("              request_mutations:");
    out.push_str(&lists.list("request", &of_requests(bootstrap.config, &section, passes)));
    if !passes {
        let parameters: String = stopped::PARAMETERS.iter().map(|name| removal(name)).collect();
        out.push_str("              query_parameter_mutations:");
        out.push_str(&lists.list("query", &parameters));
    }
    out.push_str("              response_mutations:");
    out.push_str(&lists.list("response", &of_answers(&provider.expose_headers)));
    if provider.is_cloud() {
        out.push_str("        # A cloud's requests are signed: add Envoy's own filter for that here.\n");
    }
    if source(provider).is_some() {
        write_credential(out, name, provider)?;
    }
    out.push_str(
        r#"        - name: envoy.filters.http.upstream_codec
          typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}
"#,
    );
    Ok(())
}

/// Writes the filter that puts the operator's key into a request.
fn write_credential(out: &mut String, name: &str, provider: &ProviderConfig) -> fmt::Result {
    let by_host = || provider.base_url.parse::<BaseUrl>().ok().as_ref().and_then(wanted_by);
    let (field, scheme) = match provider.key_header.or_else(by_host).unwrap_or(KeyHeader::Authorization) {
        KeyHeader::Authorization => ("authorization", r#", header_value_prefix: "Bearer ""#),
        KeyHeader::XApiKey => ("x-api-key", ""),
        KeyHeader::ApiKey => ("api-key", ""),
        KeyHeader::XGoogApiKey => ("x-goog-api-key", ""),
    };
    let name = quoted(name);
    write!(
        out,
        r#"        - name: envoy.filters.http.credential_injector
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
            overwrite: true
            credential:
              name: envoy.http.injected_credentials.generic
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
                credential: {{name: {name}}}
                header: {field}{}
"#,
        scheme.replacen(", ", "\n                ", 1)
    )
}

/// Returns where the operator's key at a provider comes from, if it has one: of several, the first.
fn source(provider: &ProviderConfig) -> Option<Credential> {
    let first = provider.keys.first().and_then(pointsman_core::config::ProviderKey::source);
    let source = first.unwrap_or_else(|| provider.credential.clone());
    matches!(source, Credential::Env(_) | Credential::File(_)).then_some(source)
}

/// Returns the changes of requests: what only Pointsman and Envoy may say, and what is the client's own, unless its
/// account `passes`.
fn of_requests(config: &Config, section: &ExtProcConfig, passes: bool) -> String {
    let of_decision = [Some(&section.model_header), section.upstream_model_header.as_ref()];
    let of_decision = of_decision.into_iter().flatten().map(|name| name.to_ascii_lowercase());
    let mut names: Vec<String> = of_decision.filter(|name| !name.starts_with(stopped::OURS)).collect();
    let mut ends = &stopped::ACCOUNT_ENDS[..0];
    if !passes {
        ends = &stopped::ACCOUNT_ENDS;
        names.extend(stopped::KEY_FIELDS.iter().map(ToString::to_string));
        let is_left = |name: &&&str| !ends.iter().any(|end| name.ends_with(end));
        names.extend(stopped::ACCOUNTS.iter().filter(is_left).map(ToString::to_string));
    }
    let mode = strictest(config);
    if mode != ForwardedHeaders::Append {
        names.extend(stopped::FORWARDED.iter().map(ToString::to_string));
    }
    let starts = [stopped::OURS, ENVOYS].map(|start| matching("prefix", start));
    let named = names.iter().map(|name| removal(name));
    let mut list: String =
        starts.into_iter().chain(named).chain(ends.iter().map(|end| matching("suffix", end))).collect();
    if mode == ForwardedHeaders::Replace {
        for (name, value) in
            [("x-forwarded-for", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"), ("x-forwarded-proto", "http")]
        {
            list.push_str(&format!(
                "              - {{append: {{header: {{key: {name}, value: {}}}}}}}\n",
                quoted(value)
            ));
        }
    }
    list
}

/// Returns what listeners say of where requests come from, where they differ the least that is said.
fn strictest(config: &Config) -> ForwardedHeaders {
    let modes = || config.listen.iter().map(|listen| listen.forwarded);
    let has = |mode| modes().any(|one| one == mode);
    [ForwardedHeaders::Off, ForwardedHeaders::Replace].into_iter().find(|mode| has(*mode)).unwrap_or_default()
}

/// Returns the changes of answers: the fields of the operator's account, but for those that clients may see.
fn of_answers(exposed: &[Glob]) -> String {
    let is_shown = |name: &str| exposed.iter().any(|glob| glob.matches(name));
    // Envoy cannot say `but`: of a family of which some may be seen, all stay.
    let is_partly_shown = |start: &str| {
        exposed.iter().any(|glob| {
            let beginning = glob.as_str().split(['*', '?']).next().unwrap_or_default();
            beginning.starts_with(start) || start.starts_with(beginning)
        })
    };
    let names = stopped::OPERATOR_ACCOUNT.iter().filter(|name| !is_shown(name)).map(|name| removal(name));
    let starts = stopped::OPERATOR_ACCOUNT_STARTS.iter().filter(|start| !is_partly_shown(start));
    let starts = starts.copied().chain([stopped::OURS]).map(|start| matching("prefix", start));
    names.chain(starts).collect()
}

fn removal(name: &str) -> String {
    format!("              - {{remove: {}}}\n", quoted(name))
}

fn matching(part: &str, text: &str) -> String {
    format!("              - {{remove_on_match: {{key_matcher: {{{part}: {}}}}}}}\n", quoted(text))
}
