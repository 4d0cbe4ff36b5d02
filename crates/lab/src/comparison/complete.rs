//! The prompts that everybody answered, and what came of each: figures are of these alone, so that all stand on the same
//! ground.

use std::collections::BTreeMap;
use std::fmt;

use super::choice::{JudgedChoice, NOBODY, RoutedChoice};
use super::contender::{Contender, SingleModels};
use super::figures::{Measurement, RoutedColumn};
use super::offline::{OfflineChoice, OfflineDecision, OfflinePolicy};
use super::outcome::AnswerOutcome;
use super::prompts::{ComparedPrompt, PromptTable};
use super::report::{ComparisonReport, ContenderFigures, ContenderKind, LeftOutPrompts};
use super::{Comparison, ComparisonError, DECIDED_ANEW, ModelOutcomes, RouterChoices, listed};
use crate::answers::{AnswerRow, GraderWeights};

/// Prompts with an outcome of every model and policy.
pub(super) struct CompletePrompts {
    prompts: Vec<ComparedPrompt>,
    models: Vec<ModelOutcomes>,
    policies: Vec<PolicyOutcomes>,
    weights: GraderWeights,
}

/// A policy's choices and what came of them, prompt by prompt.
struct PolicyOutcomes {
    name: String,
    kind: ContenderKind,
    choices: Vec<(RoutedChoice, AnswerOutcome)>,
}

/// The outcomes of one prompt.
struct PromptOutcomes {
    models: Vec<AnswerOutcome>,
    policies: Vec<(RoutedChoice, AnswerOutcome)>,
}

/// Names of those who must have answered a prompt, and how their grades count.
pub(super) struct ExpectedAnswers<'e> {
    pub(super) models: &'e [String],
    pub(super) policies: &'e [String],
    pub(super) weights: &'e GraderWeights,
}

impl CompletePrompts {
    /// Takes the prompts that all of `expected` answered; counts the others in `left_out`.
    pub(super) fn of(
        prompts: Vec<ComparedPrompt>,
        expected: &ExpectedAnswers<'_>,
        left_out: &mut LeftOutPrompts,
    ) -> Self {
        let models = expected.models.iter().map(|name| ModelOutcomes { name: name.clone(), outcomes: Vec::new() });
        let policies = expected.policies.iter().map(|name| PolicyOutcomes {
            name: name.clone(),
            kind: ContenderKind::Policy,
            choices: Vec::new(),
        });
        let mut complete = Self {
            prompts: Vec::new(),
            models: models.collect(),
            policies: policies.collect(),
            weights: expected.weights.clone(),
        };
        for prompt in prompts {
            let Some(outcomes) = expected.outcomes(&prompt, left_out) else { continue };
            complete.prompts.push(prompt);
            let columns = complete.models.iter_mut().zip(outcomes.models);
            columns.for_each(|(model, outcome)| model.outcomes.push(outcome));
            let columns = complete.policies.iter_mut().zip(outcomes.policies);
            columns.for_each(|(policy, choice)| policy.choices.push(choice));
        }
        complete
    }

