//! Tools whose definition is Anthropic's, and which the client runs: models of others get them as functions.
//!
//! Their calls need no way back: the client knows them by name, and calls of them look like those of any tool.

use std::sync::LazyLock;

use serde_json::value::RawValue;

/// A tool with the schema that Anthropic's documentation gives.
struct VendorTool {
    description: &'static str,
    schema: Box<RawValue>,
}

/// Returns the description and the schema of a tool of type `kind`; `None` where Anthropic runs it, or where its schema
/// is not a function's.
pub(super) fn function_of(kind: &str) -> Option<(&'static str, &'static RawValue)> {
    let tool: &VendorTool = match kind {
        "bash_20241022" | "bash_20250124" => &BASH,
        "text_editor_20241022" | "text_editor_20250124" => &EDITOR_WITH_UNDO,
        "text_editor_20250429" | "text_editor_20250728" => &EDITOR,
        "memory_20250818" => &MEMORY,
        _ => return None,
    };
    Some((tool.description, &tool.schema))
}

fn vendor_tool(description: &'static str, schema: &str) -> VendorTool {
    let schema = RawValue::from_string(schema.to_owned()).expect("the schemas below are JSON");
    VendorTool { description, schema }
}

static BASH: LazyLock<VendorTool> = LazyLock::new(|| {
    vendor_tool(
        "Runs commands in a bash shell that stays open between calls.",
        r#"{"type":"object","properties":{"command":{"type":"string","description":"The command; needed unless the shell is restarted."},"restart":{"type":"boolean","description":"True to restart the shell."}}}"#,
    )
});

static EDITOR: LazyLock<VendorTool> = LazyLock::new(|| {
    vendor_tool(
        "Views, creates and edits text files.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string","description":"The path of the file or directory."},"file_text":{"type":"string","description":"The content, for create."},"old_str":{"type":"string","description":"The text to replace, for str_replace; it must be there exactly once."},"new_str":{"type":"string","description":"The new text, for str_replace."},"insert_line":{"type":"integer","description":"The line after which to insert, for insert; 0 for the beginning."},"insert_text":{"type":"string","description":"The text to insert, for insert."},"view_range":{"type":"array","items":{"type":"integer"},"description":"The first and the last line, for view; -1 for the end."}},"required":["command","path"]}"#,
    )
});

static EDITOR_WITH_UNDO: LazyLock<VendorTool> = LazyLock::new(|| {
    vendor_tool(
        "Views, creates and edits text files.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"]},"path":{"type":"string","description":"The path of the file or directory."},"file_text":{"type":"string","description":"The content, for create."},"old_str":{"type":"string","description":"The text to replace, for str_replace; it must be there exactly once."},"new_str":{"type":"string","description":"The new text, for str_replace and insert."},"insert_line":{"type":"integer","description":"The line after which to insert, for insert; 0 for the beginning."},"view_range":{"type":"array","items":{"type":"integer"},"description":"The first and the last line, for view; -1 for the end."}},"required":["command","path"]}"#,
    )
});

static MEMORY: LazyLock<VendorTool> = LazyLock::new(|| {
    vendor_tool(
        "Views and edits the files of a memory that stays between conversations, below /memories.",
        r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string","description":"The path, for every command but rename."},"view_range":{"type":"array","items":{"type":"integer"},"description":"The first and the last line, for view."},"file_text":{"type":"string","description":"The content, for create."},"old_str":{"type":"string","description":"The text to replace, for str_replace."},"new_str":{"type":"string","description":"The new text, for str_replace."},"insert_line":{"type":"integer","description":"The line after which to insert, for insert."},"insert_text":{"type":"string","description":"The text to insert, for insert."},"old_path":{"type":"string","description":"The path now, for rename."},"new_path":{"type":"string","description":"The path then, for rename."}},"required":["command"]}"#,
    )
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Fields;

    #[test]
    fn tools_that_the_client_runs_have_a_schema_and_those_that_anthropic_runs_have_none() {
        for kind in ["bash_20250124", "text_editor_20250124", "text_editor_20250728", "memory_20250818"] {
            let (_, schema) = function_of(kind).expect("the client runs it");
            assert_eq!(Fields::of(schema).expect("an object").text("type").as_deref(), Some("object"), "{kind}");
        }
        assert!(function_of("web_search_20250305").is_none());
        assert!(function_of("computer_20250124").is_none());
    }
}
