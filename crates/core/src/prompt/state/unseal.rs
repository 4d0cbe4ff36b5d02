//! A body without what other providers sealed, so that its conversation can go on with this one.
//!
//! Left out are reasoning items and the ids of other items (responses), thinking blocks (messages), and signatures of
//! thoughts beside calls (chat). Everything else stays byte for byte. What an API does not let be left out is not this
//! file's to know: whoever asks has looked.

use std::ops::Range;

use bytes::Bytes;

use super::seal_mark::is_carried_seal;
use super::walk::walk;
use crate::prompt::Dialect;
use crate::prompt::scan::{self, JsonMember};
use crate::prompt::state::StateKind;

/// Types of items whose `id` may be left out.
const FREE_ITEMS: [&[u8]; 6] =
    [b"", b"message", b"function_call", b"function_call_output", b"custom_tool_call", b"custom_tool_call_output"];

/// Members of a chat message, and of a call in it, that hold what a provider signed.
const SIGNED_MEMBERS: [&str; 3] = ["extra_content", "reasoning_details", "thinking_blocks"];

/// A body that may lose what is sealed in it.
#[derive(Clone, Copy)]
pub struct SealedBody<'b> {
    /// The whole body.
    pub body: &'b Bytes,
    /// The API that it is written for.
    pub dialect: Dialect,
    /// Returns whether a name, of this kind and as it stands there, is of the provider that gets the body: such parts
    /// stay. `None` for one that says nothing on it.
    pub is_own: &'b dyn Fn(StateKind, &[u8]) -> Option<bool>,
}

/// Returns a body of `dialect` without the seals that a translation has carried in it: they are of other vendors than the
/// one whose API it is. `span` is as in [`unsealed`].
#[must_use]
pub fn without_carried_seals(body: &Bytes, dialect: Dialect, span: Range<usize>) -> (Bytes, Range<usize>) {
    let is_own = |kind, value: &[u8]| (kind == StateKind::Sealed).then(|| !is_carried_seal(value));
    unsealed(SealedBody { body, dialect, is_own: &is_own }, span)
}

/// A part of an array or an object, and whether it goes.
struct SealedPart {
    range: Range<usize>,
    goes: bool,
}

/// Returns the body without what other providers sealed, and where the bytes of `span` stand then, which lie outside of
/// it.
#[must_use]
pub fn unsealed(sealed: SealedBody<'_>, span: Range<usize>) -> (Bytes, Range<usize>) {
    let mut cuts = sealed.cuts();
    if cuts.is_empty() {
        return (sealed.body.clone(), span);
    }
    cuts.sort_by_key(|cut| cut.start);
    let (mut copy, mut done) = (Vec::with_capacity(sealed.body.len()), 0);
    for cut in &cuts {
        copy.extend_from_slice(&sealed.body[done..cut.start]);
        done = cut.end;
    }
    copy.extend_from_slice(&sealed.body[done..]);
    let before: usize = cuts.iter().filter(|cut| cut.end <= span.start).map(ExactSizeIterator::len).sum();
    (copy.into(), span.start - before..span.end - before)
}

