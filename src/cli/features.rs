//! `pointsman features`: the feature vectors that training needs, from the code that will compute them when it serves.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use serde::Deserialize;
use serde_json::json;

use super::{USAGE, fail};

/// One line of input; other keys are ignored.
#[derive(Deserialize)]
struct PromptInput {
    prompt: String,
}

#[derive(Debug, thiserror::Error)]
enum FeaturesCommandError {
    #[error("line {line}: expected a JSON object with a string `prompt`")]
    Shape { line: usize, source: serde_json::Error },
    #[error("cannot read or write")]
    Io(#[from] io::Error),
}

pub(super) fn run() -> ExitCode {
    match print(io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(FeaturesCommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error, USAGE),
    }
}

fn print(input: impl BufRead, output: &mut impl Write) -> Result<(), FeaturesCommandError> {
    let counter = TokenCounter::default();
    for (index, line) in input.lines().enumerate() {
        let line = line?;
        let parsed = serde_json::from_str(&line);
        let PromptInput { prompt } =
            parsed.map_err(|source| FeaturesCommandError::Shape { line: index + 1, source })?;
        let body = chat_body("features", &prompt);
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
        let features = Features::of(&prompt, &counter);
        serde_json::to_writer(&mut *output, &features).map_err(io::Error::from)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Returns a chat body with `prompt` as its one user turn.
pub(super) fn chat_body(model: &str, prompt: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": prompt}]}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prompt_becomes_one_object() {
        let mut output = Vec::new();

        print("{\"prompt\":\"one two\",\"label\":\"x\"}\n{\"prompt\":\"\"}\n".as_bytes(), &mut output).expect("prints");

        let lines: Vec<serde_json::Value> =
            output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["text_words"], &lines[1]["text_words"]), (&json!(2), &json!(0)));
    }

    #[test]
    fn a_line_of_another_shape_is_named() {
        let error = print("{\"prompt\":\"x\"}\n[]\n".as_bytes(), &mut Vec::new()).expect_err("no object");

        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }
}
