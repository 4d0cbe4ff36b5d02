//! Drives one decision: features, policy steps, and the signals that the steps ask for.
//!
//! The one entry for the proxy, the admin plane, the command line and embedders. It holds the snapshot that serves;
//! a caller pins it once with [`Router::snapshot`] and decides against that.

mod affinity;
mod affinity_key;
mod asking;
mod bandits;
mod control_loops;
mod counting;
mod details;
mod explain;
mod feed;
mod header;
mod incoming;
mod live;
mod named;
mod quality;
mod quotas;
mod routing;
mod sharing;
mod signals;
mod simple;
mod state;
mod switch;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::HeaderMap;
use pointsman_core::config::{Name, PolicyMode};
use pointsman_core::features::Features;
use pointsman_core::policy::{
    DecisionDetail, Denial, KnownSignals, PinOutcome, Policy, PolicyOutcome, PolicyParticipation, Reason, RequestFacts,
};
use pointsman_core::prompt::state::StateKind;
use pointsman_core::scores::ClassifierFailure;
use pointsman_telemetry::{AnsweredBy, Metrics};
use tokio::sync::Notify;

pub(crate) use self::bandits::BanditState;
use self::bandits::Bandits;
use self::control_loops::ControlLoops;
pub use self::control_loops::ControlState;
pub(crate) use self::feed::DecisionFeed;
pub use self::header::header_text;
pub use self::incoming::{IncomingRequest, JudgeMode, QuotaMode};
use self::live::RequestWorld;
use self::quality::AnswerQuality;
pub(crate) use self::quality::{AnswerRater, AnswerRating, AnsweredRequest};
pub use self::quotas::QuotaClaim;
use self::quotas::QuotaLedgers;
pub(crate) use self::quotas::SubstituteRule;
use self::routing::DecisionEvidence;
pub use self::routing::{DecisionTimings, PolicyRefusal, Routing, Verdict};
use self::signals::{ServedRequest, ServedSignals};
pub use self::simple::NoDecision;
pub(crate) use self::state::UnbilledResponse;
pub use self::state::{RequestState, StateKeeper, StateOutcome};
use self::state::{StateMemory, UnbilledResponses};
pub use self::switch::{KillSwitch, KilledPolicies};
pub(crate) use self::verdict::PolicyFinding;
use crate::budgets::Budgets;
use crate::router::affinity::PinMemory;
use crate::snapshot::Snapshot;

/// The affinity outcome of a request that has nothing to be pinned by, where the policy has affinity.
const NO_KEY: &str = "no_key";

/// Decides for requests, against the snapshot that serves.
pub struct Router {
    current: ArcSwap<Snapshot>,
    switch: KillSwitch,
    pins: PinMemory,
    states: StateMemory,
    unbilled: UnbilledResponses,
    targets: ControlLoops,
    bandits: Bandits,
    quotas: QuotaLedgers,
    budgets: Budgets,
    quality: AnswerQuality,
    feed: DecisionFeed,
    metrics: Arc<Metrics>,
    /// Told of each snapshot that begins to serve: its loops ask at once where those of other replicas are.
    swapped: Notify,
}

/// The outcome of a word on an answer.
struct TakenRating {
    /// True when somebody remembers the answer.
    is_known: bool,
    by: Option<AnsweredBy>,
}

impl Router {
    /// Makes a router that serves `first`.
    #[must_use]
    pub fn new(first: Snapshot, metrics: Arc<Metrics>) -> Self {
        let router = Self {
            current: ArcSwap::from_pointee(first),
            switch: KillSwitch::default(),
            pins: PinMemory::default(),
            states: StateMemory::default(),
            unbilled: UnbilledResponses::default(),
            targets: ControlLoops::default(),
            bandits: Bandits::default(),
            quotas: QuotaLedgers::default(),
            budgets: Budgets::new(Arc::clone(&metrics)),
            quality: AnswerQuality::default(),
            feed: DecisionFeed::default(),
            metrics,
            swapped: Notify::new(),
        };
        router.adopt(&router.snapshot());
        router
    }

