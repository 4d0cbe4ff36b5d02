//! State that providers keep: which provider, and which of its peers, made what a request names.
//!
//! Names are learnt from answers as they pass, and from requests that succeeded; they are looked up for every request
//! that holds any. Kept in this process, bounded, and in the store that replicas share. Refuses to know where names
//! stand in bodies (`prompt::state`, `usage`) and what follows from a keeper: a policy's constraint, or the peer that
//! is asked.

mod memory;
mod record;
mod unbilled;

use std::sync::Arc;

use pointsman_core::config::{Name, StateRule};
use pointsman_core::prompt::Prompt;
use pointsman_core::prompt::state::{NamedState, StateKind, StateName};

pub(super) use self::memory::StateMemory;
pub(crate) use self::unbilled::UnbilledResponse;
pub(super) use self::unbilled::UnbilledResponses;
use super::{Router, seconds};
use crate::snapshot::Snapshot;

/// The one who keeps what a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateKeeper {
    /// The provider, as the configuration names it.
    pub provider: Name,
    /// The peer that answered, as the operator wrote it; `None` where any peer has it.
    pub peer: Option<Arc<str>>,
    /// The model of the catalog that answered; `None` where the request passed through.
    pub model: Option<Name>,
    /// The key of the conversation that it belongs to, where it is known.
    pub conversation: Option<u64>,
}

/// What came of looking up the state that a request names. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOutcome {
    /// Its keeper is known.
    Known,
    /// It was not seen here, or is forgotten.
    Unknown,
    /// Its keeper is no provider of the configuration any more.
    Gone,
}

/// The state that a request names, and who keeps it.
#[derive(Debug, Clone, Default)]
pub struct RequestState {
    names: Vec<StateName>,
    /// True where the client asks its API to keep the answer.
    is_stored: bool,
    /// The keeper of what the request cannot go on without.
    needed: Option<FoundState>,
    /// The keepers of what its history holds, which may be left out; the newest first.
    history: Vec<FoundState>,
    /// True where the API does not let the history's sealed parts be left out.
    is_amid_tools: bool,
    /// The kind and the outcome that say most about the request.
    outcome: Option<(StateKind, StateOutcome)>,
}

/// A name whose keeper is known.
#[derive(Debug, Clone)]
struct FoundState {
    name: StateName,
    keeper: Arc<StateKeeper>,
}

impl StateOutcome {
    /// Every outcome, for the metrics to register up front.
    pub const ALL: [Self; 3] = [Self::Known, Self::Unknown, Self::Gone];

    /// Returns the stable name used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
        }
    }
}

impl RequestState {
    /// Returns the names of a request that was read as a prompt, not looked up yet.
    #[must_use]
    pub fn of_prompt(prompt: &Prompt<'_>, body: &[u8]) -> Self {
        let NamedState { names, is_stored } = NamedState::of(Some(prompt.dialect), body);
        // While a tool loop is open and thinking is on, Anthropic's API wants the thinking of the loop's own turns back
        // (platform.claude.com/docs, "Preserving thinking blocks"); outside of one it may be left out.
        let thinks = prompt.parameters.reasoning_effort.as_deref().is_some_and(|effort| effort != "disabled");
        let is_amid_tools = prompt.dialect.is_anthropic() && thinks && prompt.tool_results > 0;
        Self { names, is_stored, is_amid_tools, ..Self::default() }
    }

    /// Returns the names of a request that no dialect reads: those of its path, and of its body where that was read.
    #[must_use]
    pub fn of_call(path: &str, body: &[u8]) -> Self {
        let mut names = StateName::of_path(path);
        names.extend(NamedState::of(None, body).names);
        Self { names, ..Self::default() }
    }

    /// Returns whether the request names any state.
    #[must_use]
    pub const fn names_any(&self) -> bool {
        !self.names.is_empty()
    }

    /// Returns the name of the response that the request is about or goes on from.
    #[must_use]
    pub fn response(&self) -> Option<StateName> {
        self.names.iter().copied().find(|name| name.kind == StateKind::Response)
    }

