//! The APIs that version 3 knows a provider to have, as its dialects.

use super::providers::{with_version, without_endpoint};
use crate::reader::SourceValue;
use crate::vendors::clean_address;
use crate::yaml_text::{YamlEntries, YamlValue};

/// APIs by version 3's names for them.
const CAPABILITIES: [(&[&str], &str); 4] = [
    (&["openai_chat_completions", "openai_chat"], "chat"),
    (&["openai_responses", "openai"], "responses"),
    (&["anthropic_messages", "anthropic"], "messages"),
    (&["gemini_generate_content", "gemini"], "gemini"),
];
/// The APIs of a provider, and where each is asked.
#[derive(Debug)]
pub(super) struct Capabilities<'s>(Vec<(&'static str, SourceValue<'s>)>);

impl<'s> Capabilities<'s> {
    pub(super) fn read(provider: &SourceValue<'s>) -> Self {
        let listed = provider.get("capabilities").map_or_else(Vec::new, |list| list.items());
        let mut own = Vec::new();
        for capability in listed {
            let kind = capability.first(&["type", "protocol"]).and_then(|kind| kind.text()).unwrap_or_default();
            let known = CAPABILITIES.iter().find(|(names, _)| names.contains(&kind.to_ascii_lowercase().as_str()));
            capability.take_all(&["source", "endpoint"]);
            match (known, capability.first(&["baseUrl", "baseurl", "api_base_url"])) {
                (Some((_, dialect)), Some(address)) => own.push((*dialect, address)),
                _ => capability.leave_out("requests for this API go to a provider as they are, untranslated"),
            }
        }
        Self(own)
    }

    /// Returns the address of the first.
    pub(super) fn address(&self) -> Option<SourceValue<'s>> {
        self.0.first().map(|(_, address)| address.clone())
    }

    /// Says the APIs that are asked at `base_url`, where a provider's host alone does not say them.
    pub(super) fn write(&self, base_url: &str, entries: &mut YamlEntries) {
        let mut dialects: Vec<&str> = Vec::new();
        for (dialect, address) in &self.0 {
            let own = address.text().and_then(clean_address).map(|own| with_version(without_endpoint(&own)));
            if own.as_deref() != Some(base_url) {
                address.leave_out(format!(
                    "a provider has one address: another one with `dialects: [{dialect}]` is asked there without translation"
                ));
            } else if !dialects.contains(dialect) {
                dialects.push(dialect);
            }
        }
        if dialects.is_empty() {
            return;
        }
        for (key, value) in entries {
            if key == "dialects" {
                *value = YamlValue::texts(dialects.iter().copied());
            }
        }
    }
}
