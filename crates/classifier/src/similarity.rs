//! The descriptions and examples that the strategy `similarity` compares prompts with, embedded when a snapshot is
//! built.

mod everyday;
mod separation;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::{BackgroundTexts, KeyPath, RegularFile, SimilarityRoute};
use pointsman_core::features::Features;
use pointsman_core::policy::RouteSimilarities;
use pointsman_core::scores::ClassifierFailure;
use serde::Deserialize;
use tokio::time::Instant;

use self::everyday::EVERYDAY;
use self::separation::{MOST_OWN, RouteSeparation};
use crate::Classifier;

/// The time that one text may take; the queue is also that of the requests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most texts of a file of examples.
const MAX_EXAMPLES: usize = 10_000;

/// The largest file of examples.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A strategy's texts and their embeddings.
#[derive(Debug)]
pub struct ExemplarIndex {
    /// The sha256 of the bundle that embedded them.
    bundle: Arc<str>,
    texts: ExemplarTexts,
    space: EmbeddingSpace,
    /// The figures of how well the encoder tells the routes apart.
    separation: RouteSeparation,
}

/// The texts of each route as directions, and how many of the nearest count.
#[derive(Debug)]
struct EmbeddingSpace {
    /// The embeddings `[route][text][dimension]`, of length one each.
    embeddings: Vec<Vec<UnitVector>>,
    /// The background `[text][dimension]`: texts about no route; empty where the threshold alone decides.
    background: Vec<UnitVector>,
    top_k: usize,
}

/// An embedding of length one.
#[derive(Debug, Clone, PartialEq)]
struct UnitVector(Box<[f32]>);

/// A strategy's texts `[route][text]`, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemplarTexts(Vec<Vec<String>>);

/// A line of a JSONL file of examples.
#[derive(Deserialize)]
struct ExampleLine {
    #[serde(alias = "prompt")]
    text: String,
}

impl ExemplarTexts {
    /// Collects what a strategy says and what its files hold.
    ///
    /// # Errors
    /// The position of the route whose file is at fault, and what is wrong with it.
    pub fn read(section: &config::SimilarityConfig, base_dir: &Path) -> Result<Self, (usize, String)> {
        let of = |(index, route): (usize, &SimilarityRoute)| {
            let mut texts: Vec<String> = route.description.iter().chain(&route.examples).cloned().collect();
            if let Some(file) = &route.examples_file {
                texts.extend(examples(&base_dir.join(file)).map_err(|message| (index, message))?);
            }
            Ok(texts)
        };
        section.routes.iter().enumerate().map(of).collect::<Result<_, _>>().map(Self)
    }
}

impl ExemplarIndex {
    /// Reads and embeds the texts of a strategy that stands in no snapshot; its files are relative to `base_dir`.
    /// Blocks.
    ///
    /// # Errors
    /// Says which text cannot be read, or why none is embedded.
    pub fn of(
        section: &config::SimilarityConfig,
        base_dir: &Path,
        classifier: &Classifier,
    ) -> Result<Arc<Self>, String> {
        let texts = ExemplarTexts::read(section, base_dir).map_err(|(_, message)| message)?;
        if !classifier.can_embed() {
            return Err(format!("classifier `{}` makes no embeddings to compare", section.classifier));
        }
        Self::build(section, texts, classifier, None)
            .map_err(|degraded| format!("no text is embedded ({})", degraded.as_str()))
    }

