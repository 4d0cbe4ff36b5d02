//! A unit-test command over the code of an answer, in a folder of its own.
//!
//! No shell reads the command: it is split into words here, and what stands for a file is put into whole words. The
//! process gets a home, a folder for temporary files and the search path, and nothing else of the environment; it and
//! what it started are killed when the time is over. This is no sandbox: code of a model runs as the user who grades.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::code::AnswerCode;

/// Bytes of the output that are kept for the reason.
const MOST_OUTPUT: usize = 64 * 1024;

/// Characters of the output that a reason quotes, the last ones.
const MOST_REASON: usize = 300;

/// Variables that a command gets from the environment.
const KEPT: [&str; 2] = ["PATH", "LANG"];

/// The settings of unit-test commands.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// The command of rows whose reference names none.
    pub default: Option<CommandLine>,
    /// The time that a command may take.
    pub timeout: Duration,
    /// The folder that files of references are relative to.
    pub base: PathBuf,
}

/// A command split into words; `{file}`, `{tests}` and `{folder}` within them stand for paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(Vec<String>);

/// The tests of a row: what its reference says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnitTests {
    pub(super) command: Option<CommandLine>,
    /// The text of a file of tests.
    pub(super) code: Option<String>,
    /// A file of tests, relative to the answers.
    pub(super) path: Option<PathBuf>,
    /// The name of the file that the answer's code goes to.
    pub(super) file: Option<String>,
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommandOutcome {
    Passed,
    /// The command failed: the end of what it said.
    Failed(String),
    TimedOut,
}

/// Errors that keep a command from running: the setting is wrong, not the answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum CommandError {
    /// No command for a row.
    #[error("a row has `tests` and no command (allowed: `--tests-command`, or `tests.command` of its reference)")]
    NoCommand,
    /// The program cannot be started.
    #[error("cannot run `{program}`")]
    Start { program: String, source: io::Error },
    /// The folder of an answer cannot be made.
    #[error("cannot write the files of a test")]
    Folder(#[source] io::Error),
    /// A file of a reference cannot be read.
    #[error("cannot read the tests `{}`", path.display())]
    Tests { path: PathBuf, source: io::Error },
}

/// The places of a test's files.
struct TestFiles {
    folder: tempfile::TempDir,
    file: PathBuf,
    tests: Option<PathBuf>,
}

impl CommandLine {
    /// Splits a command into words: blanks part them, quotes keep blanks.
    ///
    /// # Errors
    /// When a quote does not close, or there is no word.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in text.chars() {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '"' || c == '\'' => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                None if c.is_whitespace() => words.extend(word.take()),
                _ => word.get_or_insert_default().push(c),
            }
        }
        if quote.is_some() {
            return Err(format!("`{text}` has a quote that does not close"));
        }
        words.extend(word);
        if words.is_empty() { Err("the command is empty".to_owned()) } else { Ok(Self(words)) }
    }
}

impl UnitTests {
    /// Reads `tests` of a reference: the text of a command or the path of a file, or an object with `command`, `code`,
    /// `path` and `file`.
    pub(super) fn parse(value: &serde_json::Value) -> Result<Self, String> {
        if let Some(text) = value.as_str() {
            let is_file = Path::new(text).extension().is_some() && !text.contains(char::is_whitespace);
            return if is_file {
                Ok(Self { path: Some(inner(text)?), ..Self::default() })
            } else {
                Ok(Self { command: Some(CommandLine::parse(text)?), ..Self::default() })
            };
        }
        let object = value.as_object().ok_or("`tests` is neither a command, a file nor an object")?;
        if let Some(key) = object.keys().find(|key| !["command", "code", "path", "file"].contains(&key.as_str())) {
            return Err(format!("`tests` has `{key}` (allowed: command, code, path, file)"));
        }
        let text = |key: &str| match object.get(key) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(format!("`tests.{key}` is no string")),
        };
        let file = text("file")?.map(str::to_owned);
        if file.as_ref().is_some_and(|file| Path::new(file).components().count() != 1 || inner(file).is_err()) {
            return Err("`tests.file` is no name of a file".to_owned());
        }
        Ok(Self {
            command: text("command")?.map(CommandLine::parse).transpose()?,
            code: text("code")?.map(str::to_owned),
            path: text("path")?.map(inner).transpose()?,
            file,
        })
    }
}

