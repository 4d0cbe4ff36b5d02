//! Which text is read, kept and refused, whatever order texts come in.

use super::super::signer::Signer;
use super::*;

fn source() -> HttpSource {
    let settings = HttpSettings {
        url: "http://127.0.0.1:1/p.yaml".parse().expect("a URL"),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(2),
        headers: Vec::new(),
        authorities: None,
        cache: None,
    };
    HttpSource::new(settings, None)
}

fn fetched(text: &str, comment: Option<&str>) -> FetchedText {
    let signer = Signer::new(1);
    let key = TrustedKey::read(&signer.public_key()).expect("a key");
    let signature = comment.map(|comment| signer.sign(text.as_bytes(), comment));
    let facts = signature.as_ref().map(|signature| key.verify(text.as_bytes(), signature).expect("it holds"));
    let validators = Validators { etag: Some(format!("\"{text}\"")), last_modified: None };
    FetchedText { text: text.to_owned(), signature, facts, validators }
}

fn take(source: &HttpSource, text: &str, comment: Option<&str>) -> Result<bool, FetchError> {
    let mut held = source.locked();
    let taken = held.take(fetched(text, comment));
    held.note(&taken);
    taken
}

fn text_of(source: &HttpSource) -> Option<String> {
    source.read().map(|read| read.text)
}

fn serve(source: &HttpSource) {
    let read = source.read().expect("a text");
    source.note_serving(&read.version);
}

#[test]
fn a_text_that_does_not_serve_gives_way_to_the_one_that_does_and_is_not_taken_again() {
    let source = source();
    assert_eq!(take(&source, "one", None), Ok(true));
    serve(&source);

    assert_eq!(take(&source, "bad", None), Ok(true));
    assert_eq!(text_of(&source).as_deref(), Some("bad"));
    source.note_refusal();
    let trouble = source.times().trouble.expect("the source has what does not serve");
    let again = take(&source, "bad", None);

    assert_eq!((again, text_of(&source).as_deref()), (Ok(false), Some("one")));
    assert!(trouble.detail.contains("refused"), "{trouble:?}");
    assert_eq!(take(&source, "two", None), Ok(true));
    serve(&source);
    assert_eq!(source.times().trouble, None);
}

#[test]
fn a_text_that_came_while_another_was_refused_is_kept() {
    let source = source();
    take(&source, "bad", None).expect("taken");
    source.read().expect("a text");

    take(&source, "good", None).expect("taken");
    source.note_refusal();

    assert_eq!(text_of(&source).as_deref(), Some("good"));
}

#[test]
fn a_text_that_serves_is_known_to_although_another_came_meanwhile() {
    let source = source();
    take(&source, "one", Some("timestamp:100")).expect("taken");
    serve(&source);
    take(&source, "two", Some("timestamp:200")).expect("taken");
    let two = source.read().expect("a text");
    take(&source, "bad", Some("timestamp:300")).expect("taken");
    source.note_serving(&two.version);

    assert_eq!(text_of(&source).as_deref(), Some("bad"), "it waits for its turn");
    source.note_refusal();

    assert_eq!(text_of(&source).as_deref(), Some("two"));
    assert!(take(&source, "old", Some("timestamp:150")).is_err(), "it was signed before the one that serves");
}

#[test]
fn a_text_that_was_signed_before_the_one_that_serves_is_refused_and_so_is_one_without_a_time() {
    let source = source();
    take(&source, "two", Some("timestamp:200")).expect("taken");
    serve(&source);

    let older = take(&source, "one", Some("timestamp:199")).expect_err("refused").to_string();
    let timeless = take(&source, "one", Some("whenever")).expect_err("refused").to_string();

    assert!(older.contains("1970-01-01T00:03:19Z, before the text that serves (1970-01-01T00:03:20Z)"), "{older}");
    assert!(timeless.contains("says no time"), "{timeless}");
    assert!(source.times().trouble.is_some() && !source.is_away());
    assert_eq!(take(&source, "one", Some("timestamp:200")), Ok(true), "signed anew");
}

#[test]
fn the_same_text_is_nothing_new_whatever_it_is_called() {
    let source = source();
    take(&source, "one", Some("timestamp:200")).expect("taken");
    serve(&source);

    let again = take(&source, "one", Some("timestamp:100"));

    assert_eq!(again, Ok(false));
    assert!(source.locked().next.is_none());
}

#[test]
fn questions_are_spread_around_the_interval() {
    let source = source();
    let pauses: Vec<Duration> = (0..200).map(|_| source.pause()).collect();

    assert!(pauses.iter().all(|pause| (9.0..=11.0).contains(&pause.as_secs_f64())), "{pauses:?}");
    assert!(pauses.iter().any(|pause| pause != &pauses[0]));
}
