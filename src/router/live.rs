//! The world as the policies of one request see it.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pointsman_core::config::{Name, PolicyMode, StateRule};
use pointsman_core::features::Features;
use pointsman_core::policy::bandit::BanditBelief;
use pointsman_core::policy::{Decision, DialectFit, Policy, PolicyWorld, ProviderHealth};
use pointsman_core::prompt::{Prompt, TextScope, conversation_key};
use pointsman_translation::{DialectFamily, Translation};
use tokio::time::Instant;

use super::bandits::Bandits;
use super::control_loops::ControlLoops;
use super::incoming::{IncomingRequest, QuotaMode};
use super::quotas::{ClaimingDecision, QuotaClaim, QuotaLedgers, QuotaParty};
use super::state::StateKeeper;
use super::switch::KillSwitch;
use super::{RequestState, Router, seconds};
use crate::budgets::{BudgetParty, Budgets};
use crate::snapshot::Snapshot;
use crate::upstream::EarlyTranslation;

/// A request as another API says it.
struct SaidRequest {
    upstream: DialectFamily,
    /// The model that it was said for.
    model: Name,
    fit: DialectFit,
    made: Option<EarlyTranslation>,
}

/// The world as the policies of one request see it.
pub(super) struct RequestWorld<'w, 'r> {
    pub(super) snapshot: &'w Snapshot,
    pub(super) incoming: &'w IncomingRequest<'r>,
    switch: &'w KillSwitch,
    targets: &'w ControlLoops,
    bandits: &'w Bandits,
    quotas: &'w QuotaLedgers,
    budgets: &'w Budgets,
    /// The quotas, by their positions, that another request used up while the request was decided: one bit each.
    lost: AtomicU64,
    /// Made when it is asked for: most policies do not.
    conversation: OnceLock<u64>,
    /// How much of the request other APIs can say; found when it is asked for.
    said: Mutex<Vec<SaidRequest>>,
}

impl<'w, 'r> RequestWorld<'w, 'r> {
    pub(super) fn new(router: &'w Router, snapshot: &'w Snapshot, incoming: &'w IncomingRequest<'r>) -> Self {
        let Router { switch, targets, bandits, quotas, budgets, .. } = router;
        Self {
            snapshot,
            incoming,
            switch,
            targets,
            bandits,
            quotas,
            budgets,
            lost: AtomicU64::new(0),
            conversation: OnceLock::new(),
            said: Mutex::default(),
        }
    }

    /// Takes what a decision that will be answered needs of its holder's allowances.
    ///
    /// # Errors
    /// When another request has used one up meanwhile: the policy is to be asked again, and knows of it then.
    pub(super) fn claim(
        &self,
        policy: &Policy,
        decision: &Decision,
        features: &Features,
    ) -> Result<Option<QuotaClaim>, ()> {
        let is_answered = self.incoming.quotas == QuotaMode::Take
            && policy.mode() == PolicyMode::Route
            && !self.incoming.prompt.dialect.only_counts();
        if !is_answered || policy.quotas().is_empty() {
            return Ok(None);
        }
        let claiming = ClaimingDecision { policy, decision, features, live: self };
        self.quotas.claim(&self.party(), claiming).map_err(|quota| {
            self.lost.fetch_or(1 << quota, Ordering::Relaxed);
        })
    }

    /// Returns the translation for a model, if one was made.
    pub(super) fn into_translation(self, model: &Name) -> Option<Box<EarlyTranslation>> {
        let said = self.said.into_inner().unwrap_or_else(PoisonError::into_inner);
        said.into_iter().filter_map(|said| said.made).find(|made| made.model == *model).map(Box::new)
    }

    /// Returns whose allowances the request uses.
    fn party(&self) -> QuotaParty {
        let client = self.incoming.client.map(|client| client.name().clone());
        QuotaParty { client, session: self.conversation() }
    }

    /// Returns what the requests of the conversation have in common, if the decision log writes it: it is a hash
    /// without a key, so only beside the text that it could give away.
    pub(super) fn logged_conversation(&self) -> Option<u64> {
        let log = self.snapshot.decision_log.as_ref()?;
        log.keeps_text().then(|| self.conversation())
    }
}

impl<'r> RequestWorld<'_, 'r> {
    fn keeper(&self, rule: StateRule) -> Option<&'r StateKeeper> {
        self.incoming.state?.keeper(rule).map(|keeper| &**keeper)
    }
}

/// Returns what the requests of a conversation have in common: the session that the client names, else the conversation
/// of the response that the request goes on with, else how it begins.
pub(super) fn conversation(incoming: &IncomingRequest<'_>) -> u64 {
    let (session, prompt) = (session(incoming), incoming.prompt);
    let is_named = session.is_some() || prompt.session.id.is_some();
    let going_on = incoming.state.and_then(RequestState::conversation).filter(|_| !is_named);
    going_on.unwrap_or_else(|| conversation_key::key(session.as_deref(), agent(incoming).as_deref(), prompt))
}

/// Returns whether nothing but its beginning says which conversation a request belongs to.
fn only_begins(incoming: &IncomingRequest<'_>) -> bool {
    let prompt = incoming.prompt;
    prompt.assistant_turns == 0
        && prompt.session.id.is_none()
        && session(incoming).is_none()
        && incoming.state.and_then(RequestState::conversation).is_none()
}

/// Returns what the requests of the session have in common that a header names; `None` where none does.
pub(super) fn named_session(header: HeaderLookup<'_, '_>) -> Option<u64> {
    let session = session_in(header)?;
    Some(conversation_key::named_key(&session, agent_in(header).as_deref()))
}

