//! Features back from the decision log, where they stand by name.

use serde_json::{Map, Value};

use super::{Features, Language, TextStructure, TokenCount};
use crate::prompt::{AskSource, AttachedFiles, Purpose, ResponseFormat};

/// Features that are otherwise measured on a text.
#[derive(Default)]
struct LoggedMeasures {
    tokens: TokenCount,
    text: TextStructure,
    attached: AttachedFiles,
    language: Language,
}

impl Features {
    /// Returns the features of a flat object of names and values, as serialisation writes them. What is missing,
    /// unknown or of another type is as in an empty conversation.
    #[must_use]
    pub fn from_logged(values: &Map<String, Value>) -> Self {
        let (mut features, mut measured) = (Self::default(), LoggedMeasures::default());
        for (name, value) in values {
            features.set(&mut measured, name, value);
        }
        let LoggedMeasures { tokens, text, attached, language } = measured;
        features.with_tokens(tokens).with_text(text).with_attached(attached).with_language(language)
    }

    fn set(&mut self, measured: &mut LoggedMeasures, name: &str, value: &Value) {
        let long = value.as_u64().unwrap_or_default();
        let count = u32::try_from(long).unwrap_or(u32::MAX);
        let (number, flag) = (value.as_f64().unwrap_or_default(), value.as_bool().unwrap_or_default());
        let LoggedMeasures { tokens, text, attached, language } = measured;
        let (attachments, request) = (&mut self.attachments, &mut self.request);
        match name {
            "tokens" => tokens.tokens = long,
            "tokens_estimated" => tokens.estimated = flag,
            "turns" => self.turns = count,
            "user_turns" => self.user_turns = count,
            "system_chars" => self.system_chars = long,
            "text_chars" => text.chars = long,
            "text_words" => text.words = count,
            "text_lines" => text.lines = count,
            "code_blocks" => text.code_blocks = count,
            "code_lines" => text.code_lines = count,
            "xml_tags" => text.xml_tags = count,
            "json_blocks" => text.json_blocks = count,
            "math" => text.math = count,
            "digits_ratio" => text.digits_ratio = number,
            "upper_ratio" => text.upper_ratio = number,
            "non_ascii_ratio" => text.non_ascii_ratio = number,
            "question_words" => text.question_words = count,
            "question_marks" => text.question_marks = count,
            "steps" => text.steps = count,
            "images" => attachments.images = count,
            "audio" => attachments.audio = count,
            "files" => attachments.files = count,
            "tools" => self.tools = count,
            "tool_calls" => self.tool_calls = count,
            "tool_errors" => self.tool_errors = count,
            "tool_results" => self.tool_results = count,
            "repeated_calls" => self.repeated_calls = count,
            "stalled" => self.is_stalled = flag,
            "plan_mode" => self.is_planning = flag,
            "ask_source" => self.ask_source = value.as_str().and_then(AskSource::named).unwrap_or_default(),
            "envelope_bytes" => self.envelope_bytes = long,
            "purpose" => self.purpose = value.as_str().and_then(Purpose::named).unwrap_or_default(),
            "temperature" => request.temperature = number,
            "top_p" => request.top_p = number,
            "max_output_tokens" => request.max_output_tokens = long,
            "stream" => request.stream = flag,
            "reasoning_effort" => request.reasoning_effort = value.as_str().unwrap_or_default().to_owned(),
            "file_bytes" => attached.bytes = long,
            "largest_file_bytes" => attached.largest = long,
            "file_types" => attached.types = value.as_str().unwrap_or_default().to_owned(),
            "language" => *language = Language::from_code(value.as_str().unwrap_or_default()),
            "response_format" => request.response_format = response_format(value.as_str()),
            _ => {}
        }
    }
}

fn response_format(name: Option<&str>) -> ResponseFormat {
    let formats = [ResponseFormat::Text, ResponseFormat::JsonObject, ResponseFormat::JsonSchema];
    formats.into_iter().find(|format| Some(format.as_str()) == name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::features::{FEATURE_TABLE, FeatureKind, TokenCounter};
    use crate::prompt::{Dialect, Prompt};

    #[test]
    fn every_feature_comes_back_as_it_was_written() {
        let body = json!({
            "model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 77, "stream": true, "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {}}, "tools": [{}],
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": [
                    {"type": "text", "text": "1. Why is É = 2?\n```\ncode\n```\n<a>\n[{\"b\": 1}] then WHAT"},
                    {"type": "image_url"}, {"type": "input_audio"}, {"type": "file"},
                ]},
                {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
                {"role": "tool", "content": "error: no"},
            ],
        });
        let prompt = body.to_string();
        let prompt = Prompt::parse(Dialect::ChatCompletions, prompt.as_bytes()).expect("a request");
        let features = Features::of(&prompt, &TokenCounter::new()).with_attached(AttachedFiles::default());

        let Value::Object(logged) = json!(features) else { panic!("an object") };

        assert_eq!(json!(Features::from_logged(&logged)), json!(features));
    }

    #[test]
    fn every_name_of_the_table_is_known() {
        for spec in FEATURE_TABLE {
            let value = match spec.kind {
                FeatureKind::Int => json!(3),
                FeatureKind::Float => json!(0.25),
                FeatureKind::Bool => json!(true),
                FeatureKind::Text => json!(match spec.name {
                    "response_format" => "json_object",
                    "ask_source" => "earlier_ask",
                    "purpose" => "title",
                    "language" => "de",
                    _ => "low",
                }),
            };

            let features = Features::from_logged(&Map::from_iter([(spec.name.to_owned(), value.clone())]));

            assert_eq!(json!(features)[spec.name], value, "{}", spec.name);
        }
    }
}
