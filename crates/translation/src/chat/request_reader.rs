//! Requests in the form of chat completions, read: the fields at the top.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{tools_reader, turns_reader};
use crate::conversion::effort;
use crate::json::{self, Fields};
use crate::loss::{Field, Loss, LossKind, LossReport};
use crate::neutral::{
    CacheTtl, NativeField, NeutralRequest, OutputFormat, Reasoning, ReasoningMode, Sampling, ServerTool, Tool,
    ToolKind, Verbosity,
};
use crate::refusal::TranslationRefusal;

/// The result of reading a field.
enum FieldReading {
    Read,
    /// The value has an unexpected type.
    Odd,
    /// Nothing here knows it.
    Unknown,
}

/// Reads a request.
pub(super) fn read<'b>(body: &'b [u8], losses: &mut LossReport) -> Result<NeutralRequest<'b>, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let Some(model) = fields.text("model") else {
        return Err(TranslationRefusal::malformed("model", "must be a string"));
    };
    let mut request = NeutralRequest::new(model);
    let Some(messages) = fields.get("messages").and_then(json::objects) else {
        return Err(TranslationRefusal::malformed("messages", "must be a list"));
    };
    request.turns = turns_reader::read(messages, losses)?;
    for (name, raw) in fields.iter() {
        if json::is_null(raw) {
            continue;
        }
        let reading = match sampling(&mut request.sampling, name, raw) {
            FieldReading::Unknown => rule(&mut request, name, raw, losses),
            reading => reading,
        };
        let reading = match reading {
            FieldReading::Unknown => native(&mut request, name, raw),
            reading => reading,
        };
        match reading {
            FieldReading::Read => {}
            FieldReading::Odd => losses.dropped_at(field_of(name), name),
            FieldReading::Unknown => keep(&mut request, name, raw, Some(dropped(Field::Other, name))),
        }
    }
    defaults_of_older_fields(&mut request, &fields);
    Ok(request)
}

fn sampling<'b>(sampling: &mut Sampling<'b>, name: &str, raw: &'b RawValue) -> FieldReading {
    match name {
        "temperature" => set(&mut sampling.temperature, raw),
        "top_p" => set(&mut sampling.top_p, raw),
        "top_k" => set(&mut sampling.top_k, raw),
        "seed" => set(&mut sampling.seed, raw),
        "presence_penalty" => set(&mut sampling.presence_penalty, raw),
        "frequency_penalty" => set(&mut sampling.frequency_penalty, raw),
        "logprobs" => set(&mut sampling.logprobs, raw),
        "top_logprobs" => set(&mut sampling.top_logprobs, raw),
        "n" => set(&mut sampling.choices, raw),
        "logit_bias" => {
            sampling.logit_bias = Fields::of(raw).is_some_and(|bias| !bias.is_empty()).then_some(raw);
            FieldReading::Read
        }
        "stop" => stop(sampling, raw),
        _ => FieldReading::Unknown,
    }
}

fn stop<'b>(sampling: &mut Sampling<'b>, raw: &'b RawValue) -> FieldReading {
    if let Some(text) = json::text(raw) {
        sampling.stop = vec![text];
        return FieldReading::Read;
    }
    let Some(list) = json::list(raw) else { return FieldReading::Odd };
    sampling.stop = list.into_iter().filter_map(json::text).collect();
    FieldReading::Read
}

/// Reads what every API says in a way of its own.
fn rule<'b>(request: &mut NeutralRequest<'b>, name: &str, raw: &'b RawValue, losses: &mut LossReport) -> FieldReading {
    match name {
        "model" | "messages" => {}
        "tools" => tools_reader::read(request, raw, losses),
        "tool_choice" => return put(&mut request.tool_choice, tools_reader::choice(raw)),
        "parallel_tool_calls" => return set(&mut request.parallel_calls, raw),
        "max_tokens" => return put(&mut request.max_tokens, whole_number(raw)),
        "reasoning_effort" => return put(&mut request.reasoning, json::text(raw).and_then(|text| reasoning(&text))),
        "response_format" => return response_format(request, raw),
        "verbosity" => return put(&mut request.verbosity, json::text(raw).and_then(|text| verbosity(&text))),
        "stream" => {
            let Some(stream) = json::value(raw) else { return FieldReading::Odd };
            request.stream = stream;
        }
        "prompt_cache_key" => return put(&mut request.cache.key, json::text(raw)),
        "service_tier" => request.service_tier = json::text(raw).filter(|tier| tier != "auto"),
        "user" => return put(&mut request.user, json::text(raw)),
        "metadata" => request.metadata = Fields::of(raw).is_some_and(|labels| !labels.is_empty()).then_some(raw),
        "store" => return set(&mut request.store, raw),
        "web_search_options" => request.tools.push(Tool {
            name: Cow::Borrowed("web_search"),
            description: None,
            kind: ToolKind::Server(ServerTool { kind: Cow::Borrowed("web_search_options"), raw }),
            cache: None,
        }),
        _ => return FieldReading::Unknown,
    }
    FieldReading::Read
}