    /// Returns the snapshot that serves now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Makes `next` serve. Requests in flight keep the snapshot that they pinned.
    pub fn swap(&self, next: Snapshot) {
        self.adopt(&next);
        self.current.store(Arc::new(next));
        self.swapped.notify_one();
    }

    /// Keeps the pins and the loops of the policies that stay, and makes room for those of new ones.
    fn adopt(&self, snapshot: &Snapshot) {
        self.pins.adopt(snapshot);
        self.states.adopt(snapshot);
        for kind in StateKind::ALL {
            self.metrics.expect_state(kind.as_str(), StateOutcome::ALL.into_iter().map(StateOutcome::as_str));
        }
        self.targets.adopt(snapshot, &self.metrics);
        self.bandits.adopt(snapshot, &self.metrics);
        self.quotas.adopt(snapshot, &self.metrics);
        snapshot.response_caches.adopt();
        self.budgets.adopt(&snapshot.config.budgets, &snapshot.clients);
        for policy in snapshot.policies.iter().filter(|policy| policy.affinity().is_some()) {
            let outcomes = PinOutcome::ALL.into_iter().map(PinOutcome::as_str).chain([NO_KEY]);
            self.metrics.expect_affinity(policy.name(), outcomes);
        }
    }

    /// Returns the switch that takes policies out of service; it outlives reloads.
    #[must_use]
    pub const fn switch(&self) -> &KillSwitch {
        &self.switch
    }

    /// Returns the decisions that somebody looks at; they outlive reloads.
    pub(crate) const fn feed(&self) -> &DecisionFeed {
        &self.feed
    }

    /// Decides what happens to a request. Never fails: a classifier that cannot answer is a reason, not an error.
    ///
    /// Cancel-safe: dropping the future takes the prompt out of the classifier's queue.
    pub async fn route(&self, snapshot: &Snapshot, incoming: &IncomingRequest<'_>) -> Verdict {
        self.verdict(snapshot, incoming, None).await
    }

    /// Returns the verdict on a request whose decision has taken too long: that of [`Self::route`], but for what a policy
    /// would decide, in place of which its `otherwise` stands.
    pub(crate) async fn late_verdict(&self, snapshot: &Snapshot, incoming: &IncomingRequest<'_>) -> Verdict {
        self.verdict(snapshot, incoming, Some(Reason::Degraded(ClassifierFailure::Deadline))).await
    }

    /// Returns the verdict on a request; `instead` is the reason why a policy does not decide, if it is not to.
    async fn verdict(&self, snapshot: &Snapshot, incoming: &IncomingRequest<'_>, instead: Option<Reason>) -> Verdict {
        let IncomingRequest { path, client, prompt, at, detail, .. } = *incoming;
        let world = RequestWorld::new(self, snapshot, incoming);
        let now = at.unwrap_or_else(seconds);
        let name = client.map(|client| client.name().as_str());
        let facts = RequestFacts { model: &prompt.model, path, client: name, now, live: &world, detail };
        let policy = match snapshot.policies.select(&facts) {
            Ok(policy) => policy,
            Err(denial) => return Verdict::Deny(Box::new(PolicyRefusal::at_once(*denial, incoming))),
        };
        // A client may use a policy, or may pass through: what only watches lets it pass.
        let serves = policy.filter(|policy| policy.mode() == PolicyMode::Route).map(Policy::name);
        if client.is_some_and(|client| !client.may_use(serves)) {
            return Verdict::Deny(Box::new(PolicyRefusal::at_once(Denial::not_for_client(serves), incoming)));
        }
        let Some(policy) = policy else { return Self::unmatched(snapshot, incoming) };
        let mut verdict = match policy.participation(&facts) {
            PolicyParticipation::None => {
                return Self::within_list(Verdict::passed(Some(policy.name())), snapshot, incoming);
            }
            PolicyParticipation::StandIn(reason) => Self::stand_in(policy, reason, &facts, &world),
            PolicyParticipation::Decide => match instead {
                Some(reason) => Self::stand_in(policy, reason, &facts, &world),
                None => self.decide_by(policy, &facts, &world).await,
            },
        };
        let conversation = match &mut verdict {
            Ok(routing) => &mut routing.conversation,
            Err(refusal) => &mut refusal.conversation,
        };
        *conversation = world.logged_conversation();
        let verdict = match (verdict, policy.mode()) {
            (Ok(routing), PolicyMode::Shadow) => {
                Verdict::Pass { policy: Some(policy.name().clone()), shadow: Some(Box::new(routing)), denied: None }
            }
            (Err(denial), PolicyMode::Shadow) => {
                Verdict::Pass { policy: Some(policy.name().clone()), shadow: None, denied: Some(denial) }
            }
            (Ok(mut routing), _) => {
                routing.translation = world.into_translation(&routing.decision.model);
                Verdict::Route(Box::new(routing))
            }
            (Err(denial), _) => Verdict::Deny(denial),
        };
        Self::within_list(verdict, snapshot, incoming)
    }

