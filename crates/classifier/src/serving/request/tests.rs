//! Which rung answers: with the bundle `cascade`, whose lexical form is sure of short and long texts only.

use std::time::Duration;

use pointsman_core::config::{ClassifierConfig as Section, LexicalCascade, Ratio, ScoreCacheLimits};
use pointsman_core::features::TokenCounter;
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_telemetry::Metrics;

use super::*;
use crate::scoring::scope::TrainingScope;
use crate::serving::tests::{config, enqueue, fixture, host, name, scripted_of, soon, zeros};
use crate::{Bundle, EncoderOutage, InferenceError};

/// The form is sure of it.
const SURE: &str = "hello";
/// A text that the lexical form is not sure of.
const UNSURE: &str = "what is the time";

fn bundle(name: &str) -> Bundle {
    Bundle::open(&fixture().with_file_name(name)).expect("the fixture is sound")
}

fn features(text: &str) -> Features {
    let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string();
    Features::of(&Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body"), &TokenCounter::new())
}

fn tier() -> Vec<Name> {
    vec![Name::new("tier").expect("a name")]
}

async fn score(classifier: &Classifier, text: &str) -> Result<Scores, ClassifierFailure> {
    let (features, heads) = (features(text), tier());
    let deadline = Instant::now() + Duration::from_millis(20);
    classifier
        .score(ScoreRequest { text, features: &features, deadline, heads: &heads, scored: ScoredHeads::All })
        .await
}

fn outage() -> EncoderOutage {
    EncoderOutage { reason: ClassifierFailure::RuntimeMissing, detail: "no library".to_owned() }
}

fn down(section: &Section, metrics: &Metrics) -> Classifier {
    let outage = Some(outage());
    Classifier::start_lexical(&name(), section, metrics, bundle("cascade"), outage).expect("lexical heads")
}

#[tokio::test(start_paused = true)]
async fn a_lexical_form_that_is_sure_spares_the_encoder() {
    let (classifier, _worker) = scripted_of(bundle("cascade"), &config("cascade"), zeros);

    let scores = score(&classifier, SURE).await.expect("scores");

    let head = scores.head("tier").and_then(|head| head.top()).expect("a label");
    assert_eq!((scores.source, &**head.0), (ScoreSource::Lexical, "simple"));
    assert!(head.1 >= 0.9, "{head:?}");
    assert_eq!(
        scores.head("tier_lexical").map(|head| &head.probabilities),
        scores.head("tier").map(|h| &h.probabilities)
    );
    assert_eq!(classifier.stats().waiting, 0, "nothing was queued");
}

#[tokio::test]
async fn a_lexical_form_that_is_not_sure_leaves_it_to_the_encoder() {
    let (classifier, worker) = scripted_of(bundle("cascade"), &config("cascade"), zeros);
    worker.spawn().expect("a thread");

    let scores = classifier
        .score(ScoreRequest {
            text: UNSURE,
            features: &features(UNSURE),
            deadline: soon(),
            heads: &tier(),
            scored: ScoredHeads::All,
        })
        .await
        .expect("scores");

    assert_eq!(scores.source, ScoreSource::Encoder);
    assert_eq!(classifier.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn the_configuration_moves_the_threshold_and_turns_the_cascade_off() {
    let of = |cascade| Section { cascade, ..config("cascade") };
    let (low, strict, off) = (
        LexicalCascade { confidence: Some(Ratio::new(0.51).expect("a ratio")), enabled: true },
        LexicalCascade { confidence: Some(Ratio::new(0.999).expect("a ratio")), enabled: true },
        LexicalCascade { enabled: false, confidence: None },
    );
    for (cascade, text, expected) in [
        (low, UNSURE, ScoreSource::Fallback(ClassifierFailure::Deadline)),
        (low, "fix this", ScoreSource::Lexical),
        (strict, SURE, ScoreSource::Fallback(ClassifierFailure::Deadline)),
        (off, SURE, ScoreSource::Fallback(ClassifierFailure::Deadline)),
    ] {
        let (classifier, _silent_worker) = scripted_of(bundle("cascade"), &of(cascade), zeros);

        let scores = score(&classifier, text).await.expect("scores");

        assert_eq!(scores.source, expected, "{cascade:?} {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_another_head_is_not_served_by_the_one_that_is_sure() {
    let (classifier, _silent_worker) = scripted_of(bundle("cascade"), &config("cascade"), zeros);
    let mood = [Name::new("mood").expect("a name")];
    let features = features(SURE);
    let deadline = Instant::now() + Duration::from_millis(20);

    let scores = classifier
        .score(ScoreRequest { text: SURE, features: &features, deadline, heads: &mood, scored: ScoredHeads::All })
        .await;

    assert_eq!(scores, Err(ClassifierFailure::Deadline));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_steps_down_to_the_lexical_heads_and_shows() {
    let (classifier, _worker) = scripted_of(bundle("cascade"), &Section { queue: 1, ..config("cascade") }, zeros);
    let _waits = enqueue(&classifier, "one", soon());
    let started = Instant::now();

    let scores = score(&classifier, UNSURE).await.expect("scores");

    assert_eq!(scores.source, ScoreSource::Fallback(ClassifierFailure::QueueFull));
    assert_eq!(started.elapsed(), Duration::ZERO);
    let trouble = classifier.0.state.degrade_ladder.trouble().expect("a step down");
    assert!(trouble.starts_with("queue_full: 1 prompts"), "{trouble}");
}

#[tokio::test]
async fn an_encoder_that_fails_steps_down_to_the_lexical_heads() {
    let (classifier, worker) = scripted_of(bundle("cascade"), &config("cascade"), |_| Err(InferenceError::Panicked));
    worker.spawn().expect("a thread");
    let (features, heads) = (features(UNSURE), tier());

    let scores = classifier
        .score(ScoreRequest {
            text: UNSURE,
            features: &features,
            deadline: soon(),
            heads: &heads,
            scored: ScoredHeads::All,
        })
        .await;

    assert_eq!(scores.expect("scores").source, ScoreSource::Fallback(ClassifierFailure::Inference));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_killed_steps_down_to_the_lexical_heads() {
    let (classifier, worker) = scripted_of(bundle("cascade"), &config("cascade"), zeros);

    drop(worker);
    let scores = score(&classifier, UNSURE).await.expect("scores");

    assert_eq!(scores.source, ScoreSource::Fallback(ClassifierFailure::WorkerGone));
}

#[tokio::test(start_paused = true)]
async fn a_blank_prompt_has_nothing_that_lexical_heads_could_score() {
    let (classifier, _worker) = scripted_of(bundle("cascade"), &config("cascade"), zeros);

    assert_eq!(score(&classifier, " \n").await, Err(ClassifierFailure::NoText));
    assert_eq!(classifier.0.state.degrade_ladder.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lexical_form_is_neither_sure_nor_stands_in_for_a_script_that_it_never_saw() {
    let (classifier, _silent_worker) = scripted_of(bundle("cascade"), &config("cascade"), zeros);

    let [korean, english] = [score(&classifier, "안녕").await, score(&classifier, SURE).await];

    assert_eq!(korean, Err(ClassifierFailure::Deadline));
    assert_eq!(english.expect("scores").source, ScoreSource::Lexical);
}

#[tokio::test]
async fn scores_say_what_lies_beyond_a_declared_scope_whoever_gave_them() {
    let mut bundle = bundle("cascade");
    bundle.manifest.scripts = vec!["latin".to_owned()];
    bundle.scope = TrainingScope::parse(&bundle.manifest, None).expect("a script");
    let section = Section { cache: ScoreCacheLimits::default(), ..config("cascade") };
    let (classifier, worker) = scripted_of(bundle, &section, zeros);
    worker.spawn().expect("a thread");
    let told = async |text: &str| {
        let (features, heads) = (features(text), tier());
        let scores = classifier
            .score(ScoreRequest {
                text,
                features: &features,
                deadline: soon(),
                heads: &heads,
                scored: ScoredHeads::All,
            })
            .await;
        scores.map(|scores| (scores.source, scores.is_cached, scores.familiarity.unfamiliar)).expect("scores")
    };

    let all = [told("안녕").await, told("안녕").await, told(UNSURE).await, told(SURE).await];

    let (encoder, script) = (ScoreSource::Encoder, Some(UnfamiliarPart::Script));
    let expected = [(encoder, false, script), (encoder, true, script), (encoder, false, None)];
    assert_eq!(all[..3], expected);
    assert_eq!(all[3], (ScoreSource::Lexical, false, None));
}

#[tokio::test]
async fn lexical_heads_alone_answer_everything_where_nothing_is_declared_and_say_what_is_beyond_where_it_is() {
    let silent = Classifier::start(&name(), &config("lexical"), &host(fixture().parent().expect("a parent")));
    let mut declared = bundle("lexical");
    declared.manifest.scripts = vec!["latin".to_owned()];
    declared.scope = TrainingScope::parse(&declared.manifest, None).expect("a script");
    let declared = Classifier::start_lexical(&name(), &config("lexical"), &Metrics::new(), declared, None);

    let mut told = Vec::new();
    for classifier in [silent.expect("the fixture is sound"), declared.expect("the fixture is sound")] {
        let scores = classifier.classify("안녕", &features("안녕"), soon()).await.expect("scores");
        told.push((scores.source, scores.familiarity.unfamiliar));
    }

    assert_eq!(told, [(ScoreSource::Lexical, None), (ScoreSource::Lexical, Some(UnfamiliarPart::Script))]);
}

#[tokio::test]
async fn without_onnx_runtime_the_lexical_heads_answer_and_it_shows() {
    let metrics = Metrics::new();
    let classifier = down(&config("cascade"), &metrics);

    let [sure, unsure] = [score(&classifier, SURE).await, score(&classifier, UNSURE).await];

    let expected = ScoreSource::Fallback(ClassifierFailure::RuntimeMissing);
    assert_eq!([sure, unsure].map(|scores| scores.expect("scores").source), [expected; 2]);
    assert_eq!(classifier.trouble().as_deref(), Some("runtime_missing: the lexical heads decide: no library"));
}

#[tokio::test]
async fn a_bundle_of_lexical_heads_alone_never_looks_at_its_model() {
    let classifier = Classifier::start(&name(), &config("lexical"), &host(fixture().parent().expect("a parent")))
        .expect("a model that is none does not matter");

    let scores = classifier.classify(SURE, &features(SURE), soon()).await.expect("scores");

    assert_eq!((scores.source, classifier.stats().workers), (ScoreSource::Lexical, 0));
    assert_eq!((classifier.trouble(), classifier.is_down()), (None, false));
    assert!(scores.head("tier_lexical").is_some());
}

#[test]
fn a_bundle_whose_heads_all_need_the_encoder_cannot_do_without_it() {
    let outage = Some(outage());

    let started = Classifier::start_lexical(&name(), &config("tiny"), &Metrics::new(), bundle("tiny"), outage);

    assert_eq!(started.expect_err("no lexical head").to_string(), "bundle.yaml: no head can do without the encoder");
}

#[tokio::test]
async fn what_lexical_heads_do_not_read_of_a_long_text_is_counted_as_cut() {
    let classifier = down(&config("cascade"), &Metrics::new());

    let scores = score(&classifier, &"word ".repeat(1000)).await.expect("scores");

    assert_eq!(scores.truncated_tokens, (5000 - 2048) / 4);
}

#[tokio::test]
async fn a_real_session_answers_what_the_form_is_not_sure_of_and_scores_both_heads() {
    let classifier = Classifier::start(&name(), &config("cascade"), &host(fixture().parent().expect("a parent")))
        .expect("the fixture is sound");

    let sure = classifier.classify(SURE, &features(SURE), soon()).await.expect("scores");
    let unsure = classifier.classify(UNSURE, &features(UNSURE), soon()).await.expect("scores");

    assert_eq!([sure.source, unsure.source], [ScoreSource::Lexical, ScoreSource::Encoder]);
    assert_eq!(unsure.heads.iter().map(|head| &*head.head).collect::<Vec<_>>(), ["tier", "tier_lexical"]);
}

/// Asks for the head `tier`, and returns the heads that scores came of.
async fn heads_of(classifier: &Classifier, text: &str, scored: ScoredHeads) -> Vec<String> {
    let (features, heads) = (features(text), tier());
    let scores =
        classifier.score(ScoreRequest { text, features: &features, deadline: soon(), heads: &heads, scored }).await;
    scores.expect("scores").heads.iter().map(|scores| scores.head.to_string()).collect()
}

#[tokio::test]
async fn a_caller_is_given_the_heads_that_it_reads_and_all_only_if_it_wants_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/pointsman-mini");
    let bundle = Bundle::open(folder.as_ref()).expect("the default bundle");
    let classifier = Classifier::start_lexical(&name(), &config(folder), &Metrics::new(), bundle, None);
    let classifier = classifier.expect("lexical heads");

    let read = heads_of(&classifier, UNSURE, ScoredHeads::Read).await;
    let all = heads_of(&classifier, UNSURE, ScoredHeads::All).await;

    assert_eq!(read, ["tier", "tier_lexical"]);
    assert!(all.len() > read.len() && read.iter().all(|head| all.contains(head)), "{all:?}");
}

#[tokio::test]
async fn the_encoder_gives_no_more_heads_than_are_read() {
    let mut bundle = bundle("cascade");
    let renamed = |head: &mut crate::HeadSpec| head.name = Name::new("other").expect("a name");
    bundle.manifest.heads.iter_mut().filter(|head| head.stands_for.is_some()).for_each(renamed);
    let (classifier, worker) = scripted_of(bundle, &config("cascade"), zeros);
    worker.spawn().expect("a thread");

    let heads = [ScoredHeads::Read, ScoredHeads::All].map(|scored| heads_of(&classifier, UNSURE, scored));

    let [read, all] = heads;
    assert_eq!((read.await, all.await), (vec!["tier".to_owned()], vec!["tier".to_owned(), "tier_lexical".to_owned()]));
}