/// Reads what goes to other servers of this API as it is, whether or not another API can say it.
fn native<'b>(request: &mut NeutralRequest<'b>, name: &str, raw: &'b RawValue) -> FieldReading {
    let loss = match name {
        "stream_options" => stream_options(request, raw),
        "prompt_cache_options" => cache_options(request, raw),
        // What they say is read once all fields are known: a newer field may say it as well.
        "prompt_cache_retention"
        | "max_completion_tokens"
        | "safety_identifier"
        | "functions"
        | "function_call"
        | "reasoning"
        | "thinking"
        | "audio" => None,
        "modalities" => {
            let sounds = json::list(raw).unwrap_or_default().into_iter().filter_map(json::text);
            let other = sounds.into_iter().find(|kind| kind != "text");
            other.map(|kind| loss(Field::Modalities, LossKind::Refused, format!("output of {kind}")))
        }
        "prediction" => Some(dropped(Field::Prediction, name)),
        "moderation" => Some(dropped(Field::Safety, name)),
        _ => return FieldReading::Unknown,
    };
    keep(request, name, raw, loss);
    FieldReading::Read
}

fn stream_options<'b>(request: &mut NeutralRequest<'b>, raw: &'b RawValue) -> Option<Loss> {
    let options = Fields::of(raw)?;
    request.include_usage = options.value("include_usage").unwrap_or_default();
    let is_known = |name: &str| name == "include_usage";
    let other = options.iter().find(|(name, raw)| !is_known(name) && raw.get() != "false" && !json::is_null(raw));
    other.map(|(name, _)| dropped(Field::StreamOptions, &format!("stream_options.{name}")))
}

fn cache_options<'b>(request: &mut NeutralRequest<'b>, raw: &'b RawValue) -> Option<Loss> {
    let options = Fields::of(raw)?;
    request.cache.ttl = options.text("ttl").and_then(|ttl| cache_ttl(&ttl));
    let is_explicit = options.text("mode").is_some_and(|mode| mode != "implicit");
    is_explicit.then(|| dropped(Field::CacheRules, "prompt_cache_options.mode"))
}

/// Reads the fields that say what a newer one may say as well, where it does not.
fn defaults_of_older_fields<'b>(request: &mut NeutralRequest<'b>, fields: &Fields<'b>) {
    if let Some(most) = fields.get("max_completion_tokens").and_then(whole_number) {
        request.max_tokens = Some(most);
    }
    if request.user.is_none() {
        request.user = fields.text("safety_identifier");
    }
    if request.cache.ttl.is_none() && fields.text("prompt_cache_retention").is_some_and(|retention| retention == "24h")
    {
        request.cache.ttl = Some(CacheTtl::OneDay);
    }
    if request.reasoning.is_none() {
        let object = fields.object("reasoning").or_else(|| fields.object("thinking"));
        request.reasoning = object.as_ref().and_then(reasoning_object);
    }
    if request.tools.is_empty() {
        request.tools = tools_reader::functions(&fields.list("functions"));
    }
    if request.tool_choice.is_none() {
        request.tool_choice = fields.get("function_call").and_then(tools_reader::function_choice);
    }
}

/// Reads the objects that servers of open models have in place of `reasoning_effort`.
fn reasoning_object(object: &Fields<'_>) -> Option<Reasoning> {
    let effort = object.text("effort").and_then(|text| reasoning(&text));
    let tokens = object.value("max_tokens").or_else(|| object.value("budget_tokens"));
    let is_off = object.value("enabled") == Some(false) || object.text("type").as_deref() == Some("disabled");
    let is_adaptive = object.value("enabled") == Some(true) || object.text("type").is_some();
    match (is_off, tokens) {
        (true, _) => Some(ReasoningMode::Off),
        (false, Some(tokens)) => Some(ReasoningMode::Budget { tokens, effort: None }),
        (false, None) => match effort {
            Some(effort) => return Some(effort),
            None => is_adaptive.then_some(ReasoningMode::Adaptive { effort: None }),
        },
    }
    .map(|mode| Reasoning { mode, form: None })
}

