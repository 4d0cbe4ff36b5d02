//! The provider that a model's name with its parameters means to LiteLLM.

use crate::credentials::{KeyReference, provider_key, said_key};
use crate::draft::{DraftProvider, name_of, variable};
use crate::reader::SourceValue;
use crate::vendors::{VendorAddress, address_entries, clean_address, host_of};
use crate::yaml_text::{YamlEntries, YamlValue};

/// The region that is written where the file leaves it to a variable.
const AWS_REGION: &str = "us-east-1";

/// A provider, and what it calls the model.
pub(super) struct ModelAddress {
    pub(super) provider: DraftProvider,
    pub(super) upstream: String,
}

/// Finds the provider of `litellm_params.model`; `None`, with a finding, where it is not known.
pub(super) fn find(params: &SourceValue<'_>) -> Option<ModelAddress> {
    let model = params.get("model")?;
    let text = model.text()?;
    let said = params.text_at("custom_llm_provider");
    let (prefix, upstream) = match (said, text.split_once('/')) {
        (Some(said), Some((prefix, rest))) if prefix == said => (said, rest),
        (Some(said), _) => (said, text),
        (None, Some((prefix, rest))) => (prefix, rest),
        (None, None) => (vendor_of_bare(text), text),
    };
    let provider = match prefix {
        "azure" | "azure_text" | "azure_ai" => azure(params, prefix),
        "bedrock" | "bedrock_converse" => bedrock(params),
        "vertex_ai" | "vertex_ai_beta" => vertex(params),
        _ => by_address(params, prefix),
    };
    let Some(provider) = provider else {
        model.leave_out(format!("the provider `{prefix}` is not known here: give its address as `api_base`"));
        return None;
    };
    let upstream = match prefix {
        "bedrock" => ["converse/", "invoke/"].iter().find_map(|route| upstream.strip_prefix(route)).unwrap_or(upstream),
        _ => upstream,
    };
    Some(ModelAddress { provider, upstream: upstream.to_owned() })
}

/// LiteLLM knows names without a vendor by its list of models; this knows the vendors' ways to name them.
fn vendor_of_bare(model: &str) -> &'static str {
    let starts = [
        ("claude", "anthropic"),
        ("gemini", "gemini"),
        ("mistral", "mistral"),
        ("codestral", "mistral"),
        ("command", "cohere"),
        ("deepseek", "deepseek"),
        ("grok", "xai"),
    ];
    starts.iter().find(|(start, _)| model.starts_with(start)).map_or("openai", |(_, vendor)| vendor)
}

fn by_address(params: &SourceValue<'_>, prefix: &str) -> Option<DraftProvider> {
    let vendor = VendorAddress::of(prefix);
    let said = params.first(&["api_base", "base_url"]);
    let Some(said) = said else {
        let vendor = vendor?;
        let address = address_entries(vendor.base_url, None);
        let key = provider_key(params, vendor.name(), vendor.variable);
        let keys = key.into_iter().collect();
        return Some(DraftProvider { name: vendor.name().to_owned(), address, keys, ..DraftProvider::default() });
    };
    let base_url = said_address(&said)?;
    let base_url = match prefix {
        "ollama" | "ollama_chat" if !base_url.ends_with("/v1") => format!("{base_url}/v1"),
        _ => base_url,
    };
    let known = VendorAddress::at(&base_url);
    let name = known.map_or_else(|| name_of(host_of(&base_url).unwrap_or(prefix)), |known| known.name().to_owned());
    let address = address_entries(&base_url, (prefix == "anthropic").then_some("messages"));
    let usual = known.and_then(|known| known.variable);
    let keys = provider_key(params, &name, usual).into_iter().collect();
    Some(DraftProvider { name, address, keys, ..DraftProvider::default() })
}

