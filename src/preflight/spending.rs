//! Budgets that hold less than they seem to: dollars that models without a price never use, and globs over nobody.

use std::collections::BTreeSet;

use pointsman_core::config::{BudgetConfig, ConfigProblem, Glob, KeyPath, KnownModel, Name};
use pointsman_core::policy::Policy;

use crate::clients::Client;
use crate::snapshot::Snapshot;

/// The models that are named of those without a price; of more, the number is said.
const NAMED: usize = 3;

/// Looks at the budgets of `snapshot`.
pub(super) fn warnings(snapshot: &Snapshot) -> Vec<ConfigProblem> {
    let root = KeyPath::root().key("budgets");
    let config = &snapshot.config;
    let of = |(index, budget): (usize, &BudgetConfig)| {
        let path = root.index(index);
        let mut found = idle_globs(snapshot, budget, &path);
        if found.is_empty() && !is_for_anybody(snapshot, budget) {
            let message = "is for nobody: no client is of these `clients` and these `teams` at once".to_owned();
            found.push((path.clone(), message));
        }
        found.extend(uncounted(snapshot, budget).map(|message| (path.key("dollars"), message)));
        found
    };
    let found = config.budgets.iter().enumerate().flat_map(of);
    found.filter_map(|(path, message)| config.problem(&path, message)).collect()
}

/// Finds the globs of a budget that match no client or no team.
fn idle_globs(snapshot: &Snapshot, budget: &BudgetConfig, path: &KeyPath) -> Vec<(KeyPath, String)> {
    let clients: BTreeSet<&Name> = snapshot.clients.iter().map(Client::name).collect();
    let teams: BTreeSet<&Name> = snapshot.config.teams.keys().collect();
    let lists = [("clients", "client", &budget.clients, clients), ("teams", "team", &budget.teams, teams)];
    let idle = |(key, noun, globs, names): (&str, &str, &Option<Vec<Glob>>, BTreeSet<&Name>)| {
        let globs = globs.iter().flatten().enumerate();
        let idle = globs.filter(|(_, glob)| !names.iter().any(|name| glob.matches(name)));
        let known =
            if names.is_empty() { "none".to_owned() } else { listed(&names.iter().copied().collect::<Vec<_>>()) };
        let said = |(index, glob): (usize, &Glob)| {
            (path.key(key).index(index), format!("`{}` matches no {noun} (there are: {known})", glob.as_str()))
        };
        idle.map(said).collect::<Vec<_>>()
    };
    lists.into_iter().flat_map(idle).collect()
}

fn is_for_anybody(snapshot: &Snapshot, budget: &BudgetConfig) -> bool {
    let is_for = |client: &Client| budget.is_for(Some(client.name()), client.team());
    snapshot.clients.iter().any(is_for) || (!snapshot.clients.are_required() && budget.is_for(None, None))
}

/// Says what of a budget's dollars nobody counts; `None` where all is counted, or tokens are bound too.
fn uncounted(snapshot: &Snapshot, budget: &BudgetConfig) -> Option<String> {
    if budget.dollars.is_none() || budget.tokens.is_some() {
        return None;
    }
    let clients = snapshot.clients.iter().filter(|client| budget.is_for(Some(client.name()), client.team())).map(Some);
    let nobody = (!snapshot.clients.are_required()).then_some(None);
    let (mut unpriced, mut passes) = (BTreeSet::new(), false);
    for client in clients.chain(nobody) {
        unpriced.extend(reachable(snapshot, client).into_iter().filter(|name| has_no_price(snapshot, name)));
        passes |= client.is_none_or(|client| client.may_use(None)) && passes_unpriced(snapshot);
    }
    let unpriced: Vec<&Name> = unpriced.into_iter().collect();
    let what = match (unpriced.as_slice(), passes) {
        ([], false) => return None,
        ([], true) => "requests that pass through to `default_provider`, whose models have no `price`".to_owned(),
        (models, false) => format!("{}, without a `price`", listed(models)),
        (models, true) => {
            format!("{}, without a `price`, and requests that pass through to `default_provider`", listed(models))
        }
    };
    Some(format!(
        "does not count {what}: bound `tokens` too, or set a `price` ({{input: 0, output: 0}} for what costs nothing)"
    ))
}

/// Returns the models of the catalog that may serve a client: of its policies, and all where it may name them.
fn reachable<'s>(snapshot: &'s Snapshot, client: Option<&Client>) -> BTreeSet<&'s Name> {
    let may_use = |policy: Option<&Name>| client.is_none_or(|client| client.may_use(policy));
    let chosen = snapshot.policies.iter().filter(|policy| may_use(Some(policy.name()))).flat_map(Policy::models);
    let named = snapshot.config.models.keys().filter(|_| may_use(None));
    chosen.chain(named).filter(|model| snapshot.may_serve(client, model)).collect()
}

fn has_no_price(snapshot: &Snapshot, model: &Name) -> bool {
    snapshot.config.models.get(model).is_some_and(|model| model.price.is_none())
}

/// Returns whether requests pass through to a provider none of whose models has a price in the built-in list.
fn passes_unpriced(snapshot: &Snapshot) -> bool {
    snapshot.upstreams.default_provider().is_some_and(|provider| !KnownModel::are_listed_at(provider.base_url()))
}

fn listed(names: &[&Name]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
