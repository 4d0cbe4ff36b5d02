//! Tools that a vendor defines and the client runs: to other vendors' models they are functions with the same input.

/// A tool of a vendor's that the client runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTool {
    /// The name that its calls have.
    pub name: &'static str,
    /// The purpose of the tool: vendors' own models know it, others must be told.
    pub description: &'static str,
    /// The JSON schema of its input.
    pub schema: &'static str,
}

const BASH: ClientTool = ClientTool {
    name: "bash",
    description: "Runs a command in a persistent bash session.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","description":"The command to run."},"restart":{"type":"boolean","description":"Set to true to restart the session."}}}"#,
};

const EDITOR: ClientTool = ClientTool {
    name: "str_replace_based_edit_tool",
    description: "Views, creates and edits files.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"]},"path":{"type":"string","description":"Path of a file or directory."},"file_text":{"type":"string","description":"The content of the file, for create."},"old_str":{"type":"string","description":"The text to replace, for str_replace: it must occur exactly once."},"new_str":{"type":"string","description":"The new text, for str_replace."},"insert_line":{"type":"integer","description":"The line after which to insert, for insert."},"insert_text":{"type":"string","description":"The text to insert, for insert."},"view_range":{"type":"array","items":{"type":"integer"},"description":"First and last line, for view of a file."}},"required":["command","path"]}"#,
};

const OLD_EDITOR: ClientTool = ClientTool {
    name: "str_replace_editor",
    description: "Views, creates and edits files.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"]},"path":{"type":"string","description":"Path of a file or directory."},"file_text":{"type":"string","description":"The content of the file, for create."},"old_str":{"type":"string","description":"The text to replace, for str_replace: it must occur exactly once."},"new_str":{"type":"string","description":"The new text, for str_replace and insert."},"insert_line":{"type":"integer","description":"The line after which to insert, for insert."},"view_range":{"type":"array","items":{"type":"integer"},"description":"First and last line, for view of a file."}},"required":["command","path"]}"#,
};

const MEMORY: ClientTool = ClientTool {
    name: "memory",
    description: "Reads and writes files of notes below /memories, which outlive the conversation.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"old_path":{"type":"string"},"new_path":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}}},"required":["command"]}"#,
};

const LOCAL_SHELL: ClientTool = ClientTool {
    name: "local_shell",
    description: "Runs a command on the client's machine.",
    schema: r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":"The command and its arguments."},"env":{"type":"object","additionalProperties":{"type":"string"}},"timeout_ms":{"type":"integer"},"user":{"type":"string"},"working_directory":{"type":"string"}},"required":["command"]}"#,
};

const SHELL: ClientTool = ClientTool {
    name: "shell",
    description: "Runs shell commands.",
    schema: r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"},"description":"The commands to run."},"timeout_ms":{"type":"integer"},"max_output_length":{"type":"integer"}},"required":["commands"]}"#,
};

const APPLY_PATCH: ClientTool = ClientTool {
    name: "apply_patch",
    description: "Creates, updates or deletes a file by a diff.",
    schema: r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string"},"diff":{"type":"string","description":"The diff, for create_file and update_file."}},"required":["type","path"]}"#,
};

impl ClientTool {
    /// Returns the tool of a type, as its API calls it: `bash_20250124`, `local_shell`; `None` for tools that a vendor runs.
    #[must_use]
    pub fn of_kind(kind: &str) -> Option<Self> {
        let dated = kind.rsplit_once('_').filter(|(_, date)| date.len() == 8 && date.parse::<u32>().is_ok());
        match (dated, kind) {
            (Some(("bash", _)), _) => Some(BASH),
            (Some(("text_editor", "20241022" | "20250124")), _) => Some(OLD_EDITOR),
            (Some(("text_editor", _)), _) => Some(EDITOR),
            (Some(("memory", _)), _) => Some(MEMORY),
            (None, "local_shell") => Some(LOCAL_SHELL),
            (None, "shell") => Some(SHELL),
            (None, "apply_patch") => Some(APPLY_PATCH),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_clients_run_have_a_name_and_a_schema_that_is_json() {
        let kinds = ["bash_20250124", "text_editor_20250728", "text_editor_20250124", "memory_20250818"];
        for kind in kinds.into_iter().chain(["local_shell", "shell", "apply_patch"]) {
            let tool = ClientTool::of_kind(kind).expect("a tool of the client's");
            let schema: serde_json::Value = serde_json::from_str(tool.schema).expect("JSON");
            assert_eq!(schema["type"], "object", "{}", tool.name);
        }
    }

    #[test]
    fn tools_that_vendors_run_are_none_of_the_clients() {
        for kind in ["web_search_20250305", "bash_code_execution", "code_interpreter", "computer_20250124", "bash"] {
            assert_eq!(ClientTool::of_kind(kind), None, "{kind}");
        }
    }
}
