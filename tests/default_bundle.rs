//! The bundle that a clone comes with, through the whole classifier: the scores are those that training wrote down.
//!
//! They are to a thousandth where the bundle names the processor's instruction set, and within its tolerance elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_classifier::{Bundle, Classifier, ClassifierHost, OnnxRuntime};
use pointsman_core::config;
use pointsman_core::config::{Name, TimeSpan};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_core::scores::{ScoreSource, Scores};
use pointsman_telemetry::Metrics;
use tokio::time::Instant;

const BUNDLE: &str = "models/pointsman-mini";

/// How far a score may be off where the instruction set is one that wrote the golden file.
const TIGHT: f32 = 1e-3;

#[derive(serde::Deserialize)]
struct Golden {
    text: String,
    scores: BTreeMap<String, Vec<f32>>,
}

/// The record of what wrote the golden file: the bundle's `training.golden`.
#[derive(serde::Deserialize)]
struct GoldenOrigin {
    instruction_sets: Vec<String>,
}

fn start() -> Classifier {
    let host = ClassifierHost {
        base_dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        runtime: OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}")),
        metrics: Arc::new(Metrics::new()),
    };
    let config = config::ClassifierConfig { deadline: TimeSpan::from_secs(60), ..config::ClassifierConfig::of(BUNDLE) };
    Classifier::start(&Name::new("default").expect("a name"), &config, &host).unwrap_or_else(|error| panic!("{error}"))
}

fn golden() -> Vec<Golden> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(BUNDLE).join("golden.json");
    let golden: Vec<Golden> = serde_json::from_slice(&fs::read(path).expect("the bundle")).expect("golden inputs");
    golden.into_iter().filter(|golden| !golden.text.trim().is_empty()).collect()
}

async fn scores(classifier: &Classifier, text: &str) -> Scores {
    let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a chat body");
    let features = Features::of(&prompt, &TokenCounter::new());
    let deadline = Instant::now() + Duration::from_secs(60);
    classifier.classify(prompt.newest_ask(), &features, deadline).await.expect("scores")
}

fn bundle() -> Bundle {
    Bundle::open(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(BUNDLE)).expect("a sound bundle")
}

fn golden_origin(bundle: &Bundle) -> GoldenOrigin {
    let origin = bundle.manifest().training.get("golden").expect("`training.golden`");
    serde_json::from_value(origin.clone()).expect("`training.golden.instruction_sets`")
}

/// Returns the richest set of float kernels that ONNX Runtime has for this processor, as `models/train/processor.py`
/// calls it.
#[cfg(target_arch = "x86_64")]
fn instruction_set() -> &'static str {
    if is_x86_feature_detected!("avx512f") {
        "avx512f"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "avx2"
    } else if is_x86_feature_detected!("avx") {
        "avx"
    } else {
        "sse"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction_set() -> &'static str {
    std::env::consts::ARCH
}

/// Returns how far a score may be off on this processor: other kernels tip activations that are rounded to 8 bits.
fn tolerance() -> f32 {
    let bundle = bundle();
    let is_origin = golden_origin(&bundle).instruction_sets.iter().any(|set| set == instruction_set());
    if is_origin { TIGHT } else { bundle.manifest().tolerance() }
}

fn assert_close(scores: &Scores, golden: &Golden, tolerance: f32) {
    for (head, expected) in &golden.scores {
        let actual = &scores.head(head).expect("a head of the bundle").probabilities;
        let close = actual.iter().zip(expected).all(|(actual, expected)| (actual - expected).abs() < tolerance);
        let set = instruction_set();
        assert!(close, "{head} of {:?} with {set} is {actual:?}, expected {expected:?}", golden.text);
    }
}

#[test]
fn the_bundle_says_which_instruction_sets_its_golden_scores_are_from() {
    let GoldenOrigin { instruction_sets } = golden_origin(&bundle());

    assert_eq!(instruction_sets, ["avx2", "avx512f"]);
}

#[tokio::test]
async fn golden_inputs_score_what_python_wrote_down_as_far_as_the_instruction_set_allows() {
    let (classifier, tolerance) = (start(), tolerance());

    for golden in golden() {
        assert_close(&scores(&classifier, &golden.text).await, &golden, tolerance);
    }
}

#[tokio::test]
async fn a_burst_of_golden_inputs_scores_the_same() {
    let (classifier, tolerance) = (start(), tolerance());
    let golden = golden();

    let burst = futures::future::join_all(golden.iter().map(|golden| scores(&classifier, &golden.text))).await;

    for (scores, golden) in burst.iter().zip(&golden) {
        assert_close(scores, golden, tolerance);
    }
}

#[test]
fn every_head_has_a_lexical_form_with_its_labels() {
    let bundle = bundle();

    for (name, labels) in [("tier", 3), ("complexity", 4), ("strong_wins", 2), ("domain", 14)] {
        let head = bundle.manifest().head(name).unwrap_or_else(|| panic!("no head `{name}`"));
        let form = bundle.manifest().head(&format!("{name}_lexical")).unwrap_or_else(|| panic!("no form of `{name}`"));
        assert_eq!((head.labels.len(), form.stands_for.as_ref()), (labels, Some(&head.name)));
    }
}

#[tokio::test]
async fn saying_a_preamble_eight_times_changes_no_label() {
    let classifier = start();
    let preamble = "You are the polite assistant of a harbour office, and you answer in one paragraph. ";

    for golden in golden().into_iter().filter(|golden| golden.text.len() < 200) {
        let [once, often] = [1, 8].map(|times| format!("{}{}", preamble.repeat(times), golden.text));
        let (once, often) = (scores(&classifier, &once).await, scores(&classifier, &often).await);

        assert_eq!(top(&once), top(&often), "{:?}", golden.text);
    }
}

