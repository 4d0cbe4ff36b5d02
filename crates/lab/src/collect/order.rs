//! The order of the answers' file: rows stand as the prompts do, also where a later run filled a gap.
//!
//! The file is never changed in place: a new one is written beside it and takes its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::task::AnswerLine;

/// A row of the file: its place in the order, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PlacedRow {
    place: u64,
    from: u64,
    bytes: usize,
}

/// Rewrites the file with the rows that `place` gives a place, in the order of their places; those of one place stay as
/// they stand. Nothing is written where nothing changes.
pub(super) fn arrange(path: &Path, mut place: impl FnMut(AnswerLine) -> Option<u64>) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut rows, mut from, mut line, mut changes) = (Vec::new(), 0, Vec::new(), false);
    let mut reader = BufReader::new(&file);
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if bytes == 0 {
            break;
        }
        let is_whole = line.last() == Some(&b'\n');
        let place = serde_json::from_slice(&line).ok().filter(|_| is_whole).and_then(&mut place);
        match place {
            Some(place) => rows.push(PlacedRow { place, from, bytes }),
            None => changes = true,
        }
        from += bytes as u64;
    }
    if !changes && rows.is_sorted_by_key(|row| row.place) {
        return Ok(());
    }
    rows.sort_by_key(|row| row.place); // stable
    rewrite(path, &file, &rows)
}

fn rewrite(path: &Path, file: &File, rows: &[PlacedRow]) -> io::Result<()> {
    let beside = beside(path);
    let written = OpenOptions::new().write(true).create(true).truncate(true).open(&beside).and_then(|new| {
        new.set_permissions(file.metadata()?.permissions())?;
        let mut writer = BufWriter::new(new);
        let mut line = Vec::new();
        for row in rows {
            line.resize(row.bytes, 0);
            file.read_exact_at(&mut line, row.from)?;
            writer.write_all(&line)?;
        }
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside); // the first error is the one to tell
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn arranged(text: &str, order: &[&str]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("answers.jsonl");
        fs::write(&path, text).expect("written");
        let place = |line: AnswerLine| {
            let line = format!("{:?}", line.key());
            order.iter().position(|id| line.contains(&format!("id: \"{id}\""))).map(|place| place as u64)
        };
        arrange(&path, place).expect("arranged");
        let ids = fs::read_to_string(&path).expect("a file");
        let id =
            |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().expect("an id").to_owned();
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        ids.lines().map(id).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rows_stand_in_the_order_of_their_places_and_the_others_go() {
        let text = "{\"id\":\"c\",\"asked\":\"m\"}\n{\"id\":\"a\",\"asked\":\"m\"}\n{\"id\":\"x\"}\n{\"id\":\"b\"}\n";

        assert_eq!(arranged(text, &["a", "b", "c"]), "a b c");
    }

    #[test]
    fn a_file_in_order_stays_as_it_is_and_one_that_is_not_there_is_none() {
        assert_eq!(arranged("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", &["a", "b"]), "a b");
        assert!(arrange(Path::new("/no/such/folder/answers.jsonl"), |_| Some(0)).is_ok());
    }
}
