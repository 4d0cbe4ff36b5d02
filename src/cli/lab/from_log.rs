//! `--from-log`: decision logs in the place of a file of rows.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pointsman_lab::decision_log::rows::{ExportCounts, ExportError, ExportKind, export};
use pointsman_lab::decision_log::{AnswerCounts, DecisionLogs, ExportedMarks, export_answers};

/// Decision logs in the place of `--data`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct FromLog {
    /// Decision logs with feedback, in the place of `--data`, in any order: equal prompts become one row, what clients
    /// said the outcome.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "data")]
    from_log: Vec<PathBuf>,
    /// With `--from-log`: the strong model of the catalog; outcomes that are not known count as their model's mean.
    #[arg(long, value_name = "MODEL", requires_all = ["from_log", "weak"])]
    strong: Option<String>,
    /// With `--from-log`: the weak model of the catalog.
    #[arg(long, value_name = "MODEL", requires_all = ["from_log", "strong"])]
    weak: Option<String>,
}

/// A file of rows; one that was made of logs goes with the value.
#[derive(Debug)]
pub(in crate::cli) struct RowFile {
    path: PathBuf,
    folder: Option<PathBuf>,
}

impl FromLog {
    /// Returns whether there are logs.
    pub(in crate::cli) const fn is_given(&self) -> bool {
        !self.from_log.is_empty()
    }

    /// Returns the logs.
    pub(in crate::cli) fn files(&self) -> &[PathBuf] {
        &self.from_log
    }

    /// Returns what the rows are to tell.
    pub(in crate::cli) fn wanted(&self) -> ExportKind {
        match (&self.strong, &self.weak) {
            (Some(strong), Some(weak)) => ExportKind::Pair { strong: strong.clone(), weak: weak.clone() },
            _ => ExportKind::Models,
        }
    }

    /// Returns the file of rows: `data`, or what the logs hold, which is said on stderr.
    pub(in crate::cli) fn rows(&self, data: Option<&Path>, wanted: &ExportKind) -> Result<RowFile, ExportError> {
        if let Some(data) = data {
            return Ok(RowFile { path: data.to_owned(), folder: None });
        }
        let rows = RowFile::temporary()?;
        let exported = export(&DecisionLogs::new(self.from_log.clone()), wanted, BufWriter::new(rows.file()?))?;
        say(&exported);
        Ok(rows)
    }
}

impl RowFile {
    /// Writes the answers that logs hold, with what was said of them where that is wanted.
    pub(in crate::cli) fn of_answers(
        logs: &[PathBuf],
        marks: ExportedMarks,
    ) -> Result<(Self, AnswerCounts), ExportError> {
        let rows = Self::temporary()?;
        let counts = export_answers(&DecisionLogs::new(logs.to_owned()), marks, BufWriter::new(rows.file()?))?;
        Ok((rows, counts))
    }

    /// Makes the file. Prompts may stand in it: nobody else may read it.
    fn file(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)
    }

    /// Returns the path of the rows.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    fn temporary() -> io::Result<Self> {
        let name = |turn: u32| std::env::temp_dir().join(format!("pointsman-{}-{turn}", std::process::id()));
        for turn in 0..100 {
            match DirBuilder::new().mode(0o700).create(name(turn)) {
                Ok(()) => return Ok(Self { path: name(turn).join("decision-log.jsonl"), folder: Some(name(turn)) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for RowFile {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder); // what is left is readable by its owner alone
        }
    }
}

fn say(exported: &ExportCounts) {
    let ExportCounts { rows, filled_in, without_text, decisions, unrated, passed_over, models } = exported;
    let models = models.iter().map(|(model, n)| format!("{model} {n}")).collect::<Vec<_>>().join(", ");
    eprintln!("{rows} rows of {decisions} decisions ({unrated} without feedback, {passed_over} lines passed over)");
    eprintln!("outcomes: {models}; {filled_in} rows have one that is filled in with its model's mean");
    if *without_text > 0 {
        eprintln!("{without_text} rows have no text: heads can learn their logged features alone");
    }
}