    /// Embeds the texts of a strategy, or takes over what is embedded already.
    ///
    /// # Errors
    /// Why the encoder does not embed them.
    pub fn build(
        section: &config::SimilarityConfig,
        texts: ExemplarTexts,
        classifier: &Classifier,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, ClassifierFailure> {
        let bundle = &classifier.identity().sha256;
        let has_background = section.background == BackgroundTexts::Everyday;
        let form = (section.top_k, has_background);
        let same = |old: &&Arc<Self>| old.bundle == *bundle && old.texts == texts && old.space.form() == form;
        if let Some(old) = previous.filter(same) {
            return Ok(Arc::clone(old));
        }
        let mut embedded = embed(classifier, &texts)?;
        let everyday = embedded.pop().unwrap_or_default();
        let background = if has_background { everyday.clone() } else { Vec::new() };
        let space = EmbeddingSpace { embeddings: embedded, background, top_k: section.top_k };
        let separation = space.separation(&everyday);
        Ok(Arc::new(Self { bundle: Arc::clone(bundle), texts, space, separation }))
    }

    /// Returns what cannot be meant of the strategy at `path`: thresholds that everything reaches, routes that overlap.
    pub fn warnings(&self, section: &config::SimilarityConfig, path: &KeyPath) -> Vec<(KeyPath, String)> {
        let findings = self.separation.findings(section).into_iter();
        let placed = findings.map(|finding| {
            let place = finding.route.map_or_else(|| path.clone(), |route| path.key("routes").index(route));
            (if finding.is_threshold { place.key("threshold") } else { place }, finding.message)
        });
        placed.collect()
    }

    /// Returns how near an embedding is to each route, and to the background after them if there is one: the mean
    /// cosine of its nearest texts.
    #[must_use]
    pub fn similarities(&self, embedding: &[f32]) -> RouteSimilarities {
        RouteSimilarities(self.space.near(&UnitVector::of(embedding)))
    }

    /// Returns whether replacing `other` by it would change nothing.
    pub fn serves_like(&self, other: &Self) -> bool {
        self.bundle == other.bundle && self.texts == other.texts && self.space.form() == other.space.form()
    }
}

impl EmbeddingSpace {
    /// Returns what a strategy decides about it.
    fn form(&self) -> (usize, bool) {
        (self.top_k, !self.background.is_empty())
    }

    fn near(&self, embedding: &UnitVector) -> Vec<f32> {
        let background = Some(&self.background).filter(|texts| !texts.is_empty());
        let all = self.embeddings.iter().chain(background);
        all.map(|texts| self.near_to(texts.iter(), embedding)).collect()
    }

    /// Returns the mean cosine of the nearest of some texts; of none it is not a number.
    fn near_to<'t>(&self, texts: impl Iterator<Item = &'t UnitVector>, embedding: &UnitVector) -> f32 {
        let mut cosines: Vec<f32> = texts.map(|text| text.cosine(embedding)).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        cosines.truncate(self.top_k);
        if cosines.is_empty() { f32::NAN } else { cosines.iter().sum::<f32>() / cosines.len() as f32 }
    }

    fn separation(&self, everyday: &[UnitVector]) -> RouteSeparation {
        // No text is compared with itself, be it a route's or the background's.
        let without = |texts: &[UnitVector], at: usize, group: usize| {
            let mut near = self.near(&texts[at]);
            let others = texts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, text)| text);
            if let Some(near) = near.get_mut(group) {
                *near = self.near_to(others, &texts[at]);
            }
            near
        };
        let routes = self.embeddings.len();
        let own = |(route, texts): (usize, &Vec<UnitVector>)| {
            (0..texts.len().min(MOST_OWN)).map(|at| without(texts, at, route)).collect()
        };
        RouteSeparation {
            everyday: (0..everyday.len()).map(|at| without(everyday, at, routes)).collect(),
            own: self.embeddings.iter().enumerate().map(own).collect(),
        }
    }
}

/// Embeds the texts of every route, and the everyday asks after them.
///
/// On a thread of its own, because snapshots are built on all sorts of threads and one that drives a runtime cannot
/// wait.
fn embed(classifier: &Classifier, texts: &ExemplarTexts) -> Result<Vec<Vec<UnitVector>>, ClassifierFailure> {
    let features = Features::default();
    let one = async |text: &str| {
        let embedding = classifier.embed(text, &features, Instant::now() + PATIENCE).await?;
        Ok(UnitVector::of(&embedding))
    };
    let all = async {
        let mut routes = Vec::with_capacity(texts.0.len());
        for route in &texts.0 {
            let mut embeddings = Vec::with_capacity(route.len());
            for text in route {
                embeddings.push(one(text).await?);
            }
            routes.push(embeddings);
        }
        let mut everyday = Vec::with_capacity(EVERYDAY.len());
        for text in EVERYDAY {
            everyday.push(one(text).await?);
        }
        routes.push(everyday);
        Ok(routes)
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.map_err(|_| ClassifierFailure::WorkerGone)?.block_on(all)
        });
        thread.join().unwrap_or(Err(ClassifierFailure::WorkerGone))
    })
}

