//! `pointsman promote`: makes a shadow's bundle the classifier's, in the configuration file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use pointsman_core::config::{Config, PromoteError};

use super::{CONFIG, USAGE, fail};

/// What to promote.
#[derive(Debug, clap::Args)]
pub(super) struct PromoteArguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// The classifier whose shadow takes over.
    #[arg(value_name = "CLASSIFIER", default_value = "default")]
    classifier: String,
    /// Writes the file, which a running process then reloads; otherwise it is only shown.
    #[arg(long)]
    write: bool,
}

#[derive(Debug, thiserror::Error)]
enum PromoteFailure {
    #[error(transparent)]
    Promote(#[from] PromoteError),
    #[error("cannot use `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
}

pub(super) fn run(arguments: &PromoteArguments) -> ExitCode {
    match promote(arguments) {
        Ok(diff) => {
            print!("{diff}");
            if !arguments.write {
                eprintln!("Nothing was written; --write does.");
            }
            ExitCode::SUCCESS
        }
        Err(error @ PromoteFailure::Promote(PromoteError::NoShadow { .. })) => fail(&error, USAGE),
        Err(error) => fail(&error, CONFIG),
    }
}

fn promote(arguments: &PromoteArguments) -> Result<String, PromoteFailure> {
    let file = |source| PromoteFailure::File { path: arguments.file.config.clone(), source };
    // The file itself, not a link to it.
    let path = arguments.file.config.canonicalize().map_err(file)?;
    let before = Config::read_text(&path).map_err(io::Error::other).map_err(file)?;
    let after = Config::promote(&before, &arguments.classifier)?;
    if arguments.write {
        replace(&path, &after).map_err(file)?;
    }
    Ok(diff(&arguments.file.config, &before, &after))
}

/// Replaces the file in one step, so that no reload sees half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let next = path.with_extension("promoted");
    fs::write(&next, text)?;
    fs::set_permissions(&next, fs::metadata(path)?.permissions())?;
    fs::rename(next, path)
}

/// Shows the lines that differ, between the first and the last of them, with one more around.
fn diff(path: &Path, before: &str, after: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let room = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let (from, old_end, new_end) = (same.saturating_sub(1), old.len() - tail, new.len() - tail);
    let context = usize::from(tail > 0);
    let mut text = format!("--- {0}\n+++ {0}\n", path.display());
    let head = same - from;
    text.push_str(&format!(
        "@@ -{},{} +{},{} @@\n",
        from + 1,
        old_end - from + context,
        from + 1,
        new_end - from + context
    ));
    let mut lines =
        |sign: char, lines: &[&str]| lines.iter().for_each(|line| text.push_str(&format!("{sign}{line}\n")));
    lines(' ', &old[from..from + head]);
    lines('-', &old[same..old_end]);
    lines('+', &new[same..new_end]);
    lines(' ', &old[old_end..old_end + context]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_what_changed_with_a_line_around() {
        let text = diff(Path::new("p.yaml"), "a\nb\nold\nshadow\nc\nd\n", "a\nb\nnew\nc\nd\n");

        assert_eq!(text, "--- p.yaml\n+++ p.yaml\n@@ -2,4 +2,3 @@\n b\n-old\n-shadow\n+new\n c\n");
    }

    #[test]
    fn a_diff_at_the_ends_of_a_file_has_nothing_around() {
        assert_eq!(diff(Path::new("p"), "old\n", "new\n"), "--- p\n+++ p\n@@ -1,1 +1,1 @@\n-old\n+new\n");
    }
}
