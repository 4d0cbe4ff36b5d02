//! The constraint `dialect`: a model whose provider does not speak the client's API gets the request in other words, and
//! some of it may have none there.
//!
//! What would be lost is asked of the world, which answers for each API once, and only where the answer may change the
//! choice: never for a model whose provider speaks the client's own API, and never where every model would get the
//! same words.

use pointsman_translation::{DialectFamily, LossKind, LossReport};

use super::{ConstrainingWorld, PolicyModels};
use crate::config::{LossRule, Name, SpokenDialects};
use crate::policy::decision::{Candidate, Constraint};
use crate::policy::facts::{DecisionDetail, PolicyWorld, ProviderHealth};
use crate::prompt::Dialect;

/// The part of a request that another API can say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DialectFit {
    /// All of it, if in other words.
    #[default]
    Whole,
    /// All that an answer depends on.
    Lossy,
    /// Not all that an answer may depend on.
    Grave,
    /// Too little: it says something that must not be left out.
    Refused,
}

/// The way in which an API stands against a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DialectHindrance {
    /// The model is better than none.
    LastResort,
    /// The request would be refused.
    Never,
}

/// The API of a request, and what is to become of what others cannot say.
struct DialectCheck<'c> {
    dialect: Dialect,
    client: DialectFamily,
    on_loss: LossRule,
    live: &'c dyn PolicyWorld,
}

impl DialectFit {
    /// Returns what a translation's losses come to.
    #[must_use]
    pub fn of(losses: &LossReport) -> Self {
        if losses.refusal().is_some() {
            Self::Refused
        } else if losses.grave().is_some() {
            Self::Grave
        } else if losses.losses().iter().any(|loss| loss.kind == LossKind::Dropped) {
            Self::Lossy
        } else {
            Self::Whole
        }
    }
}

impl<'c> DialectCheck<'c> {
    /// Makes the check of a request whose API can be translated. What only counts tokens never is: Pointsman counts.
    fn of(live: &'c dyn PolicyWorld, on_loss: LossRule) -> Option<Self> {
        let dialect = live.prompt()?.dialect;
        let client = dialect.family().filter(|_| !dialect.only_counts())?;
        Some(Self { dialect, client, on_loss, live })
    }

    /// Returns the API that a provider gets the request in: `Err` where it would have to be translated.
    fn spoken_by(&self, spoken: SpokenDialects) -> Result<(), Option<DialectFamily>> {
        if spoken.has(self.client) { Ok(()) } else { Err(spoken.nearest_to(self.client)) }
    }

    fn hindrance(&self, spoken: SpokenDialects, model: &Name) -> Option<DialectHindrance> {
        let upstream = self.spoken_by(spoken).err()?;
        let fit = match upstream.filter(|_| self.dialect.generates()) {
            Some(upstream) => self.live.dialect_fit(upstream, model),
            None => DialectFit::Refused,
        };
        match (fit, self.on_loss) {
            (DialectFit::Whole, _) | (DialectFit::Lossy, LossRule::Warn) => None,
            (DialectFit::Grave, LossRule::Warn) => Some(DialectHindrance::LastResort),
            (DialectFit::Refused, _) | (DialectFit::Lossy | DialectFit::Grave, LossRule::Refuse) => {
                Some(DialectHindrance::Never)
            }
        }
    }
}

impl PolicyModels {
    /// Checks what the request would lose with the chosen model, and with the others where another may serve in its
    /// place; with all of them where people look.
    pub(super) fn check_dialects(
        &self,
        candidates: &mut [Candidate],
        chosen: Option<usize>,
        world: ConstrainingWorld<'_>,
    ) {
        let Some(check) = DialectCheck::of(world.live, self.on_loss) else { return };
        let is_explained = world.detail == DecisionDetail::Explanation;
        let is_own =
            |index: usize| candidates[index].fits.is_ok() && check.spoken_by(self.spoken(&candidates[index])).is_ok();
        if !is_explained && (chosen.is_some_and(is_own) || self.is_of_one_api(candidates, &check)) {
            return;
        }
        let apply = |candidate: &mut Candidate| {
            if is_open(candidate) && check.hindrance(self.spoken(candidate), &candidate.model).is_some() {
                candidate.fits = Err(Constraint::Dialect);
            }
        };
        let chosen = chosen.map(|index| &mut candidates[index]);
        let serves = chosen.is_some_and(|chosen| {
            apply(chosen);
            chosen.fits.is_ok()
        });
        if is_explained || !serves {
            candidates.iter_mut().for_each(apply);
        }
    }

    /// Tells whether all models that can serve the request get it in the same words: then no other loses less.
    fn is_of_one_api(&self, candidates: &[Candidate], check: &DialectCheck<'_>) -> bool {
        let mut apis = candidates.iter().filter(|one| is_open(one)).map(|one| check.spoken_by(self.spoken(one)));
        let first = apis.next();
        apis.all(|api| Some(api) == first)
    }

    /// Tells whether a model's API loses a part of the request that matters, or what another provider sealed in its
    /// history, and still may be asked where none else can.
    pub(super) fn is_last_resort(&self, candidate: &Candidate, live: &dyn PolicyWorld) -> bool {
        let loses = match candidate.fits {
            Err(Constraint::Dialect) => true,
            Err(Constraint::State) => {
                let model = &candidate.model;
                live.leaves_history_out(model) && live.allows(model) && live.health(model) == ProviderHealth::Up
            }
            Err(_) | Ok(()) => false,
        };
        loses && self.may_be_told(candidate, live)
    }

    /// Tells whether the request may be sent to a model at all, in the words of its API.
    pub(super) fn may_be_told(&self, candidate: &Candidate, live: &dyn PolicyWorld) -> bool {
        let check = DialectCheck::of(live, self.on_loss);
        check.and_then(|check| check.hindrance(self.spoken(candidate), &candidate.model))
            != Some(DialectHindrance::Never)
    }

    fn spoken(&self, candidate: &Candidate) -> SpokenDialects {
        let limits = self.models.iter().find(|limits| limits.model == candidate.model);
        limits.map_or(SpokenDialects::EVERY, |limits| limits.dialects)
    }
}

/// Tells whether nothing stands against a model that does not pass.
fn is_open(candidate: &Candidate) -> bool {
    candidate.fits.map_or_else(Constraint::is_busy, |()| true)
}