fn examples(file: &Path) -> Result<Vec<String>, String> {
    let text = RegularFile::open(file, MAX_FILE_BYTES).and_then(RegularFile::text);
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let is_jsonl = file.extension().is_some_and(|extension| extension == "jsonl");
    let mut examples = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let example = if is_jsonl {
            let parsed: Result<ExampleLine, _> = serde_json::from_str(line);
            parsed
                .map_err(|error| format!("{} line {number}: {error} (allowed: objects with `text`)", file.display()))?
                .text
        } else {
            line.trim().to_owned()
        };
        examples.extend(Some(example).filter(|example| !example.trim().is_empty()));
    }
    match examples.len() {
        0 => Err(format!("{} holds no example", file.display())),
        count if count > MAX_EXAMPLES => {
            Err(format!("{} holds {count} examples (allowed: {MAX_EXAMPLES})", file.display()))
        }
        _ => Ok(examples),
    }
}

impl UnitVector {
    /// Returns the direction of a vector; one without a direction stays as it is.
    fn of(vector: &[f32]) -> Self {
        let length = dot(vector, vector).sqrt();
        if length > 0.0 { Self(vector.iter().map(|value| value / length).collect()) } else { Self(vector.into()) }
    }

    fn cosine(&self, other: &Self) -> f32 {
        dot(&self.0, &other.0)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(top_k: usize, embeddings: &[&[[f32; 2]]]) -> EmbeddingSpace {
        let route = |route: &&[[f32; 2]]| route.iter().map(|text| UnitVector::of(text)).collect();
        EmbeddingSpace { embeddings: embeddings.iter().map(route).collect(), background: Vec::new(), top_k }
    }

    #[test]
    fn a_route_is_as_near_as_the_mean_of_its_nearest_texts_whatever_their_length() {
        let two = space(2, &[&[[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]], &[[0.0, 1.0]]]);

        let near = two.near(&UnitVector::of(&[10.0, 0.0]));

        assert!((near[0] - 0.5).abs() < 1e-6 && near[1].abs() < 1e-6, "{near:?}");
    }

    #[test]
    fn an_embedding_without_a_direction_is_near_to_nothing() {
        let one = space(1, &[&[[1.0, 0.0]]]);

        assert_eq!(one.near(&UnitVector::of(&[0.0, 0.0])), [0.0]);
    }

    #[test]
    fn a_text_is_not_compared_with_itself() {
        let two = space(3, &[&[[1.0, 0.0], [0.0, 1.0]], &[[1.0, 0.0]]]);

        let separation = two.separation(&[UnitVector([0.0, 1.0].into())]);

        assert_eq!(separation.own[0], [[0.0, 1.0], [0.0, 0.0]]);
        assert!(separation.own[1][0][1].is_nan(), "{:?}", separation.own[1]);
        assert_eq!(separation.everyday, [[0.5, 0.0]]);
    }

    #[test]
    fn the_background_stands_after_the_routes_and_an_everyday_ask_is_not_its_own() {
        let everyday: Vec<UnitVector> = vec![UnitVector([0.0, 1.0].into()), UnitVector([0.6, 0.8].into())];
        let with = EmbeddingSpace { background: everyday.clone(), ..space(1, &[&[[1.0, 0.0]]]) };

        let near = with.near(&UnitVector::of(&[0.0, 3.0]));

        assert_eq!(near, [0.0, 1.0]);
        assert_eq!(with.separation(&everyday).everyday, [[0.0, 0.8], [0.6, 0.8]]);
    }

    #[test]
    fn files_hold_lines_or_json_lines_and_mistakes_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("writable");
            examples(&file)
        };

        assert_eq!(read("a.txt", "one\n\n two \n"), Ok(vec!["one".to_owned(), "two".to_owned()]));
        assert_eq!(
            read("b.jsonl", "{\"text\": \"one\"}\n{\"prompt\": \"two\"}\n"),
            Ok(vec!["one".to_owned(), "two".to_owned()])
        );
        assert!(read("c.jsonl", "{\"text\": 1}").is_err_and(|error| error.contains("line 1")));
        assert!(read("d.txt", "\n").is_err_and(|error| error.contains("holds no example")));
        assert!(examples(&folder.path().join("none.txt")).is_err_and(|error| error.contains("cannot read")));
    }
}