impl SealedBody<'_> {
    /// Returns what is to be cut out; no two overlap.
    fn cuts(&self) -> Vec<Range<usize>> {
        let key = match self.dialect {
            Dialect::Responses | Dialect::CompactResponse | Dialect::InputTokens => "input",
            Dialect::ChatCompletions | Dialect::Messages | Dialect::CountTokens => "messages",
            Dialect::GenerateContent | Dialect::StreamGenerateContent => "contents",
            Dialect::Completions | Dialect::Embeddings | Dialect::CountContentTokens => return Vec::new(),
        };
        let Some(conversation) = scan::object_at(self.body, 0).and_then(|open| self.member(open, key)) else {
            return Vec::new();
        };
        match self.dialect {
            dialect if dialect.is_responses() => self.items(conversation.value.start),
            Dialect::ChatCompletions => self.chat_messages(conversation.value.start),
            dialect if dialect.is_google() => self.contents(conversation.value.start),
            _ => self.messages(conversation.value.start),
        }
    }

    /// Returns the cuts among the items at `start`: reasoning goes whole, other items lose their ids.
    fn items(&self, start: usize) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        let mut parts = Vec::new();
        for range in scan::elements(self.body, start) {
            let kind = self.text_in(range.start, "type");
            let goes = kind == b"reasoning" && self.is_foreign(&range);
            if !goes && FREE_ITEMS.contains(&kind) {
                cuts.extend(self.without(range.start, |member| member == "id"));
            }
            parts.push(SealedPart { range, goes });
        }
        cuts.extend(cuts_of(&parts));
        cuts
    }

    /// Returns the cuts among the messages at `start`: thinking goes, and a message that was nothing else.
    fn messages(&self, start: usize) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        let mut parts = Vec::new();
        for range in scan::elements(self.body, start) {
            let content = scan::object_at(self.body, range.start).and_then(|open| self.member(open, "content"));
            let blocks = content.into_iter().flat_map(|content| scan::elements(self.body, content.value.start));
            let blocks: Vec<SealedPart> = blocks.map(|range| self.block(range)).collect();
            let goes = !blocks.is_empty() && blocks.iter().all(|block| block.goes);
            if !goes {
                cuts.extend(cuts_of(&blocks));
            }
            parts.push(SealedPart { range, goes });
        }
        cuts.extend(cuts_of(&parts));
        cuts
    }

    fn block(&self, range: Range<usize>) -> SealedPart {
        let is_thinking = matches!(self.text_in(range.start, "type"), b"thinking" | b"redacted_thinking");
        let goes = is_thinking && self.is_foreign(&range);
        SealedPart { range, goes }
    }

    /// Returns the cuts among Google's contents at `start`: signatures of thoughts go, and the parts stay.
    fn contents(&self, start: usize) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        for content in scan::elements(self.body, start) {
            let parts = scan::object_at(self.body, content.start).and_then(|open| self.member(open, "parts"));
            for part in parts.into_iter().flat_map(|parts| scan::elements(self.body, parts.value.start)) {
                let is_signature = |member: &str| matches!(member, "thoughtSignature" | "thought_signature");
                cuts.extend(self.without(part.start, is_signature));
            }
        }
        cuts
    }

    /// Returns the cuts among the chat messages at `start`: signatures of thoughts go.
    fn chat_messages(&self, start: usize) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        for message in scan::elements(self.body, start) {
            let calls = scan::object_at(self.body, message.start).and_then(|open| self.member(open, "tool_calls"));
            for call in calls.into_iter().flat_map(|calls| scan::elements(self.body, calls.value.start)) {
                cuts.extend(self.signatures(call.start));
            }
            cuts.extend(self.signatures(message.start));
        }
        cuts
    }

    /// Returns the cuts that take foreign signatures out of the message or the call at `start`: of a list the elements
    /// that are sealed, or the whole list where nothing else is in it.
    fn signatures(&self, start: usize) -> Vec<Range<usize>> {
        let Some(open) = scan::object_at(self.body, start) else { return Vec::new() };
        let (mut cuts, mut parts) = (Vec::new(), Vec::new());
        for member in scan::members(self.body, open) {
            let range = member.key.start..member.value.end;
            let is_signed = member.name(self.body).is_some_and(|name| SIGNED_MEMBERS.contains(&&*name));
            let place = if is_signed { member.value.start } else { self.body.len() };
            let elements = scan::elements(self.body, place);
            let elements: Vec<_> = elements.map(|range| SealedPart { goes: self.is_foreign(&range), range }).collect();
            let goes = match elements.as_slice() {
                [] => is_signed && self.is_foreign(&range),
                elements => elements.iter().all(|element| element.goes),
            };
            if !goes {
                cuts.extend(cuts_of(&elements));
            }
            parts.push(SealedPart { range, goes });
        }
        cuts.extend(cuts_of(&parts));
        cuts
    }

    /// Returns the cuts that take foreign members out of the object at `start`.
    fn without(&self, start: usize, may_go: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
        let Some(open) = scan::object_at(self.body, start) else { return Vec::new() };
        let part = |member: JsonMember| {
            let range = member.key.start..member.value.end;
            let is_named = member.name(self.body).is_some_and(|name| may_go(&name));
            SealedPart { goes: is_named && self.is_foreign(&range), range }
        };
        cuts_of(&scan::members(self.body, open).map(part).collect::<Vec<_>>())
    }

    /// Returns whether a part holds a name, and none that is of the provider that gets the body.
    fn is_foreign(&self, range: &Range<usize>) -> bool {
        let (mut holds_any, mut is_own) = (false, false);
        let mut look = |kind, value: &[u8]| {
            let own = (self.is_own)(kind, value);
            holds_any |= own.is_some();
            is_own |= own == Some(true);
        };
        let part = &self.body[range.clone()];
        // A member alone is no document: its braces are lent.
        let lent = if part.starts_with(b"{") { None } else { Some([b"{", part, b"}"].concat()) };
        walk(lent.as_deref().unwrap_or(part), |text| match text.key {
            b"encrypted_content" | b"signature" | b"thought_signature" | b"thoughtSignature" | b"data" => {
                look(StateKind::Sealed, &text.value());
            }
            b"id" if text.depth == 1 && self.dialect.is_responses() => look(StateKind::Item, &text.value()),
            _ => {}
        });
        holds_any && !is_own
    }

    fn member(&self, open: usize, key: &str) -> Option<JsonMember> {
        scan::members(self.body, open).find(|member| member.name(self.body).as_deref() == Some(key))
    }

    /// Returns the text of a member of the object at `start`, as it stands; empty where there is none.
    fn text_in(&self, start: usize, key: &str) -> &[u8] {
        let member = scan::object_at(self.body, start).and_then(|open| self.member(open, key));
        let value = member.map(|member| &self.body[member.value]).unwrap_or_default();
        value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or_default()
    }
}

