//! The hard constraints: what a request needs and a model must have. Applied after every choice, a rule's too.

mod budget;
mod dialect;
mod model_limits;

pub use self::dialect::DialectFit;
use self::model_limits::ModelLimits;
use super::decision::{Candidate, Constraint, ModelChoice, Reason};
use super::estimate::ModelRate;
use super::facts::{DecisionDetail, PolicyWorld};
use super::quota::PolicyQuota;
use crate::config::{self, Config, KeyPath, LossRule, MaxTokensUse, Name, PolicyBudgetRule, StateRule};
use crate::features::Features;

/// The tokens of an answer that make sense: where a window leaves as many, more that was asked for is given up.
const SENSIBLE_ANSWER: u64 = 1024;

/// The models of a policy and the order in which they stand in for each other.
#[derive(Debug)]
pub(super) struct PolicyModels {
    /// Each model once: the ladder's from the lowest tier, then `otherwise`, the rules', the fallback's; last the
    /// catalog's others, which only clients choose, or which made what a request names.
    models: Vec<ModelLimits>,
    /// The number of them, from the first, that the policy chooses itself; the rest stand in for nothing.
    own: usize,
    /// Indices into `models`, lowest tier first.
    ladder: Vec<usize>,
    otherwise: usize,
    /// Indices into `models`, in the order in which they are tried when a provider fails.
    fallback: Vec<usize>,
    answers: AnswerRoom,
    state: StateRule,
    on_loss: LossRule,
    quotas: Vec<PolicyQuota>,
    budget: PolicyBudgetRule,
}

/// The room that answers need.
#[derive(Debug, Clone, Copy)]
struct AnswerRoom {
    /// Tokens that must be left of a context window.
    margin: u64,
    max_tokens: MaxTokensUse,
}

/// The choice after the constraints, and every candidate.
pub(super) struct ConstrainedChoice {
    pub(super) model: Name,
    pub(super) reason: Reason,
    pub(super) candidates: Vec<Candidate>,
}

/// The world that a choice is constrained in, and whether people are to see every candidate checked.
#[derive(Clone, Copy)]
pub(super) struct ConstrainingWorld<'w> {
    pub(super) live: &'w dyn PolicyWorld,
    pub(super) detail: DecisionDetail,
}

/// The models that may be chosen for a request.
struct Candidates {
    all: Vec<Candidate>,
    /// The place of the model that made what the request names, where it is no other's.
    maker: Option<usize>,
}

