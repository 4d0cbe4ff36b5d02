//! A fixed amount of lexical work, for instruction counts: `valgrind --tool=callgrind` over two numbers of rounds; the
//! difference, divided by the texts between them, is the cost of one text.
//!
//! `lexical_count ROUNDS [PART] [FILE]`: PART is `structure` (of the text), `excerpt` (cut, repeats left out), `ngrams`
//! (the excerpt and its n-grams) or `classify` (everything, the default), each over the same texts; FILE holds other
//! texts, a JSON string a line. ORT is not needed. Says how many texts were read and a sum that depends on every result.

use std::error::Error;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pointsman_classifier::{Bundle, Classifier, Ngrams, ScoreRequest, ScoredHeads};
use pointsman_core::config::{ClassifierConfig, Name};
use pointsman_core::features::{Features, TextStructure};
use pointsman_core::scores::Scores;
use pointsman_telemetry::Metrics;
use tokio::time::Instant;

/// The seed of the texts that are made.
const SEED: u64 = 20_261_129;

/// The texts of one round: half of 30 to 300 bytes, a third of up to 2 KB, a sixth of up to 8 KB, two of 20 KB.
const SIZES: [usize; 24] =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 400, 700, 900, 1200, 1500, 1800, 1950, 2600, 4100, 7600, 20_000, 20_000];

const ASKS: [&str; 6] = [
    "Which river runs through Vienna?",
    "Put these into one polite sentence: late, sorry, train.",
    "Prove that there are infinitely many primes of the form 4k + 3.",
    "How do I undo the last commit without losing my changes?",
    "Wie lange hält sich gekochter Reis im Kühlschrank?",
    "Write a function that returns the k smallest numbers of a stream, then explain step by step why it is correct.",
];

const SENTENCES: [&str; 8] = [
    "The harbour office moved the hearing to the second week of March because two witnesses were abroad.",
    "Every invoice above ten thousand euros needs a second signature before the transfer goes out.",
    "Latency rose by 40 ms after the cache was resized, yet the hit rate stayed at 93 %.",
    "Her notes say that the seedlings were watered twice a day and still lost their leaves.",
    "If the pump stalls, close valve B first, wait for 30 seconds, and only then restart the controller.",
    "Nobody remembers who signed the lease, but the deposit was paid in full on 12/04/2019.",
    "The survey has 1,204 answers; 311 of them come from people who never used the product.",
    "A reviewer asked whether the effect survives when income and region are both held fixed.",
];

const CODE: &str = "```rust\nfn total(rows: &[Row]) -> u64 {\n    rows.iter().filter(|row| row.kind != Kind::Void).map(|row| \
                    row.cents).sum()\n}\n```";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().unwrap_or_else(|| "1".to_owned()).parse()?;
    let part = arguments.next().unwrap_or_else(|| "classify".to_owned());
    let texts = match arguments.next() {
        Some(file) => fs::read_to_string(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
        None => texts(),
    };
    let work = LexicalWork::new()?;
    let mut sum = 0.0;
    for _ in 0..rounds {
        for text in &texts {
            sum += work.done(&part, text)?;
        }
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{} texts of {} bytes each, sum {sum:.6}", rounds * texts.len(), bytes / texts.len().max(1));
    Ok(())
}

struct LexicalWork {
    classifier: Classifier,
    bundle: Bundle,
    heads: Vec<Name>,
}

impl LexicalWork {
    fn new() -> Result<Self, Box<dyn Error>> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/pointsman-mini"));
        let (name, heads) = (Name::new("default")?, vec![Name::new("tier")?]);
        let section = ClassifierConfig::of(&folder);
        let classifier = Classifier::start_lexical(&name, &section, &Metrics::new(), Bundle::open(&folder)?, None)?;
        Ok(Self { classifier, bundle: Bundle::open(&folder)?, heads })
    }

    fn done(&self, part: &str, text: &str) -> Result<f64, Box<dyn Error>> {
        let excerpt = || self.bundle.tokenizer().budget().excerpt(text);
        match part {
            "structure" => Ok(TextStructure::of(text).chars as f64),
            "excerpt" => Ok(size_of_val(&excerpt()) as f64),
            "ngrams" => Ok(Ngrams::of(&excerpt()).hashes().len() as f64),
            "classify" => {
                let features = Features::default().with_text(TextStructure::of(text));
                let scores = self.scores(text, &features)?;
                Ok(scores.heads.iter().flat_map(|head| &head.probabilities).map(|p| f64::from(*p)).sum())
            }
            other => Err(format!("no part `{other}`: structure, excerpt, ngrams, classify").into()),
        }
    }

    /// Polls once: without an encoder nothing is waited for.
    fn scores(&self, text: &str, features: &Features) -> Result<Scores, Box<dyn Error>> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let scoring = self.classifier.score(ScoreRequest {
            text,
            features,
            deadline,
            heads: &self.heads,
            scored: ScoredHeads::Read,
        });
        match std::pin::pin!(scoring).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(scores) => scores.map_err(|reason| reason.as_str().into()),
            Poll::Pending => Err("the lexical heads wait for something".into()),
        }
    }
}

/// Makes the texts of one round: short questions, prose, and prose with code.
fn texts() -> Vec<String> {
    let mut state = SEED;
    let mut draw = |below: usize| {
        // Steele, Lea, Flood 2014: SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap_or_default()
    };
    let mut text = |(index, size): (usize, &usize)| {
        let mut text = ASKS[draw(ASKS.len())].to_owned();
        while text.len() < *size {
            text.push_str(if draw(4) == 0 { "\n\n" } else { " " });
            let piece = if index % 3 == 0 && draw(5) == 0 { CODE } else { SENTENCES[draw(SENTENCES.len())] };
            text.push_str(piece);
            text.push_str(&format!(" ({})", draw(10_000)));
        }
        text
    };
    SIZES.iter().enumerate().map(&mut text).collect()
}
