//! Which vendor answers at a host.

/// The vendors by the host that answers for them, or the end of such a host's name after a dot.
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("openai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("aiplatform.googleapis.com", "vertex"),
    ("api.deepseek.com", "deepseek"),
    ("api.mistral.ai", "mistral"),
    ("api.x.ai", "xai"),
    ("api.groq.com", "groq"),
    ("api.moonshot.ai", "moonshot"),
    ("dashscope-intl.aliyuncs.com", "dashscope"),
    ("dashscope-us.aliyuncs.com", "dashscope"),
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.perplexity.ai", "perplexity"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.cerebras.ai", "cerebras"),
];

/// The vendors' names in OpenTelemetry's conventions for generative AI, where the conventions know them.
const CONVENTIONS: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("azure", "azure.ai.openai"),
    ("gemini", "gcp.gemini"),
    ("vertex", "gcp.vertex_ai"),
    ("bedrock", "aws.bedrock"),
    ("deepseek", "deepseek"),
    ("mistral", "mistral_ai"),
    ("xai", "x_ai"),
    ("groq", "groq"),
    ("moonshot", "moonshot_ai"),
    ("perplexity", "perplexity"),
    ("cohere", "cohere"),
];

/// Returns the name of the vendor that answers at `base_url` in OpenTelemetry's conventions.
pub(super) fn convention_of_url(base_url: &str) -> Option<&'static str> {
    let vendor = of_url(base_url)?;
    CONVENTIONS.iter().find(|(known, _)| *known == vendor).map(|(_, name)| *name)
}

/// Returns the vendor that answers at `base_url`, if it is one that is known.
pub(super) fn of_url(base_url: &str) -> Option<&'static str> {
    let host = host_of(base_url)?.to_ascii_lowercase();
    let is_at = |end: &str| host.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    let listed = HOSTS.iter().find(|(end, _)| is_at(end)).map(|(_, vendor)| *vendor);
    listed.or_else(|| by_region(&host))
}

/// The clouds put the region into the name: `bedrock-runtime.eu-west-1.amazonaws.com`,
/// `europe-west4-aiplatform.googleapis.com`.
fn by_region(host: &str) -> Option<&'static str> {
    let is_bedrock = host.starts_with("bedrock-runtime.") || host.starts_with("bedrock-mantle.");
    if is_bedrock && (host.ends_with(".amazonaws.com") || host.ends_with(".api.aws")) {
        return Some("bedrock");
    }
    host.ends_with("-aiplatform.googleapis.com").then_some("vertex")
}

fn host_of(base_url: &str) -> Option<&str> {
    let (_, rest) = base_url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    host.split(':').next().filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_known_by_its_host_alone() {
        for (url, vendor) in [
            ("https://api.openai.com/v1", Some("openai")),
            ("https://eu.api.openai.com:443/v1", Some("openai")),
            ("https://API.Anthropic.com", Some("anthropic")),
            ("https://acme.openai.azure.com/openai/v1", Some("azure")),
            ("https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", Some("bedrock")),
            ("https://europe-west4-aiplatform.googleapis.com/v1", Some("vertex")),
            ("https://aiplatform.googleapis.com/v1", Some("vertex")),
            ("http://127.0.0.1:8000/v1", None),
            ("http://vllm:8000/api.openai.com/v1", None),
            ("https://notapi.openai.com.example/v1", None),
            ("https://fakeapi.openai.com/v1", None),
            ("nonsense", None),
        ] {
            assert_eq!(of_url(url), vendor, "{url}");
        }
    }
    #[test]
    fn the_conventions_have_names_of_their_own_for_vendors() {
        for (url, name) in [
            ("https://api.openai.com/v1", Some("openai")),
            ("https://api.mistral.ai/v1", Some("mistral_ai")),
            ("https://europe-west4-aiplatform.googleapis.com/v1", Some("gcp.vertex_ai")),
            ("https://api.cerebras.ai/v1", None),
            ("http://vllm:8000/v1", None),
        ] {
            assert_eq!(convention_of_url(url), name, "{url}");
        }
        assert!(
            CONVENTIONS
                .iter()
                .all(|(vendor, _)| HOSTS.iter().any(|(_, known)| known == vendor) || *vendor == "bedrock")
        );
    }
}