impl PolicyModels {
    pub(super) fn new<'n>(
        config: &Config,
        policy: &config::PolicyConfig,
        rules: impl Iterator<Item = &'n Name>,
    ) -> Self {
        let mut models: Vec<ModelLimits> = Vec::new();
        let mut index_of = |name: &Name| {
            models.iter().position(|known| known.model == *name).unwrap_or_else(|| {
                models.push(ModelLimits::new(config, policy, name));
                models.len() - 1
            })
        };
        let ladder = policy.strategy.ladder().iter().map(&mut index_of).collect();
        // A strategy without any model has been reported; its stand-in serves nobody.
        let otherwise = index_of(&policy.strategy.stand_in().unwrap_or_else(|| policy.name.clone()));
        let mut within = |name: &Name| {
            index_of(name);
        };
        policy
            .strategy
            .visit(&KeyPath::root(), &mut |_, strategy| strategy.otherwise().into_iter().for_each(&mut within));
        rules.for_each(&mut within);
        for quota in &policy.quotas {
            index_of(&quota.otherwise);
        }
        for model in &policy.budget.otherwise {
            index_of(model);
        }
        let fallback = policy.fallback.iter().map(&mut index_of).collect();
        let own = models.len();
        for name in config.models.keys() {
            if models.iter().all(|known| known.model != *name) {
                models.push(ModelLimits::new(config, policy, name));
            }
        }
        let answers = AnswerRoom { margin: policy.context_margin, max_tokens: policy.max_tokens };
        let quotas = policy.quotas.iter().map(PolicyQuota::new).collect();
        let (state, on_loss) = (policy.state, policy.translation.on_loss);
        let budget = policy.budget.clone();
        Self { models, own, ladder, otherwise, fallback, answers, state, on_loss, quotas, budget }
    }

    /// Returns the model that stands in where a strategy abstains.
    pub(super) fn otherwise(&self) -> &Name {
        &self.models[self.otherwise].model
    }

    /// Returns the cheapest model of the strategy, by the prices for input and output together where all are known;
    /// else its lowest tier.
    pub(super) fn cheapest(&self) -> &Name {
        let price = |index: &usize| self.models[*index].price.map(|price| price.input + price.output);
        let is_priced = self.ladder.iter().all(|index| price(index).is_some());
        let cost = |index: &usize| price(index).filter(|_| is_priced).unwrap_or_default();
        // Of equals the first: the lowest tier.
        let cheapest = self.ladder.iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        &self.models[cheapest.copied().unwrap_or(self.otherwise)].model
    }

    /// Returns the highest model of the strategy's order.
    pub(super) fn highest(&self) -> &Name {
        &self.models[self.ladder.last().copied().unwrap_or(self.otherwise)].model
    }

    /// Returns the quotas of its strong models.
    pub(super) fn quotas(&self) -> &[PolicyQuota] {
        &self.quotas
    }

    /// Returns the first of the quotas at the positions `used_up` that stands against `model`.
    pub(super) fn quota_against(&self, used_up: &[usize], model: &Name) -> Option<&PolicyQuota> {
        used_up.iter().filter_map(|index| self.quotas.get(*index)).find(|quota| quota.is_for(model))
    }

    /// Returns what becomes of a conversation that another provider sealed.
    pub(super) const fn state(&self) -> StateRule {
        self.state
    }

    /// Returns what becomes of a request that another API cannot say all of.
    pub(super) const fn on_loss(&self) -> LossRule {
        self.on_loss
    }

    /// Returns the models that the policy chooses itself.
    pub(super) fn own(&self) -> impl Iterator<Item = &Name> {
        self.models[..self.own].iter().map(|limits| &limits.model)
    }

    /// Returns whether `model` is one that the policy can choose, or a client where it may.
    pub(super) fn has(&self, model: &str) -> bool {
        self.models.iter().any(|limits| *limits.model == *model)
    }

    /// Returns what `model` costs, and what it counts by.
    pub(super) fn rate(&self, model: &Name) -> Option<ModelRate> {
        let limits = self.models.iter().find(|limits| limits.model == *model)?;
        Some(ModelRate { price: limits.price?, tokenizer: limits.tokenizer })
    }

    /// Returns whether a choice stands higher than `model` in the policy's order. What is not in it stands lowest.
    pub(super) fn is_above(&self, choice: &ModelChoice, model: &Name) -> bool {
        let height = |model: &Name| self.ladder.iter().rposition(|index| self.models[*index].model == *model);
        choice.rung.or_else(|| height(&choice.model)) > height(model)
    }

    /// Keeps the chosen model or moves to the nearest that can serve the request: the next tiers upward, `otherwise`,
    /// the tiers below from the nearest down, then any other. What was drawn by shares is drawn again among those that
    /// can. Where the only hindrances may pass in a moment, it stays. A model whose API loses a part of the request comes
    /// after all that lose nothing that matters.
    ///
    /// # Errors
    /// The candidates, when none can serve the request.
    pub(super) fn constrain(
        &self,
        choice: &mut ModelChoice,
        features: &Features,
        world: ConstrainingWorld<'_>,
    ) -> Result<ConstrainedChoice, Vec<Candidate>> {
        let live = world.live;
        let Candidates { mut all, maker } = self.candidates(choice, features, live);
        let candidates = &mut all;
        take_expected(candidates, choice);
        let chosen = candidates.iter().position(|candidate| candidate.model == choice.model);
        if choice.tight_budget.is_some() {
            self.pass_over_dear(candidates);
        }
        self.check_dialects(candidates, chosen, world);
        let lacks = chosen.and_then(|index| candidates[index].fits.err());
        let Some(constraint) = lacks else {
            return Ok(ConstrainedChoice { model: choice.model.clone(), reason: choice.reason, candidates: all });
        };
        let find = |fits: &dyn Fn(&Candidate) -> bool| {
            let position = |model: &Name| candidates.iter().position(|one| one.model == *model);
            let is_fit = |model: &Name| position(model).is_some_and(|index| fits(&candidates[index]));
            let is_in_order = |index: &usize| fits(&candidates[*index]);
            match constraint {
                Constraint::Quota => return self.weaker(choice, chosen).chain(maker).find(is_in_order),
                Constraint::Budget => return self.cheaper().chain(maker).find(is_in_order),
                _ => {}
            }
            // What chance chose, chance chooses again; only then the order counts.
            let drawn = choice.draw.as_ref().and_then(|draw| draw.among(is_fit)).and_then(position);
            drawn.or_else(|| self.others(choice.rung, chosen).chain(maker).find(is_in_order))
        };
        let serves = |candidate: &Candidate| candidate.fits.is_ok();
        let is_busy = |candidate: &Candidate| candidate.fits.is_err_and(Constraint::is_busy);
        let is_lossy = |candidate: &Candidate| self.is_last_resort(candidate, live);
        let may_serve = |candidate: &Candidate| {
            candidate.fits.is_err_and(Constraint::is_passing) && self.may_be_told(candidate, live)
        };
        let moved = |index: usize| (candidates[index].model.clone(), Reason::Moved(constraint));
        let (model, reason) = match find(&serves) {
            Some(index) => moved(index),
            None if constraint.is_busy() => (choice.model.clone(), choice.reason),
            None if matches!(constraint, Constraint::Quota | Constraint::Budget) => {
                find(&is_busy).map_or_else(|| (choice.model.clone(), choice.reason), moved)
            }
            None => {
                let lossy = || chosen.filter(|index| is_lossy(&candidates[*index])).or_else(|| find(&is_lossy));
                let other = find(&is_busy).or_else(lossy).or_else(|| find(&may_serve));
                match other.or_else(|| self.roomiest(candidates, features, live)) {
                    Some(index) if Some(index) == chosen => (choice.model.clone(), choice.reason),
                    Some(index) => moved(index),
                    // What the request says that none can say, its translation names.
                    None if constraint == Constraint::Dialect => (choice.model.clone(), choice.reason),
                    None => return Err(all),
                }
            }
        };
        Ok(ConstrainedChoice { model, reason, candidates: all })
    }

    /// Checks every model that may be chosen: the policy's, the one that was chosen, and, where none of these is with
    /// the provider that keeps what the request names, the model that made it.
    fn candidates(&self, choice: &ModelChoice, features: &Features, live: &dyn PolicyWorld) -> Candidates {
        let candidate = |limits: &ModelLimits| {
            let candidate = limits.candidate(features, live, self);
            let is_open = candidate.fits.map_or_else(Constraint::is_busy, |()| true);
            let is_used_up = is_open && self.quota_against(&choice.used_up, &candidate.model).is_some();
            if is_used_up { Candidate { fits: Err(Constraint::Quota), ..candidate } } else { candidate }
        };
        let (own, others) = self.models.split_at(self.own);
        let mut all: Vec<Candidate> = own.iter().map(candidate).collect();
        all.extend(others.iter().find(|limits| limits.model == choice.model).map(candidate));
        let is_kept = all.iter().any(|candidate| live.keeps_state(&candidate.model, self.state));
        let made_by = if is_kept { None } else { live.state_model(self.state) };
        let maker = made_by.and_then(|model| others.iter().find(|limits| limits.model == model)).map(candidate);
        let place = maker.is_some().then_some(all.len());
        all.extend(maker);
        Candidates { all, maker: place }
    }

    /// Returns the model with the largest window of those that only a bound keeps the prompt out of: that it may be too
    /// long is no reason to refuse it.
    fn roomiest(&self, candidates: &[Candidate], features: &Features, live: &dyn PolicyWorld) -> Option<usize> {
        let likely = |limits: &ModelLimits| {
            let likely_left = |context: u64| context.checked_sub(features.tokens().tokens);
            limits.fits(features, self.answers, likely_left).is_ok() && limits.may_serve(live, self.state).is_ok()
        };
        let is_long = |index: &usize| candidates[*index].fits == Err(Constraint::ContextExceeded);
        let models = (0..self.own).filter(is_long).filter(|index| likely(&self.models[*index]));
        models.max_by_key(|index| (self.models[*index].context, std::cmp::Reverse(*index)))
    }

    /// Returns the models to try when `chosen` fails: those of the `fallback` that can serve the request, each once; then
    /// those that a budget passes over, and last those whose API loses a part of it.
    pub(super) fn fallback(&self, chosen: &Name, candidates: &[Candidate], live: &dyn PolicyWorld) -> Vec<Name> {
        let mut models: Vec<Name> = Vec::new();
        let listed = || self.fallback.iter().map(|index| &candidates[*index]);
        let fit = listed().filter(|candidate| candidate.fits.is_ok());
        let dear = listed().filter(|candidate| candidate.fits == Err(Constraint::Budget));
        let lossy = listed().filter(|candidate| self.is_last_resort(candidate, live));
        for candidate in fit.chain(dear).chain(lossy) {
            if candidate.model != *chosen && !models.contains(&candidate.model) {
                models.push(candidate.model.clone());
            }
        }
        models
    }

    /// Returns the models to try in place of one whose quota is used up: the quota's `otherwise`, the tiers below from the
    /// nearest down, then any other.
    fn weaker(&self, choice: &ModelChoice, chosen: Option<usize>) -> impl Iterator<Item = usize> {
        let instead = self.quota_against(&choice.used_up, &choice.model).map(PolicyQuota::otherwise);
        let instead = instead.and_then(|model| self.models.iter().position(|limits| limits.model == *model));
        let rung = choice.rung.or_else(|| self.ladder.iter().rposition(|index| Some(*index) == chosen));
        let below = &self.ladder[..rung.unwrap_or_default()];
        let tiers = below.iter().rev().copied().chain([self.otherwise]);
        instead.into_iter().chain(tiers).chain(0..self.own)
    }

    /// A model that no label chose stands at its own highest tier, if it has one.
    fn others(&self, rung: Option<usize>, chosen: Option<usize>) -> impl Iterator<Item = usize> {
        let rung = rung.or_else(|| self.ladder.iter().rposition(|index| Some(*index) == chosen));
        let below = &self.ladder[..rung.unwrap_or_default()];
        let above = &self.ladder[rung.map_or(0, |rung| rung + 1)..];
        let tiers = above.iter().copied().chain([self.otherwise]).chain(below.iter().rev().copied());
        tiers.chain(0..self.own)
    }
}

/// Gives the candidates what the strategy expects of them.
fn take_expected(candidates: &mut [Candidate], choice: &mut ModelChoice) {
    for (model, expected) in choice.expected.drain(..) {
        if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.model == model) {
            candidate.expected = Some(expected);
        }
    }
}