/// Takes a path that stays within its folder.
fn inner(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if stays && !text.is_empty() { Ok(path) } else { Err(format!("`{text}` leads out of the folder of the answers")) }
}

impl CommandSettings {
    /// Runs the tests of a row over the code of its answer.
    pub(super) async fn run(&self, tests: &UnitTests, code: &AnswerCode) -> Result<CommandOutcome, CommandError> {
        let command = tests.command.as_ref().or(self.default.as_ref()).ok_or(CommandError::NoCommand)?;
        let files = self.files(tests, code)?;
        let mut child = start(command, &files)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let outcome = tokio::time::timeout(self.timeout, outcome(&mut child)).await;
        // What the command left running goes too; it has its own group, so nobody else is hit.
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL); // gone already in most cases
        }
        match outcome {
            Ok(outcome) => outcome.map_err(CommandError::Folder),
            Err(_) => {
                child.wait().await.map_err(CommandError::Folder)?;
                Ok(CommandOutcome::TimedOut)
            }
        }
    }

    fn files(&self, tests: &UnitTests, code: &AnswerCode) -> Result<TestFiles, CommandError> {
        let folder = tempfile::tempdir().map_err(CommandError::Folder)?;
        let file = folder.path().join(tests.file.clone().unwrap_or_else(|| format!("answer.{}", code.extension)));
        fs::write(&file, &code.text).map_err(CommandError::Folder)?;
        let mut placed = None;
        if let Some(code_of_tests) = &tests.code {
            placed = Some(folder.path().join(format!("test_answer.{}", code.extension)));
            fs::write(placed.as_ref().unwrap_or(&file), code_of_tests).map_err(CommandError::Folder)?;
        }
        if let Some(path) = &tests.path {
            let from = self.base.join(path);
            let to = folder.path().join(path.file_name().unwrap_or(path.as_os_str()));
            fs::copy(&from, &to).map_err(|source| CommandError::Tests { path: from, source })?;
            placed = Some(to);
        }
        Ok(TestFiles { folder, file, tests: placed })
    }
}

fn start(CommandLine(words): &CommandLine, files: &TestFiles) -> Result<Child, CommandError> {
    let place = |path: &Path| path.to_string_lossy().into_owned();
    let tests = files.tests.as_deref().unwrap_or(&files.file);
    let filled: Vec<OsString> = words
        .iter()
        .map(|word| {
            word.replace("{file}", &place(&files.file))
                .replace("{tests}", &place(tests))
                .replace("{folder}", &place(files.folder.path()))
                .into()
        })
        .collect();
    let kept = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let started = Command::new(&filled[0])
        .args(&filled[1..])
        .current_dir(files.folder.path())
        .env_clear()
        .envs(kept)
        .env("HOME", files.folder.path())
        .env("TMPDIR", files.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    started.map_err(|source| CommandError::Start { program: words[0].clone(), source })
}

/// Waits for a command and reads what it says, without waiting for others that hold its output open.
async fn outcome(child: &mut Child) -> io::Result<CommandOutcome> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let said = async { tokio::join!(kept(stdout), kept(stderr)) };
    tokio::pin!(said);
    let status = tokio::select! {
        biased;
        status = child.wait() => (status?, None),
        said = &mut said => (child.wait().await?, Some(said)),
    };
    let (status, said) = match status {
        (status, Some(said)) => (status, said),
        // What is in the pipes by now; a process that was left behind may hold them open for ever.
        (status, None) => {
            let rest = tokio::time::timeout(Duration::from_millis(200), said).await;
            (status, rest.unwrap_or_default())
        }
    };
    if status.success() {
        return Ok(CommandOutcome::Passed);
    }
    let (stdout, stderr) = said;
    let text = if stderr.trim().is_empty() { stdout } else { stderr };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = line.char_indices().rev().nth(MOST_REASON - 1).map_or(0, |(place, _)| place);
    Ok(CommandOutcome::Failed(format!("{status}: {}", &line[start..])))
}