    /// Returns whether the client asks its API to keep the answer.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        self.is_stored
    }

    /// Returns who keeps what the request names and cannot go on without, by the rule of the policy that decides.
    #[must_use]
    pub fn keeper(&self, rule: StateRule) -> Option<&Arc<StateKeeper>> {
        let stays = rule == StateRule::Stay || self.is_amid_tools;
        let found = self.needed.as_ref().or_else(|| self.history.first().filter(|_| stays));
        found.map(|found| &found.keeper)
    }

    /// Returns whether the request can go on without all that its providers keep: its history alone holds it.
    #[must_use]
    pub const fn is_of_history(&self) -> bool {
        self.needed.is_none()
    }

    /// Returns whether the request answers tool calls whose thinking the API wants back, so that all of it stays.
    #[must_use]
    pub const fn is_amid_tools(&self) -> bool {
        self.is_amid_tools
    }

    /// Returns what of the history `provider` made; `None` where no other is known to have made any of it, so that all
    /// may stay.
    #[must_use]
    pub fn own_history(&self, provider: &Name) -> Option<Vec<StateName>> {
        let (own, others): (Vec<_>, Vec<_>) = self.history.iter().partition(|found| found.keeper.provider == *provider);
        (!others.is_empty()).then(|| own.into_iter().map(|found| found.name).collect())
    }

    /// Returns the peer of `provider` that the request is to go to, where only one has what it names.
    #[must_use]
    pub fn peer_at(&self, provider: &Name) -> Option<&Arc<str>> {
        let found = self.needed.iter().chain(&self.history);
        let mut here = found.filter(|found| found.keeper.provider == *provider && !found.name.kind.is_of_every_peer());
        here.find_map(|found| found.keeper.peer.as_ref())
    }

    /// Returns the key of the conversation that the request goes on with, where only what it names says which.
    #[must_use]
    pub fn conversation(&self) -> Option<u64> {
        let goes_on = |found: &&FoundState| matches!(found.name.kind, StateKind::Response | StateKind::Conversation);
        self.needed.as_ref().filter(goes_on)?.keeper.conversation
    }

    /// Returns what came of looking up the state that the request names, and the kind of it; `None` where it names none.
    #[must_use]
    pub const fn outcome(&self) -> Option<(StateKind, StateOutcome)> {
        self.outcome
    }
}

impl Router {
    /// Looks up who keeps what a request of `client` names.
    pub async fn find_state(&self, snapshot: &Snapshot, client: Option<&Name>, state: &mut RequestState) {
        if state.names.is_empty() {
            return;
        }
        let now = seconds();
        let (needed, history): (Vec<StateName>, Vec<StateName>) =
            state.names.iter().partition(|name| name.kind.is_needed());
        let mut is_gone = false;
        let mut kept = [Vec::new(), Vec::new()];
        for (names, kept) in [needed, history].iter().zip(&mut kept) {
            let mut found = self.states.find(snapshot, client, names, now).await;
            let all = found.len();
            found.retain(|found| snapshot.config.providers.contains_key(&found.keeper.provider));
            is_gone |= found.len() < all;
            *kept = found;
        }
        let [needed, history] = kept;
        (state.needed, state.history) = (needed.into_iter().next(), history);
        let found = state.needed.as_ref().or(state.history.first());
        let outcome = match found {
            Some(_) => StateOutcome::Known,
            None if is_gone => StateOutcome::Gone,
            None => StateOutcome::Unknown,
        };
        let kind = found.map_or(state.names[0].kind, |found| found.name.kind);
        state.outcome = Some((kind, outcome));
    }

    /// Counts a request by what came of looking up the state that it names, if it names any.
    pub fn count_state(&self, state: &RequestState) {
        if let Some((kind, outcome)) = state.outcome {
            self.metrics.state_named(kind.as_str(), outcome.as_str());
        }
    }

    /// Remembers a response of `client` that was answered without its usage.
    pub(crate) fn remember_unbilled(&self, client: Option<&Name>, name: &StateName, response: UnbilledResponse) {
        self.unbilled.remember(client, name, response);
    }

    /// Takes a response of `client` that is to be billed now; gives it out once.
    #[must_use]
    pub(crate) fn take_unbilled(&self, client: Option<&Name>, name: &StateName) -> Option<UnbilledResponse> {
        self.unbilled.take(client, name)
    }

    /// Remembers that `keeper` made what an answer to `client` names.
    pub fn remember_state(
        &self,
        snapshot: &Snapshot,
        client: Option<&Name>,
        names: &[StateName],
        keeper: &Arc<StateKeeper>,
    ) {
        self.states.remember(snapshot, client, names, keeper);
    }

    /// Remembers that a request of `client` succeeded with `keeper`: what it names and was unknown is there, and what was
    /// known is still.
    pub fn confirm_state(
        &self,
        snapshot: &Snapshot,
        client: Option<&Name>,
        state: &RequestState,
        keeper: &Arc<StateKeeper>,
    ) {
        let names: Vec<StateName> = match &state.needed {
            Some(found) => vec![found.name],
            None => state.names.iter().copied().filter(|name| name.kind.is_needed()).collect(),
        };
        self.states.remember(snapshot, client, &names, keeper);
    }
}
