//! Tools whose schema is `OpenAI`'s and which the client runs: functions towards other APIs, whose calls come back in the
//! form that the client knows.

use serde_json::value::RawValue;

use crate::translation::NativeCall;

/// A tool that the client runs and that has no schema of its own in a request.
pub(super) struct ClientTool {
    /// Its type and name.
    pub(super) kind: &'static str,
    /// The form of its calls.
    pub(super) call: NativeCall,
    /// What it does.
    pub(super) description: &'static str,
    schema: &'static str,
}

/// Every such tool.
const TOOLS: [ClientTool; 3] = [
    ClientTool {
        kind: "local_shell",
        call: NativeCall::LocalShell,
        description: "Runs a command on the local machine.",
        schema: r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":"The command to run."},"env":{"type":"object","additionalProperties":{"type":"string"},"description":"Environment variables to set for the command."},"timeout_ms":{"type":"integer","description":"Optional timeout in milliseconds for the command."},"working_directory":{"type":"string","description":"Optional working directory to run the command in."}},"required":["command"]}"#,
    },
    ClientTool {
        kind: "shell",
        call: NativeCall::Shell,
        description: "Runs shell commands.",
        schema: r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"},"description":"Ordered shell commands to run."},"timeout_ms":{"type":"integer","description":"Maximum time in milliseconds to allow the commands to run."},"max_output_length":{"type":"integer","description":"Maximum number of characters to capture from combined stdout and stderr."}},"required":["commands"]}"#,
    },
    ClientTool {
        kind: "apply_patch",
        call: NativeCall::ApplyPatch,
        description: "Creates, updates or deletes a file by a diff.",
        schema: r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string","description":"Path of the file relative to the workspace root."},"diff":{"type":"string","description":"V4A diff to apply; not for delete_file."}},"required":["type","path"]}"#,
    },
];

impl ClientTool {
    /// Returns the tool of a type.
    pub(super) fn of_kind(kind: &str) -> Option<&'static Self> {
        const ALL: &[ClientTool; 3] = &TOOLS;
        ALL.iter().find(|tool| tool.kind == kind)
    }

    /// Returns the schema of its arguments.
    pub(super) fn schema(&self) -> &'static RawValue {
        static_json(self.schema)
    }
}

/// Returns JSON that this crate has written.
pub(super) fn static_json(json: &'static str) -> &'static RawValue {
    serde_json::from_str(json).expect("the crate's own JSON is right")
}