    fn stand_in(
        policy: &Policy,
        reason: Reason,
        facts: &RequestFacts<'_>,
        world: &RequestWorld<'_, '_>,
    ) -> Result<Routing, Box<PolicyRefusal>> {
        let features = Features::deferred(world.incoming.prompt, world.incoming.body);
        let outcome = policy.stand_in(reason, facts, &features);
        // No quota holds for what nobody chose, so none can be lost to another request.
        let claim = claimed(policy, &outcome, &features, world).unwrap_or_default();
        let mut routing = DecisionEvidence { features, ..DecisionEvidence::default() }.conclude(outcome)?;
        routing.claim = claim.map(Arc::new);
        Ok(routing)
    }

    /// Has a policy decide, with the signals of a request that is served.
    async fn decide_by(
        &self,
        policy: &Policy,
        facts: &RequestFacts<'_>,
        world: &RequestWorld<'_, '_>,
    ) -> Result<Routing, Box<PolicyRefusal>> {
        let RequestWorld { snapshot, incoming, .. } = *world;
        let features = Features::deferred(incoming.prompt, incoming.body);
        let mut signals = KnownSignals::default();
        let served = ServedRequest { snapshot, policy, facts, incoming, features: &features };
        let mut source = ServedSignals::new(served, &self.pins);
        let (outcome, claim) = loop {
            let Ok(outcome) = policy.decide(facts, &features, &mut signals, &mut source).await;
            // All signals are known the second time, and each loss is of another quota.
            if let Ok(claim) = claimed(policy, &outcome, &features, world) {
                break (outcome, claim);
            }
        };
        let ServedSignals { pin, timings, label_from, .. } = source.decided();
        let is_explained = facts.detail == DecisionDetail::Explanation;
        let rules = is_explained.then(|| policy.rule_values(facts, &features, &signals));
        let mut routing = DecisionEvidence { features, signals, timings, pin, rules, label_from }.conclude(outcome)?;
        routing.shadow = asking::ticket(snapshot, &routing, incoming.prompt);
        routing.claim = claim.map(Arc::new);
        Ok(routing)
    }

    /// Returns what the requests of the conversation have in common that a request belongs to; the same in every replica.
    #[must_use]
    pub fn conversation(incoming: &IncomingRequest<'_>) -> u64 {
        live::conversation(incoming)
    }

    /// Returns what the requests of the session have in common that a header names; `None` where none does.
    pub(crate) fn named_session(header: &HeaderMap) -> Option<u64> {
        live::named_session(&|name| header_text(header, name))
    }