fn azure(params: &SourceValue<'_>, prefix: &str) -> Option<DraftProvider> {
    let base = said_address(&params.first(&["api_base", "base_url"])?)?;
    // Only the path may name the API: hosts are called `openai-...` too.
    let path_at = base.find("://").and_then(|at| base[at + 3..].find('/').map(|slash| at + 3 + slash));
    let (host_part, path) = base.split_at(path_at.unwrap_or(base.len()));
    let base = format!("{host_part}{}", path.split("/openai").next().unwrap_or_default());
    params.take_all(&["api_version"]);
    let path = if base.ends_with("/anthropic") { "/v1" } else { "/openai/v1" };
    let name = name_of(host_of(&base)?.split('.').next().unwrap_or(prefix));
    let usual = if prefix == "azure_ai" { "AZURE_AI_API_KEY" } else { "AZURE_API_KEY" };
    let keys = provider_key(params, &name, Some(usual)).into_iter().collect();
    let address = address_entries(&format!("{base}{path}"), None);
    Some(DraftProvider { name, address, keys, ..DraftProvider::default() })
}

fn bedrock(params: &SourceValue<'_>) -> Option<DraftProvider> {
    let region = match params.get("aws_region_name") {
        Some(region) => literal(&region, AWS_REGION)?,
        None => AWS_REGION.to_owned(),
    };
    let mut cloud = vec![("region".to_owned(), YamlValue::text(&region))];
    let part = |key: &str| said_key(&params.get(key)?, "aws", Some(&key.to_ascii_uppercase()));
    if let (Some(id), Some(secret)) = (part("aws_access_key_id"), part("aws_secret_access_key")) {
        let parts = [("id", variable(&id.variable)), ("secret", variable(&secret.variable))];
        let credentials = YamlValue::map([("access_key", YamlValue::map(parts))]);
        cloud.push(("credentials".to_owned(), credentials));
    }
    let address = vec![("bedrock".to_owned(), YamlValue::Map(cloud))];
    Some(DraftProvider { name: format!("bedrock-{region}"), address, ..DraftProvider::default() })
}

fn vertex(params: &SourceValue<'_>) -> Option<DraftProvider> {
    let said = |key: &str, otherwise: &str| match params.get(key) {
        Some(value) => literal(&value, otherwise),
        None => Some(otherwise.to_owned()),
    };
    let project = said("vertex_project", "my-project")?;
    let location = said("vertex_location", "us-central1")?;
    let mut cloud: YamlEntries =
        vec![("project".to_owned(), YamlValue::text(&project)), ("location".to_owned(), YamlValue::text(&location))];
    if let Some(credentials) = params.get("vertex_credentials") {
        match credentials.text() {
            Some(path) if KeyReference::of(path) == KeyReference::Inline && !path.starts_with('{') => {
                let file = YamlValue::map([("file", YamlValue::text(path))]);
                cloud.push(("credentials".to_owned(), file));
            }
            _ => credentials.leave_out("the account of the machine is taken: `credentials: {file: KEY.json}` takes a key file (docs/providers.md)"),
        }
    }
    let address = vec![("vertex".to_owned(), YamlValue::Map(cloud))];
    Some(DraftProvider { name: format!("vertex-{location}"), address, ..DraftProvider::default() })
}

/// Returns the address that `value` gives; of one that a variable holds, a stand-in that answers nobody.
fn said_address(value: &SourceValue<'_>) -> Option<String> {
    let text = value.text()?;
    if let KeyReference::Variable(name) = KeyReference::of(text) {
        value
            .change(format!("the address stands in the variable {name}: write it in the place of the `.invalid` host"));
        return Some(format!("https://{}.invalid", name.to_ascii_lowercase().replace('_', "-")));
    }
    let clean = clean_address(text);
    if clean.is_none() {
        value.leave_out("this is no address (http://host:port/path)");
    }
    clean
}

/// Returns the text of `value`; of one that a variable holds, `otherwise`.
fn literal(value: &SourceValue<'_>, otherwise: &str) -> Option<String> {
    let text = value.text()?;
    if let KeyReference::Variable(name) = KeyReference::of(text) {
        value.change(format!("it stands in the variable {name}: write it in the place of `{otherwise}`"));
        return Some(otherwise.to_owned());
    }
    Some(text.to_owned())
}
