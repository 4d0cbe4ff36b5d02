//! Messages of chat completions, read as turns.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::request_reader::cache_ttl;
use super::thought;
use crate::conversion::media;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{
    Audio, CacheMark, CallKind, Document, Image, ImageDetail, MediaSource, Part, PartBody, Thinking, ToolCall,
    ToolResult, Turn, TurnRole,
};
use crate::refusal::TranslationRefusal;

/// Reads the list of messages.
pub(super) fn read<'b>(
    messages: Vec<Option<Fields<'b>>>,
    losses: &mut LossReport,
) -> Result<Vec<Turn<'b>>, TranslationRefusal> {
    let mut reader = TurnsReader {
        turns: Vec::with_capacity(messages.len()),
        custom_calls: Vec::new(),
        holds_results: false,
        losses,
    };
    for (index, fields) in messages.into_iter().enumerate() {
        reader.message(index, fields)?;
    }
    Ok(reader.turns)
}

struct TurnsReader<'b, 'l> {
    turns: Vec<Turn<'b>>,
    /// The ids of calls whose input is free text: their results look like any other.
    custom_calls: Vec<Cow<'b, str>>,
    /// True where the last turn holds results of tools, to which the next one belongs.
    holds_results: bool,
    losses: &'l mut LossReport,
}