    /// Remembers that another model answered than the one that was chosen: a conversation that is in the middle of its
    /// tool calls goes on there.
    pub fn answered(&self, snapshot: &Snapshot, routing: &Routing, model: &Name) {
        if *model != routing.decision.model {
            self.pins.remember(snapshot, routing, Some(model), seconds());
        }
    }

    /// Remembers who answered a request, so that what is said of the answer can be counted as theirs; what was said before it
    /// was over counts now.
    pub(crate) fn remember_answer(&self, routing: &Routing, request: AnsweredRequest<'_>) {
        // What the quality knows, the bandits know: a word that comes between is early for both.
        if !self.bandits.is_empty() {
            self.bandits.remember(routing, request);
        }
        for early in self.quality.answered(request).into_iter().flatten() {
            self.take_in(early.rating());
        }
    }

    /// Remembers that another model was asked the same request.
    pub(crate) fn remember_shadow_answer(&self, request: AnsweredRequest<'_>) {
        if let Some(early) = self.quality.shadowed(request) {
            self.take_in(early.rating());
        }
    }

    /// Takes in what is thought of an answer, from which bandits learn; returns who gave it, if that is remembered. A word on
    /// an answer that nobody knows yet is kept until it is over.
    pub(crate) fn rated(&self, rating: AnswerRating<'_>) -> Option<AnsweredBy> {
        let taken = self.take_in(rating);
        if taken.is_known {
            return taken.by;
        }
        self.quality.keep_early(rating).and_then(|early| self.take_in(early.rating()).by)
    }

    fn take_in(&self, rating: AnswerRating<'_>) -> TakenRating {
        let by = self.quality.rated(rating, &self.metrics);
        let is_reward = self.bandits.reward(rating, self.snapshot().store.is_some());
        TakenRating { is_known: by.is_some() || is_reward, by }
    }

    /// Takes in what an answer cost, for a policy that holds a cost. `price` returns what it would have cost with a
    /// model.
    pub fn billed(&self, policy: &Name, paid: f64, price: impl Fn(&Name) -> Option<f64>) {
        self.targets.bill(policy, paid, price);
    }

    /// Returns how the targets of the policies stand.
    #[must_use]
    pub fn targets(&self) -> BTreeMap<Name, ControlState> {
        self.targets.states(&self.snapshot())
    }

    /// Tells whether a policy learns from feedback.
    #[must_use]
    pub fn learns(&self) -> bool {
        !self.bandits.is_empty()
    }

    /// Returns how many conversations of each policy are pinned here, and how many may be.
    pub(crate) fn pinned(&self) -> BTreeMap<Name, (usize, usize)> {
        self.pins.counts()
    }

    /// Returns how many names of state that providers keep are remembered here.
    pub(crate) fn remembered_states(&self) -> usize {
        self.states.count()
    }

    /// Returns how the bandits of the policies stand.
    #[must_use]
    pub fn bandits(&self) -> BTreeMap<Name, BanditState> {
        self.bandits.states()
    }

    /// Makes the bandit of a policy forget all rewards; tells whether there is one.
    pub fn reset_bandit(&self, policy: &Name) -> bool {
        self.bandits.reset(policy, self.snapshot().store.is_some())
    }

    /// Returns the budgets of clients, teams, keys and sessions.
    pub(crate) const fn budgets(&self) -> &Budgets {
        &self.budgets
    }
}

/// Takes what the outcome of a policy needs of quotas.
///
/// # Errors
/// When another request has used one up meanwhile.
fn claimed(
    policy: &Policy,
    outcome: &PolicyOutcome,
    features: &Features,
    world: &RequestWorld<'_, '_>,
) -> Result<Option<QuotaClaim>, ()> {
    match outcome {
        PolicyOutcome::Decided(decision) => world.claim(policy, decision, features),
        PolicyOutcome::Denied(_) => Ok(None),
    }
}

/// Returns the seconds since 1970-01-01 00:00 UTC.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
