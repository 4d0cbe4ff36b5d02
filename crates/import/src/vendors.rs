//! Where vendors are asked, and the variables that hold their keys by custom.

use crate::yaml_text::{YamlEntries, YamlValue};

/// A vendor's address, and the variable that holds its key by custom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VendorAddress {
    /// The names by which other routers call it; the first is the provider's name here.
    names: &'static [&'static str],
    pub(crate) base_url: &'static str,
    /// The variable; none where no key is needed.
    pub(crate) variable: Option<&'static str>,
}

const VENDORS: &[VendorAddress] = &[
    vendor(&["openai", "text-completion-openai"], "https://api.openai.com/v1", "OPENAI_API_KEY"),
    vendor(&["anthropic"], "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    vendor(&["gemini", "google"], "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    vendor(&["mistral", "mistralai"], "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    vendor(&["groq"], "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    vendor(&["deepseek"], "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    vendor(&["xai"], "https://api.x.ai/v1", "XAI_API_KEY"),
    vendor(&["openrouter"], "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    vendor(&["together", "together_ai"], "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    vendor(&["fireworks", "fireworks_ai"], "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    vendor(&["perplexity"], "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    vendor(&["cohere", "cohere_chat"], "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    vendor(&["cerebras"], "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    vendor(&["moonshot"], "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    vendor(&["dashscope"], "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    vendor(&["nvidia_nim"], "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    vendor(&["deepinfra"], "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    vendor(&["sambanova"], "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    vendor(&["huggingface"], "https://router.huggingface.co/v1", "HF_TOKEN"),
    vendor(&["nebius"], "https://api.studio.nebius.com/v1", "NEBIUS_API_KEY"),
    vendor(&["parasail"], "https://api.parasail.io/v1", "PARASAIL_API_KEY"),
    vendor(&["anyscale"], "https://api.endpoints.anyscale.com/v1", "ANYSCALE_API_KEY"),
    VendorAddress {
        names: &["ollama", "ollama_chat", "ollama-chat"],
        base_url: "http://127.0.0.1:11434/v1",
        variable: None,
    },
    VendorAddress { names: &["lm_studio", "lmstudio"], base_url: "http://127.0.0.1:1234/v1", variable: None },
    VendorAddress { names: &["vllm", "hosted_vllm"], base_url: "http://127.0.0.1:8000/v1", variable: None },
];

/// Vendors of which Pointsman itself does not know that chat completions are what they speak.
const CHAT_ONLY: [&str; 11] = [
    "openrouter",
    "nvidia_nim",
    "deepinfra",
    "sambanova",
    "huggingface",
    "nebius",
    "parasail",
    "anyscale",
    "ollama",
    "lm_studio",
    "vllm",
];

const fn vendor(names: &'static [&'static str], base_url: &'static str, variable: &'static str) -> VendorAddress {
    VendorAddress { names, base_url, variable: Some(variable) }
}

impl VendorAddress {
    /// Returns the vendor that other routers call `name`.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        VENDORS.iter().find(|vendor| vendor.names.contains(&name))
    }

    /// Returns the vendor whose address `base_url` is, whatever its path is.
    pub(crate) fn at(base_url: &str) -> Option<&'static Self> {
        let host = host_of(base_url)?;
        VENDORS.iter().find(|vendor| host_of(vendor.base_url) == Some(host))
    }

    /// Returns the provider's name.
    pub(crate) const fn name(&self) -> &'static str {
        self.names[0]
    }
}

/// Returns what a provider at `base_url` is written with: the address, and the API that it speaks where Pointsman does
/// not know the host. `spoken` is the API that the file says, chat completions where it says none.
pub(crate) fn address_entries(base_url: &str, spoken: Option<&'static str>) -> YamlEntries {
    let base_url = azure_address(base_url).unwrap_or_else(|| base_url.to_owned());
    let is_known = base_url.contains(".azure.com")
        || VendorAddress::at(&base_url).is_some_and(|vendor| !CHAT_ONLY.contains(&vendor.name()));
    let mut entries = vec![("base_url".to_owned(), YamlValue::text(base_url))];
    if !is_known {
        entries.push(("dialects".to_owned(), YamlValue::texts([spoken.unwrap_or("chat")])));
    }
    entries
}

/// Returns the address at which a resource of Azure OpenAI is asked for models by their deployments' names.
fn azure_address(base_url: &str) -> Option<String> {
    let host = host_of(base_url)?;
    let is_azure = host.ends_with(".openai.azure.com") || host.ends_with(".cognitiveservices.azure.com");
    is_azure.then(|| format!("https://{host}/openai/v1"))
}

/// Returns the host and port of an address.
pub(crate) fn host_of(base_url: &str) -> Option<&str> {
    let (_, rest) = base_url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next().filter(|host| !host.is_empty())
}

/// Returns an address without user, query and fragment, with a scheme and without a slash at its end; `None` where it
/// is none.
pub(crate) fn clean_address(address: &str) -> Option<String> {
    let address = address.trim();
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let (scheme, rest) = address.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let host = host_of(&address)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]@%+".contains(c);
    if !matches!(scheme, "http" | "https") || !path.chars().all(is_plain) || host.starts_with(':') {
        return None;
    }
    let path = path.split_once('/').map_or("", |(_, path)| path).trim_end_matches('/');
    Some(if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_found_by_each_of_its_names_and_by_its_address() {
        assert_eq!(VendorAddress::of("together_ai").map(VendorAddress::name), Some("together"));
        assert_eq!(VendorAddress::at("https://api.openai.com/v2").map(VendorAddress::name), Some("openai"));
        assert_eq!(VendorAddress::of("nobody"), None);
        assert_eq!(VendorAddress::at("http://127.0.0.1:9"), None);
    }

    #[test]
    fn an_unknown_host_is_written_with_the_api_that_it_speaks() {
        for (address, spoken, written) in [
            ("https://api.openai.com/v1", None, "{base_url: https://api.openai.com/v1}"),
            ("http://h:8000/v1", None, "{base_url: http://h:8000/v1, dialects: [chat]}"),
            ("http://h/v1", Some("messages"), "{base_url: http://h/v1, dialects: [messages]}"),
            (
                "https://r.openai.azure.com/openai/deployments/d",
                None,
                "{base_url: https://r.openai.azure.com/openai/v1}",
            ),
        ] {
            assert_eq!(YamlValue::Map(address_entries(address, spoken)).to_string(), written);
        }
    }

    #[test]
    fn an_address_loses_what_it_must_not_have() {
        for (address, clean) in [
            ("https://u:p@h.example:8/v1/?k=1#f", Some("https://h.example:8/v1")),
            ("10.0.0.7:8000", Some("http://10.0.0.7:8000")),
            ("https://h/", Some("https://h")),
            ("ftp://h", None),
            ("", None),
            ("https://${HOST}/v1", None),
        ] {
            assert_eq!(clean_address(address).as_deref(), clean, "{address}");
        }
    }
}
