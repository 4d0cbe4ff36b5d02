//! Names that clients give in the body to the conversation that a request belongs to.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::parameters::{json, member, text};
use super::text::owned;

/// The longest name of a session that is one; what is longer says something else.
const MAX_BYTES: usize = 512;

/// The values as they stand in the body; each dialect fills those that it knows.
#[derive(Default)]
pub(super) struct RawSession<'b> {
    /// OpenRouter's key for sticky routing.
    pub(super) session_id: Option<&'b RawValue>,
    /// The id of a conversation that OpenAI's responses API keeps, or an object with it.
    pub(super) conversation: Option<&'b RawValue>,
    /// OpenAI's; Codex writes its session there, others one word for all their prompts of a kind.
    pub(super) prompt_cache_key: Option<&'b RawValue>,
    /// Anthropic's, whose `user_id` holds Claude Code's session.
    pub(super) metadata: Option<&'b RawValue>,
}

/// The client's names for the conversation; `None` where it gives none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSession<'b> {
    /// A name of this conversation alone: `session_id`, `conversation`, or the session in Claude Code's
    /// `metadata.user_id`.
    pub id: Option<Cow<'b, str>>,
    /// `prompt_cache_key`, which conversations may share.
    pub cache_key: Option<Cow<'b, str>>,
}

impl<'b> RawSession<'b> {
    pub(super) fn read(self) -> ClientSession<'b> {
        let conversation = || {
            let id = json(self.conversation).and_then(text);
            id.or_else(|| member(json(self.conversation), "id").and_then(text)).and_then(sane)
        };
        let claude_code = || member(json(self.metadata), "user_id").and_then(text).and_then(|user| claude_code(&user));
        ClientSession {
            id: json(self.session_id).and_then(text).and_then(sane).or_else(conversation).or_else(claude_code),
            cache_key: json(self.prompt_cache_key).and_then(text).and_then(sane),
        }
    }
}

impl ClientSession<'_> {
    pub(super) fn into_owned(self) -> ClientSession<'static> {
        ClientSession { id: self.id.map(owned), cache_key: self.cache_key.map(owned) }
    }
}

fn sane(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (1..=MAX_BYTES).contains(&text.len()).then_some(text)
}

/// Finds the session in `user_<hash>_account_<id>_session_<id>`, as Claude Code wrote it up to 2.1.77, and in the JSON
/// object with `session_id` that it writes since (coder/aibridge#241, ding113/claude-code-hub#939).
fn claude_code(user: &str) -> Option<Cow<'static, str>> {
    let session = match user.rsplit_once("_session_") {
        Some((_, session)) => session.to_owned(),
        None => serde_json::from_str::<serde_json::Value>(user).ok()?.get("session_id")?.as_str()?.to_owned(),
    };
    sane(Cow::Owned(session))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::prompt::{Dialect, Prompt};

    fn session(dialect: Dialect, fields: Value) -> (Option<String>, Option<String>) {
        let mut body = json!({"model": "m", "messages": [], "input": []});
        let Value::Object(fields) = fields else { panic!("an object") };
        body.as_object_mut().expect("an object").extend(fields);
        let body = body.to_string();
        let prompt = Prompt::parse(dialect, body.as_bytes()).expect("a prompt");
        (prompt.session.id.map(Into::into), prompt.session.cache_key.map(Into::into))
    }

    fn named(id: &str) -> (Option<String>, Option<String>) {
        (Some(id.to_owned()), None)
    }

    #[test]
    fn claude_code_s_session_is_found_in_both_of_its_spellings() {
        let old = json!({"metadata": {"user_id": "user_0a1b_account__session_57a121ec"}});
        let new =
            json!({"metadata": {"user_id": "{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"54c1eb09\"}"}});
        let someone = json!({"metadata": {"user_id": "alice"}});

        assert_eq!(session(Dialect::Messages, old), named("57a121ec"));
        assert_eq!(session(Dialect::Messages, new), named("54c1eb09"));
        assert_eq!(session(Dialect::Messages, someone), (None, None));
    }

    #[test]
    fn openai_s_and_openrouter_s_fields_are_read_where_they_belong() {
        let both = json!({"session_id": "s1", "prompt_cache_key": "k1"});

        assert_eq!(session(Dialect::ChatCompletions, both), (Some("s1".into()), Some("k1".into())));
        assert_eq!(session(Dialect::Responses, json!({"conversation": "conv_1"})), named("conv_1"));
        assert_eq!(session(Dialect::Responses, json!({"conversation": {"id": "conv_2"}})), named("conv_2"));
    }

    #[test]
    fn what_is_no_name_of_a_session_is_as_if_it_were_not_there() {
        for odd in [json!(""), json!(7), json!({"a": 1}), json!("x".repeat(513)), json!(null)] {
            let fields = json!({"session_id": odd, "prompt_cache_key": odd, "conversation": odd, "metadata": odd});
            assert_eq!(session(Dialect::ChatCompletions, fields.clone()), (None, None), "{odd}");
            assert_eq!(session(Dialect::Responses, fields), (None, None), "{odd}");
        }
    }
}
