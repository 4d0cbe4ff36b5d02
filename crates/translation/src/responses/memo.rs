//! The fields of a request that its answers repeat, and the tools that it calls in a form of its own.

use super::tool_names::joined;
use crate::json::Fields;
use crate::json::writer::ObjectWriter;
use crate::neutral::NeutralRequest;
use crate::translation::{NativeCall, NativeTool, RequestMemo};

/// The fields that every answer repeats, with what they are where the client does not say.
const REPEATED: [(&str, &str); 19] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("prompt_cache_retention", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// Keeps what the answers to a request need.
pub(super) fn of(request: &NeutralRequest<'_>, body: &[u8]) -> RequestMemo {
    let mut memo = RequestMemo::of(request);
    let Ok(fields) = Fields::of_document(body) else { return memo };
    memo.repeated = repeated(&fields);
    native_tools(&fields, "tools", &mut memo);
    if memchr::memmem::find(body, b"additional_tools").is_some() || memchr::memmem::find(body, b"tool_search").is_some()
    {
        for item in fields.list("input").into_iter().filter_map(Fields::of) {
            native_tools(&item, "tools", &mut memo);
        }
    }
    memo
}

fn repeated(fields: &Fields<'_>) -> String {
    let mut object = Vec::new();
    let mut writer = ObjectWriter::open(&mut object);
    for (name, default) in REPEATED {
        match fields.get(name) {
            Some(raw) => writer.raw(name, raw.get()),
            None => writer.raw(name, default),
        }
    }
    writer.close();
    let object = String::from_utf8(object).expect("JSON is written of strings alone");
    object[1..object.len() - 1].to_owned()
}

/// Keeps the tools whose calls come back in a form of their own.
fn native_tools(fields: &Fields<'_>, name: &str, memo: &mut RequestMemo) {
    for tool in fields.list(name).into_iter().filter_map(Fields::of) {
        let kind = tool.text("type").unwrap_or_default();
        let call = match &*kind {
            "tool_search" if tool.text("execution").as_deref() == Some("client") => NativeCall::ToolSearch,
            "namespace" => {
                namespaced(&tool, memo);
                continue;
            }
            "local_shell" => NativeCall::LocalShell,
            "shell" => NativeCall::Shell,
            "apply_patch" => NativeCall::ApplyPatch,
            _ => continue,
        };
        memo.native_tools.push(NativeTool { function: kind.into_owned(), call });
    }
}

fn namespaced(namespace: &Fields<'_>, memo: &mut RequestMemo) {
    let prefix = namespace.text("name").unwrap_or_default();
    let tools = namespace.list("tools").into_iter().filter_map(Fields::of);
    memo.native_tools.extend(tools.filter_map(|tool| tool.text("name")).map(|name| NativeTool {
        function: joined(Some(&prefix), name.clone()).into_owned(),
        call: NativeCall::Namespaced { namespace: prefix.to_string(), name: name.into_owned() },
    }));
}
