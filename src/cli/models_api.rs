//! The models API of a provider: which models it lists, whether it takes a key, and what time it has.
//!
//! Refuses nothing: a list in a form that nobody knows is an empty one.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use pointsman_http_client::{Destination, ExchangeLimits, HttpClient, HttpError};
use serde_json::Value;

use crate::upstream::BaseUrl;

/// The longest list that is read; that of a vendor with hundreds of models has some 200 kB.
const MAX_BYTES: usize = 16 << 20;

/// The field of Anthropic's keys, and the version that goes with every request there.
const ANTHROPIC_KEY: &str = "x-api-key";
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// A request for a provider's models.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModelsCall<'c> {
    pub destination: &'c Destination,
    /// The path and query of the API.
    pub path: &'c str,
    /// The field that the key goes in, with the key; `None` to ask without one.
    pub key: Option<(&'c HeaderName, &'c HeaderValue)>,
    /// The longest wait for a connection, and for each part of the answer.
    pub patience: Duration,
}

/// The answer of a provider's models API.
#[derive(Debug)]
pub(super) struct ModelsAnswer {
    pub status: StatusCode,
    /// The models that it lists; empty where the status is no success.
    pub models: Vec<OfferedModel>,
    /// The number of seconds by which the provider's clock is ahead of this machine's, as far as it says.
    pub clock_ahead: Option<i64>,
}

/// A model that a provider lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfferedModel {
    /// The name by which requests ask for it.
    pub name: String,
    /// The context window in tokens, as far as the provider says.
    pub context: Option<u64>,
    /// The owner that the provider names, such as `vllm`.
    pub owner: Option<String>,
}

/// Returns the path of the models API below a base URL, with as many models on a page as there may be.
pub(super) fn path(base: &BaseUrl) -> String {
    let path = base.rebase("/v1/models");
    match (&*base.address.host, &base.api_version) {
        ("api.anthropic.com", _) => format!("{path}?limit=1000"),
        ("generativelanguage.googleapis.com", _) if !base.prefix.ends_with("/openai") => {
            format!("{path}?pageSize=1000")
        }
        (_, Some(version)) => format!("{path}?api-version={version}"),
        _ => path,
    }
}

/// Asks for the models.
pub(super) async fn ask(call: ModelsCall<'_>) -> Result<ModelsAnswer, HttpError> {
    let mut request = Request::get(call.path).header(header::ACCEPT, "application/json");
    if let Some((field, key)) = call.key {
        request = request.header(field, key);
        if field.as_str() == ANTHROPIC_KEY {
            request = request.header(ANTHROPIC_VERSION.0, ANTHROPIC_VERSION.1);
        }
    }
    let request = request.body(Bytes::new()).map_err(HttpError::Request)?;
    let limits = ExchangeLimits { connect: call.patience, read: call.patience, max_bytes: MAX_BYTES };
    let answer = HttpClient::closing().send(call.destination, request, limits).await?;
    let models = if answer.status().is_success() { offered(answer.body()) } else { Vec::new() };
    Ok(ModelsAnswer { status: answer.status(), models, clock_ahead: clock_ahead(answer.headers()) })
}

/// Returns the seconds by which the clock of the answer's sender is ahead.
fn clock_ahead(headers: &HeaderMap) -> Option<i64> {
    let seconds = |time: SystemTime| i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok();
    let theirs = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    Some(seconds(theirs)? - seconds(SystemTime::now())?)
}

/// Returns the models of a list, as OpenAI, Anthropic, Google and most servers write one.
fn offered(body: &[u8]) -> Vec<OfferedModel> {
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let entries = [&list["data"], &list["models"], &list].into_iter().find_map(Value::as_array);
    entries.into_iter().flatten().filter_map(OfferedModel::read).collect()
}