    /// Returns whether no prompt is complete.
    pub(super) const fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// Lets a policy decide every prompt anew; those that it cannot decide are left out.
    pub(super) async fn decide(
        &mut self,
        offline: &mut OfflinePolicy,
        left_out: &mut LeftOutPrompts,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<(), ComparisonError> {
        offline.warm_up(&self.prompts).await?;
        let (mut choices, mut is_decided) = (Vec::new(), Vec::new());
        for (row, prompt) in self.prompts.iter().enumerate() {
            match offline.decide(prompt).await? {
                OfflineDecision::Chosen(chosen) => {
                    let outcome = self.chosen(row, &chosen).map_err(|model| self.no_stand_in(offline, &model))?;
                    choices.push((chosen.choice, outcome.after(chosen.took_us)));
                    is_decided.push(true);
                }
                OfflineDecision::Undecided(reason) => {
                    *left_out.undecided.entry(reason).or_default() += 1;
                    is_decided.push(false);
                }
            }
            progress(row + 1, self.prompts.len());
        }
        self.keep(&is_decided);
        let name = offline.policy.to_string();
        let is_known = self.policies.iter().any(|policy| policy.name == name);
        let name = if is_known { format!("{name} {DECIDED_ANEW}") } else { name };
        self.policies.push(PolicyOutcomes { name, kind: ContenderKind::PolicyOffline, choices });
        Ok(())
    }

    /// Measures everybody.
    pub(super) fn compare(self, table: &PromptTable, left_out: LeftOutPrompts, seed: u64) -> Comparison {
        let Self { prompts, models, policies, .. } = self;
        let single = |ModelOutcomes { name, outcomes }: ModelOutcomes| {
            let n = outcomes.len();
            Contender::routed(&name, ContenderKind::Model, outcomes, std::iter::repeat_n(&*name, n))
        };
        let singles = SingleModels::new(models.into_iter().map(single).collect());
        let routed: Vec<RoutedColumn> = policies.into_iter().map(|policy| policy.judged(&singles)).collect();
        let measured = Measurement::new(&singles, &prompts, seed).expect("there are two models or more");
        let [strong, weak] = singles.ends().expect("there are two models or more");
        let oracle = singles.oracle();
        let chance = 1.0 / singles.models.len().max(1) as f64;
        let random = singles.random("random", &vec![chance; singles.models.len()]);
        let others: Vec<&Contender> = singles.models.iter().chain([&random, &oracle]).collect();
        let mut models: Vec<ContenderFigures> = singles.models.iter().map(|model| measured.figures(model)).collect();
        models.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        let report = ComparisonReport {
            data: table.data.clone(),
            seed,
            n: prompts.len() as u64,
            answers: table.answers,
            left_out,
            strong: singles.models[strong].name.clone(),
            weak: singles.models[weak].name.clone(),
            models,
            routers: routed.iter().map(|own| measured.router(own, &routed, &others)).collect(),
            oracle: measured.figures(&oracle),
            random: measured.figures(&random),
        };
        let routers =
            routed.into_iter().map(|RoutedColumn { name, kind, choices }| RouterChoices { name, kind, choices });
        let model = |Contender { name, outcomes, .. }: Contender| ModelOutcomes { name, outcomes };
        Comparison {
            report,
            routers: routers.collect(),
            models: singles.models.into_iter().map(model).collect(),
            prompts,
        }
    }

    fn outcome(&self, row: usize, model: &str) -> Option<AnswerOutcome> {
        self.models.iter().find(|known| known.name == model).map(|known| known.outcomes[row])
    }

    /// Returns what comes of a choice: where answers are checked, the mean over those of the cheap model, each with what its
    /// checks and the answer in its place cost.
    ///
    /// # Errors
    /// The model that has no answers.
    fn chosen(&self, row: usize, chosen: &OfflineChoice) -> Result<AnswerOutcome, String> {
        let of = |model: &String| self.outcome(row, model).ok_or_else(|| model.clone());
        let Some(checked) = &chosen.checked else { return of(&chosen.choice.model) };
        let (cheap, strong) = (of(&checked.cheap)?, of(&checked.strong)?);
        let rows = self.prompts[row].answers.get(&checked.cheap).map(Vec::as_slice).unwrap_or_default();
        let each = AnswerOutcome::each(rows, &self.weights).unwrap_or_default(); // they are graded, or the prompt is left out
        let outcomes: Vec<AnswerOutcome> = checked
            .verdicts
            .iter()
            .zip(each)
            .map(|(verdict, own)| {
                let answered = if verdict.failed.is_some() { strong.behind(own) } else { own };
                answered.beside(cheap, verdict.samples).judged(verdict.judge_cost)
            })
            .collect();
        AnswerOutcome::mean(&outcomes).ok_or_else(|| checked.cheap.clone())
    }

    fn no_stand_in(&self, offline: &OfflinePolicy, model: &str) -> ComparisonError {
        ComparisonError::NoStandIn {
            policy: offline.policy.to_string(),
            model: model.to_owned(),
            allowed: listed(self.models.iter().map(|model| &model.name)),
        }
    }

    /// Keeps the prompts that `is_kept` says.
    fn keep(&mut self, is_kept: &[bool]) {
        retain(&mut self.prompts, is_kept);
        self.models.iter_mut().for_each(|model| retain(&mut model.outcomes, is_kept));
        self.policies.iter_mut().for_each(|policy| retain(&mut policy.choices, is_kept));
    }
}

impl PolicyOutcomes {
    fn judged(self, singles: &SingleModels) -> RoutedColumn {
        let judged = |(row, (choice, outcome))| JudgedChoice::of(choice, outcome, singles, row);
        let choices = self.choices.into_iter().enumerate().map(judged).collect();
        RoutedColumn { name: self.name, kind: self.kind, choices }
    }
}

impl ExpectedAnswers<'_> {
    /// Returns the outcomes of a prompt; `None` where one is missing.
    fn outcomes(&self, prompt: &ComparedPrompt, left_out: &mut LeftOutPrompts) -> Option<PromptOutcomes> {
        let models = self.models.iter().map(|name| self.outcome(name, &prompt.answers, left_out));
        let models: Vec<Option<AnswerOutcome>> = models.collect();
        let policies = self.policies.iter().map(|name| {
            let outcome = self.outcome(name, &prompt.routed, left_out)?;
            Some((choice(prompt.routed.get(name)?.first()?), outcome))
        });
        let policies: Vec<Option<(RoutedChoice, AnswerOutcome)>> = policies.collect();
        Some(PromptOutcomes {
            models: models.into_iter().collect::<Option<_>>()?,
            policies: policies.into_iter().collect::<Option<_>>()?,
        })
    }