/// Returns the cuts after which the parts that go are gone, each with one comma.
fn cuts_of(parts: &[SealedPart]) -> Vec<Range<usize>> {
    let mut kept_end = None;
    let mut cuts: Vec<Range<usize>> = Vec::new();
    for (index, SealedPart { range, goes }) in parts.iter().enumerate() {
        match (goes, kept_end) {
            (false, _) => kept_end = Some(range.end),
            (true, Some(_)) => cuts.push(parts[index - 1].range.end..range.end),
            (true, None) => cuts.push(range.start..parts.get(index + 1).map_or(range.end, |next| next.range.start)),
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::prompt::state::carries_seals;

    /// Returns the body after another provider than the one that made `own` gets it, with the model in its place.
    fn sent(dialect: Dialect, body: &Value, own: &[&str]) -> Value {
        let text = body.to_string();
        let place = text.find("\"auto\"").expect("a model");
        let is_own = |_, value: &[u8]| Some(own.iter().any(|own| own.as_bytes() == value));
        let body = Bytes::from(text);
        let sealed = SealedBody { body: &body, dialect, is_own: &is_own };

        let (body, span) = unsealed(sealed, place..place + 6);

        assert_eq!(&body[span], b"\"auto\"");
        serde_json::from_slice(&body).expect("JSON as before")
    }

    #[test]
    fn reasoning_items_go_and_other_items_lose_their_ids() {
        let items = json!([
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "sealed-1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
            {"type": "reasoning", "encrypted_content": "sealed-2"},
            {"type": "function_call", "call_id": "c", "id": "fc_1", "name": "f", "arguments": "{}"},
            {"type": "web_search_call", "id": "ws_1"},
            {"type": "item_reference", "id": "rs_9"},
            {"role": "user", "content": "go on"},
        ]);
        let body = json!({"input": items, "model": "auto", "zz": 1});

        let stripped = sent(Dialect::Responses, &body, &[]);
        assert_eq!(
            stripped["input"],
            json!([
                {"type": "message", "role": "assistant", "content": []},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "web_search_call", "id": "ws_1"},
                {"type": "item_reference", "id": "rs_9"},
                {"role": "user", "content": "go on"},
            ])
        );
        let own = sent(Dialect::Responses, &body, &["sealed-2", "fc_1"]);
        assert_eq!((&own["input"][1], &own["input"][2]), (&items[2], &items[3]));
    }

    #[test]
    fn thinking_blocks_go_and_a_message_that_is_nothing_else() {
        let body = json!({"model": "auto", "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQBCgIYAhIM"}, {"type": "text", "text": "hello"},
                {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}, {"type": "tool_use", "id": "t", "input": {}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "EqQBCgIYAhIM"}]},
            {"role": "user", "content": [{"type": "text", "text": "more"}]},
        ]});

        let stripped = sent(Dialect::Messages, &body, &[]);

        assert_eq!(
            stripped["messages"],
            json!([
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [
                    {"type": "text", "text": "hello"}, {"type": "tool_use", "id": "t", "input": {}}]},
                {"role": "user", "content": [{"type": "text", "text": "more"}]},
            ])
        );
        assert_eq!(sent(Dialect::Messages, &body, &["EqQBCgIYAhIM", "EmwKAhgBEgy3"]), body);
    }

    #[test]
    fn signatures_beside_calls_go_from_chat() {
        let call = |extra: &Value| {
            let mut call = json!({"id": "c", "function": {"name": "f", "arguments": "{}"}, "type": "function"});
            call.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap_or_default());
            json!({"model": "auto", "messages": [{"role": "assistant", "tool_calls": [call]}]})
        };
        let signed = call(&json!({"extra_content": {"google": {"thought_signature": "Cs4BAVSoXO=="}}}));

        assert_eq!(sent(Dialect::ChatCompletions, &signed, &[]), call(&json!({})));
        assert_eq!(sent(Dialect::ChatCompletions, &signed, &["Cs4BAVSoXO=="]), signed);
    }

    #[test]
    fn sealed_parts_of_lists_go_from_chat_and_the_rest_of_the_list_stays() {
        let details = |list: &Value| {
            json!({"model": "auto", "messages": [
                {"role": "assistant", "content": "x", "reasoning_details": list, "audio": {"id": "audio_1"}}]})
        };
        let (one, other) = (
            json!({"type": "reasoning.encrypted", "data": "sealed-by-one", "id": "rs_1", "index": 0}),
            json!({"type": "reasoning.encrypted", "data": "sealed-by-other", "id": "rs_2", "index": 1}),
        );
        let plain = json!({"type": "reasoning.summary", "summary": "hm", "id": "rs_1"});
        let bare = json!({"model": "auto", "messages": [
            {"role": "assistant", "content": "x", "audio": {"id": "audio_1"}}]});
        let chat = |list: &Value, own: &[&str]| sent(Dialect::ChatCompletions, &details(list), own);

        assert_eq!(chat(&json!([plain, one, other]), &["sealed-by-other"]), details(&json!([plain, other])));
        assert_eq!(chat(&json!([one, plain, other]), &[]), details(&json!([plain])));
        assert_eq!(chat(&json!([one, other]), &[]), bare);
        assert_eq!(chat(&json!([plain]), &[]), details(&json!([plain])));
    }

    #[test]
    fn a_body_with_nothing_sealed_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"auto","input":[{"id":"x","type":"item_reference"}]}"#);
        let sealed = SealedBody { body: &body, dialect: Dialect::Responses, is_own: &|_, _| Some(false) };

        assert_eq!(unsealed(sealed, 9..15).0.as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_a_translation_carried_goes_and_what_the_vendor_itself_sealed_stays() {
        let clean = |dialect, body: &Value| {
            let body = Bytes::from(body.to_string());
            assert!(carries_seals(&body));
            let (clean, _) = without_carried_seals(&body, dialect, 0..0);
            serde_json::from_slice::<Value>(&clean).expect("JSON as before")
        };
        let thought = |signature: &str| json!({"type": "thinking", "thinking": "t", "signature": signature});
        let text = json!({"type": "text", "text": "cG0xL is no seal here"});
        let turn = |blocks: Value| json!({"messages": [{"role": "assistant", "content": blocks}]});
        let reasoning = |sealed: &str| json!({"type": "reasoning", "id": "rs_1", "encrypted_content": sealed});
        let call = json!({"type": "function_call", "id": "fc_1", "name": "f", "arguments": "{}"});

        let messages = clean(Dialect::Messages, &turn(json!([thought("cG0xLmNoYXQu"), thought("EqoBCkg"), text])));
        let items = json!({"input": [reasoning("cG0xLm1lc3NhZ2Vz"), reasoning("gAAAA"), call]});
        let responses = clean(Dialect::Responses, &items);

        assert_eq!(messages, turn(json!([thought("EqoBCkg"), text])));
        assert_eq!(responses, json!({"input": [reasoning("gAAAA"), call]}));
    }
}