impl OfferedModel {
    fn read(entry: &Value) -> Option<Self> {
        let name = [&entry["id"], &entry["name"], &entry["model"]].into_iter().find_map(Value::as_str)?;
        let methods = entry["supportedGenerationMethods"].as_array();
        if methods.is_some_and(|methods| !methods.contains(&"generateContent".into())) {
            return None;
        }
        let windows = ["max_model_len", "context_length", "max_context_length", "context_window", "inputTokenLimit"];
        Some(Self {
            name: name.strip_prefix("models/").unwrap_or(name).to_owned(),
            context: windows.into_iter().find_map(|key| entry[key].as_u64()).filter(|tokens| *tokens > 0),
            owner: entry["owned_by"].as_str().map(str::to_owned),
        })
    }

    /// Returns whether the model writes text, as far as its name tells.
    pub(super) fn is_chat(&self) -> bool {
        is_chat_name(&self.name)
    }
}

/// Returns whether a model of this name answers prompts with text, as far as the name tells.
pub(super) fn is_chat_name(name: &str) -> bool {
    /// Parts of the names of models for something else.
    const OTHERS: [&str; 25] = [
        "embed",
        "rerank",
        "moderation",
        "whisper",
        "tts",
        "transcribe",
        "audio",
        "voxtral",
        "realtime",
        "image",
        "dall-e",
        "sora",
        "veo",
        "lyria",
        "imagen",
        "guard",
        "ocr",
        "robotics",
        "live",
        "deep-research",
        "computer-use",
        "search",
        "bge-",
        "e5-",
        "flux",
    ];
    let name = name.to_ascii_lowercase();
    !OTHERS.iter().any(|other| name.contains(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<String> {
        offered(body.as_bytes()).into_iter().map(|model| model.name).collect()
    }

    #[test]
    fn the_lists_of_all_vendors_are_read() {
        assert_eq!(names(r#"{"object":"list","data":[{"id":"gpt-x","owned_by":"system"}]}"#), ["gpt-x"]);
        assert_eq!(names(r#"{"data":[{"type":"model","id":"claude-x"}],"has_more":false}"#), ["claude-x"]);
        assert_eq!(names(r#"[{"id":"a/b","context_length":5}]"#), ["a/b"]);
        let google = r#"{"models":[{"name":"models/gemini-x","supportedGenerationMethods":["generateContent"]},
            {"name":"models/embedding-x","supportedGenerationMethods":["embedContent"]}]}"#;
        assert_eq!(names(google), ["gemini-x"]);
    }

    #[test]
    fn what_is_no_list_lists_nothing() {
        for body in ["", "no", "{}", "[1, null]", r#"{"data": {"id": "x"}}"#, r#"{"data": [{"id": 1}]}"#] {
            assert!(names(body).is_empty(), "{body}");
        }
    }

    #[test]
    fn a_window_is_read_by_the_names_that_servers_give_it() {
        for key in ["max_model_len", "context_length", "max_context_length", "context_window", "inputTokenLimit"] {
            let body = format!(r#"{{"data": [{{"id": "m", "{key}": 4096}}, {{"id": "n", "{key}": "many"}}]}}"#);
            let windows: Vec<_> = offered(body.as_bytes()).into_iter().map(|model| model.context).collect();
            assert_eq!(windows, [Some(4096), None], "{key}");
        }
    }

    #[test]
    fn the_path_is_below_the_base_url_of_each_vendor() {
        for (url, wanted) in [
            ("https://api.openai.com/v1", "/v1/models"),
            ("https://api.groq.com/openai/v1", "/openai/v1/models"),
            ("http://127.0.0.1:8000", "/v1/models"),
            ("https://api.anthropic.com/v1", "/v1/models?limit=1000"),
            ("https://generativelanguage.googleapis.com/v1beta", "/v1beta/models?pageSize=1000"),
        ] {
            assert_eq!(path(&url.parse().expect("a URL")), wanted, "{url}");
        }
    }

    #[test]
    fn models_for_something_else_than_text_are_told_by_their_names() {
        assert!(
            ["gpt-6-luna", "claude-haiku-5-5", "qwen2.5:7b", "llama-3.1-8b-instruct"].into_iter().all(is_chat_name)
        );
        assert!(
            !["text-embedding-3-small", "nomic-embed-text", "whisper-1", "gpt-realtime"].into_iter().any(is_chat_name)
        );
    }
}