    fn outcome(
        &self,
        name: &str,
        answers: &BTreeMap<String, Vec<AnswerRow>>,
        left_out: &mut LeftOutPrompts,
    ) -> Option<AnswerOutcome> {
        let Some(rows) = answers.get(name) else {
            *left_out.unanswered.entry(name.to_owned()).or_default() += 1;
            return None;
        };
        let outcome = AnswerOutcome::of(rows, self.weights);
        if outcome.is_none() {
            *left_out.ungraded.entry(name.to_owned()).or_default() += 1;
        }
        outcome
    }
}

impl LeftOutPrompts {
    /// Returns every reason with its prompts.
    pub fn reasons(&self) -> impl Iterator<Item = (String, u64)> {
        let unanswered = self.unanswered.iter().map(|(name, n)| (format!("no answer of {name}"), *n));
        let ungraded = self.ungraded.iter().map(|(name, n)| (format!("no grade of an answer of {name}"), *n));
        let undecided = self.undecided.iter().map(|(reason, n)| (reason.clone(), *n));
        let contaminated = (self.contaminated > 0).then(|| ("contaminated".to_owned(), self.contaminated));
        contaminated.into_iter().chain(unanswered).chain(ungraded).chain(undecided)
    }
}

impl fmt::Display for LeftOutPrompts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.reasons().map(|(reason, n)| format!("{reason}: {n}")).collect();
        f.write_str(&reasons.join(", "))
    }
}

/// Returns the choice that a policy's answer tells of.
fn choice(row: &AnswerRow) -> RoutedChoice {
    RoutedChoice {
        model: row.model.clone().unwrap_or_else(|| NOBODY.to_owned()),
        label: row.label.clone(),
        score: row.score,
        reason: row.reason.clone(),
    }
}

fn retain<T>(items: &mut Vec<T>, is_kept: &[bool]) {
    let mut kept = is_kept.iter();
    items.retain(|_| kept.next().copied().unwrap_or_default());
}
