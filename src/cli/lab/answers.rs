//! `pointsman answers`: the answers of decision logs as rows, which `grade` and `eval --answers` read.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use pointsman_lab::decision_log::rows::ExportError;
use pointsman_lab::decision_log::{AnswerCounts, DecisionLogs, ExportedMarks, export_answers};

use super::DATA;
use crate::cli::fail;

/// What `answers` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AnswersArguments {
    /// Decision logs with answers (`decision_log.answers`), in any order.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    from_log: Vec<PathBuf>,
    /// Where the rows go: what clients got, and behind it the shadow answer to the same request, with the same `id`. The
    /// file must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(in crate::cli) fn run(arguments: &AnswersArguments) -> ExitCode {
    match export(arguments) {
        Ok(counts) => {
            say(&counts);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, DATA),
    }
}

fn export(arguments: &AnswersArguments) -> Result<AnswerCounts, ExportError> {
    // Prompts and answers stand in it: nobody else may read it.
    let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&arguments.out)?;
    export_answers(&DecisionLogs::new(arguments.from_log.clone()), ExportedMarks::None, BufWriter::new(out))
}

/// Says what the logs held.
pub(super) fn say(counts: &AnswerCounts) {
    let AnswerCounts { served, shadow, without_text, marked, passed_over } = counts;
    eprintln!("{served} answers, {shadow} shadow answers beside them ({passed_over} lines passed over)");
    if *without_text > 0 {
        eprintln!("{without_text} answers are left out: their asks were not written whole");
    }
    if *marked > 0 {
        eprintln!("{marked} answers have a mark of people: feedback in the logs");
    }
}