impl<'b> TurnsReader<'b, '_> {
    fn message(&mut self, index: usize, fields: Option<Fields<'b>>) -> Result<(), TranslationRefusal> {
        let problem = |field: &str, problem: &str| {
            Err(TranslationRefusal::malformed(format!("messages[{index}]{field}"), problem))
        };
        let Some(fields) = fields else { return problem("", "must be an object") };
        let Some(role) = fields.text("role") else { return problem(".role", "must be a string") };
        self.unknown_fields(index, &role, &fields);
        match &*role {
            "system" => self.plain(TurnRole::System, index, &fields),
            "developer" => self.plain(TurnRole::Developer, index, &fields),
            "user" => self.plain(TurnRole::User, index, &fields),
            "assistant" => self.assistant(index, &fields),
            "tool" | "function" => self.result(index, &fields),
            _ => return problem(".role", "unknown role (allowed: system, developer, user, assistant, tool, function)"),
        }
        Ok(())
    }

    fn plain(&mut self, role: TurnRole, index: usize, fields: &Fields<'b>) {
        let parts = self.content(index, fields);
        self.turns.push(Turn { role, name: fields.text("name"), parts });
        self.holds_results = false;
    }

    fn assistant(&mut self, index: usize, fields: &Fields<'b>) {
        let mut parts = thought::read(fields);
        let begin = parts.len();
        parts.extend(self.content(index, fields));
        if let Some(seal) = thought::signature(fields)
            && let Some(part) = parts.get_mut(begin..).and_then(<[Part<'_>]>::last_mut)
        {
            part.sealed = Some(seal);
        }
        if let Some(refusal) = fields.text("refusal").filter(|refusal| !refusal.is_empty()) {
            parts.push(Part::new(PartBody::Refusal(refusal)));
        }
        for raw in fields.list("tool_calls") {
            match call(raw) {
                Some(part) => {
                    if let PartBody::ToolCall(ToolCall { id, kind: CallKind::Custom, .. }) = &part.body {
                        self.custom_calls.push(id.clone());
                    }
                    parts.push(part);
                }
                None => self.losses.dropped_at(Field::Tools, format!("messages[{index}].tool_calls")),
            }
        }
        if let Some(function) = fields.object("function_call")
            && let Some(call) = function_call(&function, Cow::Borrowed(""))
        {
            parts.push(Part::new(PartBody::ToolCall(call)));
        }
        self.turns.push(Turn { role: TurnRole::Assistant, name: fields.text("name"), parts });
        self.holds_results = false;
    }

    fn result(&mut self, index: usize, fields: &Fields<'b>) {
        let parts = self.content(index, fields);
        let call_id = fields.text("tool_call_id").unwrap_or_default();
        let is_custom = !call_id.is_empty() && self.custom_calls.contains(&call_id);
        let mut part = Part::new(PartBody::ToolResult(ToolResult {
            call_id,
            name: fields.text("name"),
            parts,
            is_error: None,
            kind: if is_custom { CallKind::Custom } else { CallKind::Function },
        }));
        part.cache = cache_mark(fields);
        match self.turns.last_mut().filter(|_| self.holds_results) {
            Some(turn) => turn.parts.push(part),
            None => self.turns.push(Turn { role: TurnRole::User, name: None, parts: vec![part] }),
        }
        self.holds_results = true;
    }

    fn content(&mut self, index: usize, fields: &Fields<'b>) -> Vec<Part<'b>> {
        let Some(raw) = fields.get("content") else { return Vec::new() };
        if let Some(text) = json::text(raw) {
            let mut part = Part::text(text);
            part.cache = cache_mark(fields);
            return if is_empty_text(&part) { Vec::new() } else { vec![part] };
        }
        let Some(list) = json::list(raw) else {
            self.losses.dropped_at(Field::Text, format!("messages[{index}].content"));
            return Vec::new();
        };
        let parts = list.into_iter().enumerate().filter_map(|(at, raw)| {
            let part = part(raw);
            if part.is_none() {
                self.losses.dropped_at(Field::Text, format!("messages[{index}].content[{at}]"));
            }
            part.filter(|part| !is_empty_text(part))
        });
        parts.collect()
    }

    /// Notes the fields of a message that are not read.
    fn unknown_fields(&mut self, index: usize, role: &str, fields: &Fields<'b>) {
        for (name, raw) in fields.iter() {
            let is_known = match name {
                "role" | "content" | "name" | "cache_control" => true,
                "refusal" | "tool_calls" | "function_call" | "reasoning_content" | "reasoning"
                | "reasoning_details" | "extra_content" => role == "assistant",
                "tool_call_id" => role == "tool",
                _ => false,
            };
            if is_known || matches!(raw.get(), "null" | "[]" | "{}" | "\"\"" | "false") {
                continue;
            }
            match name {
                "annotations" => self.losses.dropped_at(Field::Citations, format!("messages[{index}].{name}")),
                // The words are with the vendor alone.
                "audio" => self.losses.refused(Field::Audio, format!("messages[{index}].audio is kept by its vendor")),
                _ => self.losses.dropped_at(Field::Other, format!("messages[{index}].{name}")),
            }
        }
    }
}

fn is_empty_text(part: &Part<'_>) -> bool {
    matches!(&part.body, PartBody::Text { text, .. } if text.is_empty())
}

/// Reads a mark of the prompt cache: OpenAI's own, or Anthropic's, which clients of other servers put in its place.
pub(super) fn cache_mark(fields: &Fields<'_>) -> Option<CacheMark> {
    let mark = fields.object("prompt_cache_breakpoint").or_else(|| fields.object("cache_control"))?;
    Some(CacheMark { ttl: mark.text("ttl").and_then(|ttl| cache_ttl(&ttl)) })
}

/// Reads a part of a message's content.
pub(super) fn part(raw: &RawValue) -> Option<Part<'_>> {
    if let Some(text) = json::text(raw) {
        return Some(Part::text(text));
    }
    let fields = Fields::of(raw)?;
    let kind = fields.text("type")?;
    let body = match &*kind {
        "text" | "input_text" | "output_text" => PartBody::Text { text: fields.text("text")?, citations: None },
        "refusal" => PartBody::Refusal(fields.text("refusal")?),
        "image_url" => PartBody::Image(image(&fields)?),
        "input_audio" => PartBody::Audio(audio(&fields.object("input_audio")?)?),
        "file" => PartBody::Document(document(&fields.object("file")?)?),
        "thinking" => PartBody::Thinking(thought_chunk(&fields)?),
        "video_url" => PartBody::Video(media::source_of_url(fields.object("video_url")?.text("url")?)),
        _ => PartBody::Native { kind, raw },
    };
    let mut part = Part::new(body);
    part.cache = cache_mark(&fields);
    Some(part)
}

/// Reads a thought that stands among the parts of an answer, as Mistral's servers write it.
fn thought_chunk<'b>(fields: &Fields<'b>) -> Option<Thinking<'b>> {
    let raw = fields.get("thinking")?;
    let text = json::text(raw).or_else(|| {
        let pieces = json::list(raw)?.into_iter().filter_map(|piece| Fields::of(piece)?.text("text"));
        Some(Cow::Owned(pieces.collect::<String>()))
    })?;
    let sealed = Some(thought::own_seal(thought::TEXT_FIELDS[0]));
    Some(Thinking { text, is_summary: false, is_redacted: false, sealed })
}

