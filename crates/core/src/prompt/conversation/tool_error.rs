//! Failures of tools, told by how the text of their results begins.

/// Words by which a tool says that it failed, in lower case, at the start of its text.
const ERROR_STARTS: [&str; 6] = ["error", "exception", "traceback", "fatal", "failed", "failure"];

/// Beginnings of the line in which Codex says how a command ended.
const EXIT_LINES: [&str; 2] = ["Process exited with code ", "Exit code: "];

/// The lines of a result that may say so.
const HEADER_LINES: usize = 6;

/// Returns the text of an error without the header that Codex puts before it, whose numbers differ each time.
pub(super) fn error_text(text: &str) -> &str {
    let output = if is_failed_command(text) { text.split_once("Output:\n") } else { None };
    output.map_or(text, |(_, output)| output)
}

fn is_failed_command(text: &str) -> bool {
    let code =
        |line: &str| EXIT_LINES.iter().find_map(|begins| line.strip_prefix(begins)).map(|code| code.trim() != "0");
    text.lines().take(HEADER_LINES).find_map(code).unwrap_or_default()
}

/// Tells whether a tool's result says of a failure.
pub(super) fn starts_like_an_error(text: &str) -> bool {
    let text = text.trim_start();
    if is_failed_command(text) {
        return true;
    }
    if let Some(object) = text.strip_prefix('{') {
        return object.trim_start().starts_with("\"error\"");
    }
    let starts_with = |word: &&str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    ERROR_STARTS.iter().any(starts_with)
}