fn reasoning(text: &str) -> Option<Reasoning> {
    let mode = match text {
        "none" => ReasoningMode::Off,
        _ => ReasoningMode::Effort(effort::named(text)?),
    };
    Some(Reasoning { mode, form: None })
}

fn verbosity(text: &str) -> Option<Verbosity> {
    match text {
        "low" => Some(Verbosity::Low),
        "medium" => Some(Verbosity::Medium),
        "high" => Some(Verbosity::High),
        _ => None,
    }
}

fn response_format<'b>(request: &mut NeutralRequest<'b>, raw: &'b RawValue) -> FieldReading {
    let Some(format) = Fields::of(raw) else { return FieldReading::Odd };
    match format.text("type").as_deref() {
        Some("text") | None => {}
        Some("json_object") => request.output = Some(OutputFormat::JsonObject),
        Some("json_schema") => {
            let Some(named) = format.object("json_schema") else { return FieldReading::Odd };
            request.output =
                Some(named.get("schema").map_or(OutputFormat::JsonObject, |schema| OutputFormat::Schema {
                    name: named.text("name"),
                    description: named.text("description"),
                    schema,
                    strict: named.value("strict"),
                }));
        }
        Some(_) => {
            let name = "response_format";
            keep(request, name, raw, Some(dropped(Field::OutputFormat, name)));
        }
    }
    FieldReading::Read
}

/// Reads the life of an entry in the prompt cache.
pub(super) fn cache_ttl(text: &str) -> Option<CacheTtl> {
    match text {
        "5m" => Some(CacheTtl::FiveMinutes),
        "30m" => Some(CacheTtl::ThirtyMinutes),
        "1h" => Some(CacheTtl::OneHour),
        "12h" => Some(CacheTtl::TwelveHours),
        "24h" => Some(CacheTtl::OneDay),
        _ => None,
    }
}

fn set<'b, T: Deserialize<'b>>(slot: &mut Option<T>, raw: &'b RawValue) -> FieldReading {
    put(slot, json::value(raw))
}

fn put<T>(slot: &mut Option<T>, value: Option<T>) -> FieldReading {
    let is_odd = value.is_none();
    *slot = value;
    if is_odd { FieldReading::Odd } else { FieldReading::Read }
}

/// Reads a number of tokens, which some clients write with a point.
fn whole_number(raw: &RawValue) -> Option<u64> {
    let whole = raw.get().trim_end_matches('0').strip_suffix('.');
    whole.map_or_else(|| json::value(raw), |whole| whole.parse().ok())
}

fn keep<'b>(request: &mut NeutralRequest<'b>, name: &str, raw: &'b RawValue, loss: Option<Loss>) {
    request.native.push(NativeField { name: Cow::Owned(name.to_owned()), raw, loss });
}

fn loss(field: Field, kind: LossKind, detail: String) -> Loss {
    Loss { field, kind, place: None, detail: Some(detail) }
}

fn dropped(field: Field, place: &str) -> Loss {
    Loss { field, kind: LossKind::Dropped, place: Some(place.to_owned()), detail: None }
}

/// Returns the kind of thing that a field is whose value makes no sense.
fn field_of(name: &str) -> Field {
    match name {
        "temperature" => Field::Temperature,
        "top_p" => Field::TopP,
        "top_k" => Field::TopK,
        "seed" => Field::Seed,
        "presence_penalty" => Field::PresencePenalty,
        "frequency_penalty" => Field::FrequencyPenalty,
        "logprobs" | "top_logprobs" => Field::Logprobs,
        "n" => Field::Choices,
        "stop" => Field::Stop,
        "tool_choice" => Field::ToolChoice,
        "parallel_tool_calls" => Field::ParallelCalls,
        "max_tokens" => Field::MaxTokens,
        "reasoning_effort" => Field::Reasoning,
        "response_format" => Field::OutputFormat,
        "verbosity" => Field::Verbosity,
        "prompt_cache_key" => Field::CacheRules,
        "user" => Field::User,
        "store" => Field::Store,
        _ => Field::Other,
    }
}