/// Reads a pipe to its end and keeps the last of it.
async fn kept(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * MOST_OUTPUT {
            kept.drain(..kept.len() - MOST_OUTPUT);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(command: &str) -> CommandSettings {
        let default = Some(CommandLine::parse(command).expect("a command"));
        CommandSettings { default, timeout: Duration::from_secs(20), base: PathBuf::from(".") }
    }

    fn code(text: &str) -> AnswerCode {
        AnswerCode { text: text.to_owned(), extension: "sh" }
    }

    async fn run(command: &str, text: &str) -> CommandOutcome {
        settings(command).run(&UnitTests::default(), &code(text)).await.expect("an outcome")
    }

    #[tokio::test]
    async fn a_command_that_ends_with_0_passes_and_the_end_of_what_a_failing_one_says_is_kept() {
        assert_eq!(run("sh {file}", "exit 0").await, CommandOutcome::Passed);
        let CommandOutcome::Failed(reason) = run("sh {file}", "echo expected 3, got 4 >&2; exit 2").await else {
            panic!("a failure")
        };
        assert_eq!(reason, "exit status: 2: expected 3, got 4");
    }

    #[tokio::test]
    async fn a_command_and_what_it_started_are_killed_when_the_time_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let settings = CommandSettings { timeout: Duration::from_secs(3), ..settings("sh {file}") };

        let outcome = settings.run(&UnitTests::default(), &code(&script)).await.expect("an outcome");

        assert_eq!(outcome, CommandOutcome::TimedOut);
        let left = fs::read_to_string(&pid).expect("the script began").trim().to_owned();
        let state = || fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        let is_gone = |state: &str| state.is_empty() || state.contains(") Z ") || state.contains(") X ");
        while !is_gone(&state()) {
            tokio::task::yield_now().await; // a killed process takes a moment to go
        }
    }

    #[tokio::test]
    async fn no_shell_reads_the_command_and_the_environment_is_not_handed_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let planted = folder.path().join("planted");

        let outcome = run(&format!("echo ok; touch {}", planted.display()), "").await;
        assert!(outcome == CommandOutcome::Passed && !planted.exists());

        let environment = "test -z \"$CARGO_MANIFEST_DIR\" && test \"$HOME\" = \"$PWD\"";
        assert_eq!(run("sh {file}", environment).await, CommandOutcome::Passed);
    }

    #[tokio::test]
    async fn the_tests_of_a_reference_stand_beside_the_answer() {
        let tests = UnitTests::parse(&json!({
            "command": "sh {tests}", "code": "grep -q hello solution.txt", "file": "solution.txt",
        }));

        let outcome = settings("false").run(&tests.expect("tests"), &code("hello")).await;

        assert_eq!(outcome.expect("an outcome"), CommandOutcome::Passed);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error_and_no_grade() {
        let outcome = settings("no-such-program-at-all {file}").run(&UnitTests::default(), &code("")).await;

        assert!(matches!(outcome, Err(CommandError::Start { .. })), "{outcome:?}");
    }

    #[test]
    fn words_are_split_at_blanks_and_kept_together_by_quotes() {
        let words = |text: &str| CommandLine::parse(text).map(|CommandLine(words)| words);

        assert_eq!(words("a  'b c' \"d'e\" f\"g\""), Ok(["a", "b c", "d'e", "fg"].map(str::to_owned).to_vec()));
        assert!(words("a 'b").is_err() && words("  ").is_err());
    }

    #[test]
    fn paths_that_lead_elsewhere_and_unknown_keys_are_refused() {
        assert_eq!(UnitTests::parse(&json!("tests/a.py")).expect("a file").path, Some(PathBuf::from("tests/a.py")));
        assert!(UnitTests::parse(&json!("pytest -q {file}")).expect("a command").command.is_some());
        for wrong in [
            json!("../a.py"),
            json!("/etc/a.conf"),
            json!({"path": "../../a.py"}),
            json!({"file": "a/b.py"}),
            json!({"file": ".."}),
            json!({"cmd": "x"}),
            json!({"command": 3}),
            json!(3),
        ] {
            assert!(UnitTests::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
