//! What a request needs and a model must have: applied after every choice, a rule's too.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::decision::{Choice, Reason};
use crate::config::{self, Capability, Config, Name, Price};
use crate::features::Features;
use crate::prompt::ResponseFormat;

/// Why a model cannot serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// The prompt and the answer asked for do not fit the context window.
    ContextExceeded,
    /// The request has images and the model takes none.
    LacksImages,
    /// The request has audio and the model takes none.
    LacksAudio,
    /// The request has files and the model takes none.
    LacksFiles,
    /// The request has tools and the model calls none.
    LacksTools,
    /// The request wants an answer by a JSON schema and the model cannot.
    LacksJsonSchema,
}

/// A model that a policy can choose, judged for one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The model's name in the catalog.
    pub model: Name,
    /// Whether it can serve the request, or the first thing it lacks.
    pub fits: Result<(), Constraint>,
    /// What it costs.
    pub price: Option<Price>,
}

/// The models of a policy and the order in which they stand in for each other.
#[derive(Debug)]
pub(super) struct Choices {
    /// Each model once: the ladder's from the lowest tier, then `otherwise`, the rules', the fallback's.
    models: Vec<Limits>,
    /// Indices into `models`, lowest tier first.
    ladder: Vec<usize>,
    otherwise: usize,
    /// Indices into `models`, in the order in which they are tried when a provider fails.
    fallback: Vec<usize>,
}

/// What the catalog says about a model.
#[derive(Debug)]
struct Limits {
    model: Name,
    context: Option<u64>,
    supports: Option<Vec<Capability>>,
    price: Option<Price>,
}

impl Constraint {
    /// Every constraint.
    pub const ALL: [Self; 6] = [
        Self::ContextExceeded,
        Self::LacksImages,
        Self::LacksAudio,
        Self::LacksFiles,
        Self::LacksTools,
        Self::LacksJsonSchema,
    ];

    /// Returns the stable name used in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContextExceeded => "context",
            Self::LacksImages => "images",
            Self::LacksAudio => "audio",
            Self::LacksFiles => "files",
            Self::LacksTools => "tools",
            Self::LacksJsonSchema => "json_schema",
        }
    }
}

impl Choices {
    pub(super) fn new<'n>(config: &Config, policy: &config::Policy, rules: impl Iterator<Item = &'n Name>) -> Self {
        let mut models: Vec<Limits> = Vec::new();
        let mut index_of = |name: &Name| {
            models.iter().position(|known| known.model == *name).unwrap_or_else(|| {
                models.push(Limits::new(config, name));
                models.len() - 1
            })
        };
        let ladder = policy.strategy.ladder().iter().map(&mut index_of).collect();
        // A strategy without any model has been reported; its stand-in serves nobody.
        let otherwise = index_of(&policy.strategy.otherwise().unwrap_or_else(|| policy.name.clone()));
        rules.for_each(|model| {
            index_of(model);
        });
        let fallback = policy.fallback.iter().map(index_of).collect();
        Self { models, ladder, otherwise, fallback }
    }

    /// Returns the model that stands in where a strategy abstains.
    pub(super) fn otherwise(&self) -> &Name {
        &self.models[self.otherwise].model
    }

    /// Keeps the chosen model or moves to the nearest that can serve the request: the next tiers upward, `otherwise`, the
    /// tiers below from the nearest down, then any other.
    pub(super) fn settle(&self, choice: &Choice, features: &Features) -> (Name, Reason, Vec<Candidate>) {
        let candidates: Vec<Candidate> = self.models.iter().map(|limits| limits.judge(features)).collect();
        let chosen = self.models.iter().position(|limits| limits.model == choice.model);
        let lacks = chosen.and_then(|index| candidates[index].fits.err());
        let Some(constraint) = lacks else { return (choice.model.clone(), choice.reason, candidates) };
        let nearest = self.others(choice.rung, chosen).find(|index| candidates[*index].fits.is_ok());
        match nearest {
            Some(index) => (candidates[index].model.clone(), Reason::Moved(constraint), candidates),
            None => (choice.model.clone(), Reason::NoModelFits, candidates),
        }
    }

    /// Returns the models to try when `chosen` fails: those of the `fallback` that can serve the request, each once.
    pub(super) fn fallback(&self, chosen: &Name, candidates: &[Candidate]) -> Vec<Name> {
        let mut models: Vec<Name> = Vec::new();
        for candidate in self.fallback.iter().map(|index| &candidates[*index]) {
            if candidate.fits.is_ok() && candidate.model != *chosen && !models.contains(&candidate.model) {
                models.push(candidate.model.clone());
            }
        }
        models
    }

    /// A model that no label chose stands at its own highest tier, if it has one.
    fn others(&self, rung: Option<usize>, chosen: Option<usize>) -> impl Iterator<Item = usize> {
        let rung = rung.or_else(|| self.ladder.iter().rposition(|index| Some(*index) == chosen));
        let below = &self.ladder[..rung.unwrap_or_default()];
        let above = &self.ladder[rung.map_or(0, |rung| rung + 1)..];
        let tiers = above.iter().copied().chain([self.otherwise]).chain(below.iter().rev().copied());
        tiers.chain(0..self.models.len())
    }
}

impl Limits {
    /// A model that the catalog does not have is without limits: [`Config::parse`] has reported it.
    fn new(config: &Config, name: &Name) -> Self {
        let model = config.models.get(name);
        Self {
            model: name.clone(),
            context: model.and_then(|model| model.context),
            supports: model.and_then(|model| model.supports.clone()),
            price: model.and_then(|model| model.price),
        }
    }

    fn judge(&self, features: &Features) -> Candidate {
        Candidate { model: self.model.clone(), fits: self.fits(features), price: self.price }
    }

    fn fits(&self, features: &Features) -> Result<(), Constraint> {
        if self.context.is_some_and(|context| !fits_window(features, context)) {
            return Err(Constraint::ContextExceeded);
        }
        let wants_schema = features.request.response_format == ResponseFormat::JsonSchema;
        let needs = [
            (features.attachments.images > 0, Capability::Images, Constraint::LacksImages),
            (features.attachments.audio > 0, Capability::Audio, Constraint::LacksAudio),
            (features.attachments.files > 0, Capability::Files, Constraint::LacksFiles),
            (features.tools > 0, Capability::Tools, Constraint::LacksTools),
            (wants_schema, Capability::JsonSchema, Constraint::LacksJsonSchema),
        ];
        let has = |capability| self.supports.as_ref().is_none_or(|supports| supports.contains(&capability));
        let lacking = needs.into_iter().find(|(needed, capability, _)| *needed && !has(*capability));
        lacking.map_or(Ok(()), |(.., constraint)| Err(constraint))
    }
}

/// Tells whether the prompt and the answer asked for fit `context` tokens. Counts only when the bytes alone do not tell.
fn fits_window(features: &Features, context: u64) -> bool {
    let with_answer = |tokens: u64| tokens.saturating_add(features.request.max_output_tokens);
    with_answer(features.tokens_at_most()) <= context || with_answer(features.tokens().tokens) <= context
}

impl Serialize for Candidate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut candidate = serializer.serialize_struct("Candidate", 4)?;
        candidate.serialize_field("model", &self.model)?;
        candidate.serialize_field("fits", &self.fits.is_ok())?;
        candidate.serialize_field("lacks", &self.fits.err().map(Constraint::as_str))?;
        candidate.serialize_field("price", &self.price)?;
        candidate.end()
    }
}
