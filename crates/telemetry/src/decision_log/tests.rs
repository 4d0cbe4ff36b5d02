use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender};

use pointsman_core::config::{SecretSource, TimeSpan};

use super::*;
use crate::logging::LogFormat;
use crate::logging::capture::captured;

const PATIENCE: Duration = Duration::from_secs(30);

struct Line(&'static str);

impl DecisionLogEntry for Line {
    fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.0.as_bytes());
    }
}

/// A line that keeps the writer until the test lets it go.
struct Gate {
    reached: SyncSender<()>,
    open: std::sync::Mutex<Receiver<()>>,
}

impl DecisionLogEntry for Gate {
    fn write(&self, line: &mut Vec<u8>) {
        let _ = self.reached.send(());
        let _ = self.open.lock().expect("one writer").recv();
        line.extend_from_slice(b"gate");
    }
}

fn section() -> config::DecisionLogConfig {
    config::DecisionLogConfig {
        path: PathBuf::from("d.jsonl"),
        text: false,
        max_text_bytes: 5,
        hash_key: Some(SecretSource::Env("KEY".into())),
        max_bytes: 1 << 20,
        max_age: TimeSpan::from_secs(3600),
        max_files: 2,
        queue: 2,
        answers: None,
    }
}

fn secret(section: &config::DecisionLogConfig, key: &str) -> Option<Secret> {
    section.secret(&|_| Some(key.to_owned()), Path::new("")).expect("a good key")
}

fn start(section: &config::DecisionLogConfig, folder: &Path) -> (DecisionLog, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let secret = secret(section, "a-key-of-sixteen-or-more");
    (DecisionLog::start(section, secret.as_ref(), folder, &metrics).expect("a thread"), metrics)
}

#[test]
fn lines_are_in_the_file_once_a_flush_returns() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, metrics) = start(&section(), folder.path());

    assert!(log.write(Box::new(Line("one"))));
    assert!(log.flush(PATIENCE));

    assert_eq!(fs::read_to_string(folder.path().join("d.jsonl")).expect("a file"), "one\n");
    assert!(metrics.render().contains("pointsman_decision_log_lines_total 1"));
}

#[test]
fn a_line_that_finds_the_queue_full_is_dropped_at_once_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, metrics) = start(&section(), folder.path());
    let (reached, at_gate) = sync_channel(1);
    let (open, gate) = sync_channel(1);
    log.write(Box::new(Gate { reached, open: std::sync::Mutex::new(gate) }));
    at_gate.recv().expect("the writer is busy");

    let written = ["one", "two", "three"].map(|line| log.write(Box::new(Line(line))));
    open.send(()).expect("the writer waits");
    assert!(log.flush(PATIENCE));

    assert_eq!(written, [true, true, false]);
    assert_eq!(fs::read_to_string(folder.path().join("d.jsonl")).expect("a file"), "gate\none\ntwo\n");
    assert!(metrics.render().contains(r#"pointsman_decision_log_dropped_total{cause="queue_full"} 1"#));
}

#[test]
fn a_flush_gives_up_on_a_disk_that_hangs_even_when_the_queue_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, _) = start(&section(), folder.path());
    let (reached, at_gate) = sync_channel(1);
    let (open, gate) = sync_channel(1);
    log.write(Box::new(Gate { reached, open: std::sync::Mutex::new(gate) }));
    at_gate.recv().expect("the writer is busy");
    let filled = ["one", "two", "three"].map(|line| log.write(Box::new(Line(line))));

    let flushed = log.flush(Duration::from_millis(20));

    assert_eq!((flushed, filled[2]), (false, false));
    open.send(()).expect("the writer waits");
    assert!(log.flush(PATIENCE));
}