/// Returns the value of a header by its lower-case name.
type HeaderLookup<'l, 'r> = &'l dyn Fn(&str) -> Option<Cow<'r, str>>;

fn session<'r>(incoming: &IncomingRequest<'r>) -> Option<Cow<'r, str>> {
    session_in(&incoming.header)
}

fn session_in<'r>(header: HeaderLookup<'_, 'r>) -> Option<Cow<'r, str>> {
    let named = |name: &&str| header(name).filter(|session| !session.is_empty());
    conversation_key::SESSION_HEADERS.iter().find_map(named)
}

/// Returns what names the sub-agent of a session that asks; `None` for the session's main agent.
fn agent<'r>(incoming: &IncomingRequest<'r>) -> Option<Cow<'r, str>> {
    agent_in(&incoming.header)
}

fn agent_in<'r>(header: HeaderLookup<'_, 'r>) -> Option<Cow<'r, str>> {
    let named = |name: &&str| header(name).filter(|id| !id.is_empty());
    let agent = conversation_key::AGENT_HEADERS.iter().find_map(named);
    agent.filter(|agent| Some(agent) != session_in(header).as_ref())
}

impl PolicyWorld for RequestWorld<'_, '_> {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        (self.incoming.header)(name)
    }

    fn prompt(&self) -> Option<&Prompt<'_>> {
        Some(self.incoming.prompt)
    }

    fn any_text(&self, scope: TextScope, is_wanted: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
        Some(self.incoming.prompt.any_text(self.incoming.body, scope, is_wanted))
    }

    fn health(&self, model: &Name) -> ProviderHealth {
        match self.snapshot.upstreams.model(model).map(|deployment| &deployment.provider) {
            Some(provider) if !provider.is_up() => ProviderHealth::Down,
            Some(provider) if provider.is_full() => ProviderHealth::Full,
            _ => ProviderHealth::Up,
        }
    }

    fn allows(&self, model: &Name) -> bool {
        self.snapshot.may_serve(self.incoming.client, model)
    }

    fn keeps_state(&self, model: &Name, rule: StateRule) -> bool {
        let Some(keeper) = self.keeper(rule) else { return true };
        let target = self.snapshot.upstreams.model(model);
        target.is_some_and(|target| {
            // What Anthropic's API wants back amid a tool loop, no other API takes: there it is left out.
            let is_let_go = || rule == StateRule::Strip && self.incoming.leaves_history_out(target);
            target.provider.name == keeper.provider || is_let_go()
        })
    }

    fn leaves_history_out(&self, model: &Name) -> bool {
        let model = self.snapshot.upstreams.model(model);
        model.is_some_and(|model| self.incoming.leaves_history_out(model))
    }

    fn dialect_fit(&self, upstream: DialectFamily, model: &Name) -> DialectFit {
        let IncomingRequest { prompt, body, .. } = self.incoming;
        let target = self.snapshot.upstreams.model(model);
        let Some((client, target)) = prompt.dialect.family().zip(target) else { return DialectFit::Whole };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // What Google's and Anthropic's models can be told differs by their generations; of other APIs' it does not.
        let differs = matches!(upstream, DialectFamily::Gemini | DialectFamily::Messages);
        let is_known = |known: &&SaidRequest| known.upstream == upstream && (!differs || known.model == *model);
        if let Some(known) = said.iter().find(is_known) {
            return known.fit;
        }
        let made = EarlyTranslation::make(Translation { client, upstream }, prompt.dialect, body, target);
        let (fit, made) = made.map_or((DialectFit::Refused, None), |(losses, made)| (DialectFit::of(&losses), made));
        said.push(SaidRequest { upstream, model: model.clone(), fit, made });
        fit
    }

    fn state_model(&self, rule: StateRule) -> Option<Name> {
        let keeper = self.keeper(rule)?;
        keeper.model.clone().filter(|model| self.keeps_state(model, rule))
    }

    fn is_killed(&self, policy: &Name) -> bool {
        self.switch.is_killed(policy)
    }

    fn is_used_up(&self, policy: &Name, quota: usize) -> bool {
        let is_lost = self.lost.load(Ordering::Relaxed) & (1 << quota) != 0;
        is_lost || self.quotas.is_used_up(policy, quota, &self.party(), self.incoming.at.unwrap_or_else(seconds))
    }

    fn tight_budget(&self) -> Option<Name> {
        let IncomingRequest { client, key, at, .. } = *self.incoming;
        if !self.budgets.concern(client) {
            return None;
        }
        let session = self.budgets.tell_sessions_apart(client).then(|| self.conversation());
        let party = BudgetParty { client, key, session };
        self.budgets.tight(party, at.unwrap_or_else(seconds))
    }

    fn first_byte(&self, model: &Name) -> Option<f64> {
        self.snapshot.upstreams.model(model)?.recent.first_byte(Instant::now())
    }

    fn output_tokens(&self, model: &Name) -> Option<f64> {
        self.snapshot.upstreams.model(model)?.recent.output_tokens(Instant::now())
    }

    fn threshold(&self, policy: &Name) -> Option<f64> {
        self.targets.threshold(policy)
    }

    fn bandit(&self, policy: &Name) -> Option<Arc<BanditBelief>> {
        self.bandits.belief(policy)
    }

    fn conversation(&self) -> u64 {
        *self.conversation.get_or_init(|| conversation(self.incoming))
    }

    fn only_begins(&self) -> bool {
        only_begins(self.incoming)
    }

    /// Every state has keys of its own, drawn from the system's randomness.
    fn draw(&self) -> f64 {
        (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