fn image<'b>(fields: &Fields<'b>) -> Option<Image<'b>> {
    let (url, detail) = match fields.object("image_url") {
        Some(object) => (object.text("url")?, object.text("detail")),
        // Some servers take the address alone.
        None => (fields.text("image_url")?, None),
    };
    let detail = detail.and_then(|detail| match &*detail {
        "auto" => Some(ImageDetail::Auto),
        "low" => Some(ImageDetail::Low),
        "high" => Some(ImageDetail::High),
        "original" => Some(ImageDetail::Original),
        _ => None,
    });
    Some(Image { source: media::source_of_url(url), detail })
}

fn audio<'b>(sound: &Fields<'b>) -> Option<Audio<'b>> {
    let media_type = media::audio_type(&sound.text("format")?);
    let data = media::standard(sound.text("data")?);
    Some(Audio { source: MediaSource::Base64 { media_type, data }, transcript: None })
}

fn document<'b>(file: &Fields<'b>) -> Option<Document<'b>> {
    let title = file.text("filename");
    let source = match (file.text("file_data"), file.text("file_id")) {
        (Some(data), _) => file_source(data, title.as_deref()),
        (None, Some(id)) => MediaSource::FileId(id),
        (None, None) => return None,
    };
    Some(Document { source, title, context: None, cites: None })
}

/// Reads where a file is: in a data URL, at an address, or in bare base64, whose type its name or its beginning says.
fn file_source<'b>(data: Cow<'b, str>, name: Option<&str>) -> MediaSource<'b> {
    if data.starts_with("http://") || data.starts_with("https://") {
        return MediaSource::Url { url: data, media_type: None };
    }
    match media::parts_of_data_url(data) {
        Ok((media_type, data)) => MediaSource::Base64 { media_type, data },
        Err(data) => {
            let data = media::standard(data);
            let named = name.and_then(media::type_of_name).map(Cow::Borrowed);
            let media_type = named.unwrap_or_else(|| media::type_of_data(&data, media::UNKNOWN_TYPE));
            MediaSource::Base64 { media_type, data }
        }
    }
}

/// Reads a call of a tool.
pub(super) fn call(raw: &RawValue) -> Option<Part<'_>> {
    let fields = Fields::of(raw)?;
    let id = fields.text("id").unwrap_or_default();
    let call = match fields.object("custom") {
        Some(custom) => ToolCall {
            id,
            name: custom.text("name")?,
            arguments: custom.text("input").unwrap_or_default(),
            kind: CallKind::Custom,
        },
        None => function_call(&fields.object("function")?, id)?,
    };
    let mut part = Part::new(PartBody::ToolCall(call));
    part.sealed = thought::signature(&fields);
    Some(part)
}

/// Reads a call of a function.
pub(super) fn function_call<'b>(function: &Fields<'b>, id: Cow<'b, str>) -> Option<ToolCall<'b>> {
    let arguments = function.get("arguments").map(arguments).unwrap_or_default();
    Some(ToolCall { id, name: function.text("name")?, arguments, kind: CallKind::Function })
}

/// Reads arguments: the text of JSON, which some servers write as JSON itself.
pub(super) fn arguments(raw: &RawValue) -> Cow<'_, str> {
    json::text(raw).unwrap_or_else(|| Cow::Borrowed(raw.get()))
}