#[test]
fn a_place_that_cannot_be_written_is_said_once_and_its_recovery_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = Arc::new(Metrics::new());
    let blocked = folder.path().join("d.jsonl");
    fs::create_dir(&blocked).expect("a folder in the file's place");
    let (queue, lines) = sync_channel(8);
    for line in ["one", "two"] {
        queue.send(WriterMessage::Line(Box::new(Line(line)))).expect("room");
        let (done, _) = sync_channel(1);
        queue.send(WriterMessage::Flush(done)).expect("room");
    }
    struct Mend(PathBuf);
    impl DecisionLogEntry for Mend {
        fn write(&self, line: &mut Vec<u8>) {
            fs::remove_dir(&self.0).expect("removed");
            line.extend_from_slice(b"three");
        }
    }
    queue.send(WriterMessage::Line(Box::new(Mend(blocked.clone())))).expect("room");
    drop(queue);

    let writer = LogWriter::new(&section(), folder.path(), Arc::clone(&metrics));
    let text = captured(LogFormat::Text, "", || writer.run(&lines));

    assert_eq!(text.matches("cannot be written").count(), 1, "{text}");
    assert_eq!(text.matches("written again").count(), 1, "{text}");
    assert_eq!(fs::read_to_string(blocked).expect("a file"), "three\n");
    assert!(metrics.render().contains(r#"pointsman_decision_log_dropped_total{cause="write_failed"} 2"#));
}

#[test]
fn without_the_operator_s_word_only_a_keyed_hash_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, _) = start(&section(), folder.path());

    let kept = log.keep("a private prompt");

    assert_eq!((kept.text.as_deref(), kept.bytes), (None, 16));
    assert_eq!(kept.hash.as_ref().map(String::len), Some(64));
    assert_eq!(kept, log.keep("a private prompt"));
    assert_ne!(kept.hash, log.keep("another prompt").hash);
}

#[test]
fn the_hash_is_hmac_sha256_under_the_key() {
    // RFC 4231, test case 2: key "Jefe", data "what do ya want for nothing?".
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");

    let tag = hash(&key, b"what do ya want for nothing?");

    assert_eq!(hex(tag.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn a_long_text_is_hashed_by_its_ends_and_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, _) = start(&section(), folder.path());
    let long = "x".repeat(3 * HASHED_BYTES);

    let hashes =
        [&long, &long[1..], &format!("y{}", &long[1..]), &format!("{}y", &long[1..])].map(|text| log.keep(text).hash);

    assert_eq!(hashes.iter().collect::<std::collections::HashSet<_>>().len(), 4);
}

#[test]
fn text_that_was_asked_for_is_cut_between_characters() {
    let folder = tempfile::tempdir().expect("a folder");
    let section = config::DecisionLogConfig { text: true, hash_key: None, ..section() };
    let log = DecisionLog::start(&section, None, folder.path(), &Arc::new(Metrics::new())).expect("a thread");

    let kept = log.keep("abcdé");

    assert_eq!((kept.text.as_deref(), kept.hash, kept.bytes), (Some("abcd"), None, 6));
}

#[test]
fn a_short_key_is_refused_without_being_repeated() {
    let refused = section().secret(&|_| Some("short-key".to_owned()), Path::new("")).expect_err("too short");

    assert_eq!(refused, "the key is too short (allowed: 16 characters or more)");
}

#[test]
fn answers_are_kept_of_the_sampled_requests_and_a_text_that_was_cut_loses_its_last_word_where_texts_are_redacted() {
    let folder = tempfile::tempdir().expect("a folder");
    let answers = |sample: f64, redact: config::RedactedKinds| {
        let sample = config::Ratio::new(sample).expect("a share");
        let answers = Some(config::AnswerLogConfig { sample, max_bytes: 64, redact });
        start(&config::DecisionLogConfig { text: true, answers, ..section() }, folder.path()).0
    };

    let (all, none) = (answers(1.0, config::RedactedKinds::default()), answers(0.0, [].into_iter().collect()));

    assert_eq!((all.answer_bytes("a"), none.answer_bytes("a")), (Some(64), None));
    assert_eq!(start(&section(), folder.path()).0.answer_bytes("a"), None);
    assert_eq!(all.redact("ana@mail.example wrote").text, "[EMAIL] wrote");
    assert_eq!(
        (&*all.redact_cut("it is 4111 111").text, &*none.redact_cut("it is 4111 111").text),
        ("it is ", "it is 4111 111")
    );
}
