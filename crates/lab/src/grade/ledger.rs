//! The file of judges' verdicts beside the graded answers: each was paid for, so each is on the disk before it counts. Reasons
//! quote prompts: nobody else may read it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::judge::VerdictQuestionKey;

/// A verdict as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptVerdict {
    /// The level on a scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) level: Option<i64>,
    /// The label, where a rubric has labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    /// The judge's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The verdict's cost, in US dollars.
    #[serde(default)]
    pub(super) cost_usd: f64,
}

/// Verdicts by question, in memory and in their file.
#[derive(Debug)]
pub(super) struct VerdictFile {
    file: File,
    known: HashMap<VerdictQuestionKey, KeptVerdict>,
}

#[derive(Serialize, Deserialize)]
struct VerdictLine<V> {
    question: String,
    judge: String,
    #[serde(flatten)]
    verdict: V,
}

impl VerdictFile {
    /// Returns the path of the verdicts of graded answers at `out`.
    pub(super) fn path(out: &Path) -> PathBuf {
        out.with_extension("verdicts.jsonl")
    }

    /// Opens or makes the file. A line that a killed run left half is cut off and asked again.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let (mut known, mut reader, mut line, mut end) = (HashMap::new(), BufReader::new(&file), Vec::new(), 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            if let Ok(kept) = serde_json::from_slice::<VerdictLine<KeptVerdict>>(&line) {
                known.extend(parse(&kept.question).map(|key| (key, kept.verdict)));
            }
            end += read as u64;
        }
        file.set_len(end)?;
        Ok(Self { file, known })
    }

    /// Returns the verdict on a question.
    pub(super) fn get(&self, question: &VerdictQuestionKey) -> Option<&KeptVerdict> {
        self.known.get(question)
    }

    /// Appends a verdict and waits until the disk has it.
    pub(super) fn append(
        &mut self,
        question: VerdictQuestionKey,
        judge: &str,
        verdict: &KeptVerdict,
    ) -> io::Result<()> {
        let question_text = question.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = VerdictLine { question: question_text, judge: judge.to_owned(), verdict };
        self.file.write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())?;
        self.file.sync_data()?;
        self.known.insert(question, verdict.clone());
        Ok(())
    }
}

/// Reads a key that stands in hexadecimal digits.
fn parse(text: &str) -> Option<VerdictQuestionKey> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_known_after_a_restart_and_half_a_line_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = VerdictFile::path(&folder.path().join("graded.jsonl"));
        let verdict =
            KeptVerdict { level: Some(4), reason: Some("fine".into()), cost_usd: 0.5, ..KeptVerdict::default() };
        VerdictFile::open(&path).expect("a file").append([7; 16], "judge", &verdict).expect("written");
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(b"{\"question\":\"08").expect("written");

        let mut again = VerdictFile::open(&path).expect("a file");
        again.append([8; 16], "judge", &KeptVerdict::default()).expect("written");

        assert_eq!((again.get(&[7; 16]), again.get(&[9; 16])), (Some(&verdict), None));
        assert_eq!(std::fs::read_to_string(&path).expect("a file").lines().count(), 2);
        assert!(path.ends_with("graded.verdicts.jsonl"), "{}", path.display());
    }
}