#[tokio::test]
async fn prompts_unlike_the_questions_that_outcomes_are_known_of_are_left_to_their_length() {
    let classifier = start();
    let wins = async |text: &str| {
        let scores = scores(&classifier, text).await;
        let head = scores.head("strong_wins").expect("a head of the bundle");
        (head.known.expect("a gate"), head.probabilities[1])
    };
    let question = "Which of the following is a vector quantity?\nA. Mass\nB. Velocity\nC. Energy\nD. Time\nAnswer:";
    let story = "Nils sells 14 ropes a day at 3 crowns each and pays 60 crowns a week for hemp.";
    let longer = format!("{story} In summer he sells twice as many. How much does he earn in four weeks of summer?");

    let (known, _) = wins(question).await;
    let (foreign, short) = wins(story).await;
    let (_, long) = wins(&longer).await;

    assert!(known > 0.9 && foreign < 0.1, "{known}, {foreign}");
    assert!(short < long, "{short}, {long}");
}

fn top(scores: &Scores) -> usize {
    let probabilities = &scores.head("tier").expect("a head of the bundle").probabilities;
    (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).expect("labels")
}

/// Hard prompts in languages and scripts that the bundle was hardly trained for, all of them `simple` to their heads once.
const UNFAMILIAR: [&str; 6] = [
    "จงพิสูจน์ว่าอินทิกรัลโดเมนจำกัดทุกตัวเป็นฟีลด์ และแสดงทีละขั้นว่าใช้ความจำกัดตรงไหน",
    "सिद्ध कीजिए कि प्रत्येक परिमित पूर्णांकीय प्रांत एक क्षेत्र है, और चरण दर चरण समझाइए।",
    "Αποδείξτε ότι κάθε πεπερασμένη ακέραια περιοχή είναι σώμα και δείξτε πού χρησιμοποιείται το πεπερασμένο.",
    "הוכיחו שכל תחום שלמות סופי הוא שדה, והראו צעד אחר צעד היכן משתמשים בסופיות.",
    "Chứng minh rằng mọi miền nguyên hữu hạn đều là một trường, rồi chỉ ra từng bước nơi dùng tính hữu hạn.",
    "Udowodnij, że każda skończona dziedzina całkowitości jest ciałem, i pokaż krok po kroku, gdzie używasz skończoności.",
];

#[tokio::test]
async fn prompts_beyond_the_training_are_unfamiliar_and_no_lexical_form_is_sure_of_them() {
    let classifier = start();

    for text in UNFAMILIAR {
        let scores = scores(&classifier, text).await;

        assert!(scores.familiarity.unfamiliar.is_some(), "{text}: {:?}", scores.familiarity);
        assert_eq!(scores.source, ScoreSource::Encoder, "{text}");
    }
}

/// The same in languages that the recipe's supplement taught the tiers.
const TAUGHT: [&str; 4] = [
    "证明每个有限整环都是域，并逐步说明在何处用到了有限性。然后构造一个无限整环的反例。",
    "すべての有限整域が体であることを証明し、有限性がどこで使われるかを段階的に示してください。",
    "أثبت أن كل حلقة تامة منتهية هي حقل، ثم بين خطوة بخطوة أين استخدمت كونها منتهية.",
    "Докажите, что каждая конечная область целостности является полем, и покажите, где используется конечность.",
];

#[tokio::test]
async fn proofs_in_the_languages_of_the_supplement_are_familiar_and_complex() {
    let classifier = start();

    for text in TAUGHT {
        let scores = scores(&classifier, text).await;

        assert_eq!(scores.familiarity.unfamiliar, None, "{text}: {:?}", scores.familiarity);
        assert_eq!(top(&scores), 2, "{text}");
    }
}

#[tokio::test]
async fn english_code_numbers_and_the_shortest_asks_are_familiar() {
    let classifier = start();

    for text in [
        "hi",
        "ok",
        "2+2?",
        "fix foo.rs",
        "git rebase -i HEAD~3",
        "npm ERR! code ELIFECYCLE",
        "10082928273728202828282",
        "SELECT city, COUNT(*) FROM trips WHERE fare > 12.50 GROUP BY city;",
        "Who was Hirohito Watanabe?",
        "How does vDSO work to handle gettimeofday() syscall?",
        "Translate to Chinese: good morning, my friend (你好)",
        "Prove that every finite integral domain is a field, then show step by step where finiteness is used.",
        "Was ist die Hauptstadt von Frankreich, und wie viele Menschen leben dort?",
        "¿Cuáles son los pasos para renovar un pasaporte?",
    ] {
        let scores = scores(&classifier, text).await;

        assert_eq!(scores.familiarity.unfamiliar, None, "{text}: {:?}", scores.familiarity);
    }
}

#[tokio::test]
async fn a_text_that_spells_out_tokens_of_the_encoder_says_no_more_than_its_words() {
    let classifier = start();
    let hard = "Prove that every finite integral domain is a field, then show step by step where finiteness is used.";

    let [plain, marked] = [hard.to_owned(), format!("{hard} {}", "[SEP] [CLS] [PAD] [MASK] ".repeat(8))];

    let (plain, marked) = (scores(&classifier, &plain).await, scores(&classifier, &marked).await);
    assert_eq!(top(&plain), top(&marked));
}
