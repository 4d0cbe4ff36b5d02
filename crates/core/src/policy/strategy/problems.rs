//! The problems with the heads and labels that a strategy reads, once the bundle is known.

use std::sync::Arc;

use crate::config::{self, KeyPath, Name, StrategyConfig, TierLean, TiersConfig, nearest};
use crate::policy::heads::BundleHeads;
use crate::scores::OfferedHead;

/// Says what of a strategy does not go with the heads of the classifier that it reads.
pub(in crate::policy) fn problems(
    path: &KeyPath,
    strategy: &StrategyConfig,
    known: &BundleHeads<'_>,
) -> Vec<(KeyPath, String)> {
    let Some((classifier, heads)) = strategy.reads() else { return Vec::new() };
    let missing = heads.iter().filter(|head| known.labels(head).is_none());
    let mut found: Vec<_> =
        missing.map(|head| (missing_head(path, strategy, head), known.missing(classifier, head))).collect();
    match strategy {
        StrategyConfig::Tiers(tiers) => {
            found.extend(known.labels(&tiers.head).into_iter().flat_map(|own| tier_labels(path, tiers, own)));
            found.extend(known.head(&tiers.head).and_then(|head| lean(path, tiers, head)));
        }
        StrategyConfig::Hierarchy(hierarchy) => {
            if let Some(own) = known.labels(&hierarchy.head) {
                found.extend(branch_labels(path, hierarchy, own));
            }
        }
        _ => {}
    }
    found
}

/// Points at the key that names the head, or else at the classifier's.
fn missing_head(path: &KeyPath, strategy: &StrategyConfig, head: &Name) -> KeyPath {
    let key = match strategy {
        StrategyConfig::Utility(_) => "models",
        StrategyConfig::Bandit(bandit) if *head != bandit.head => "warm",
        StrategyConfig::Tiers(_) if **head == *"tier" => "classifier",
        StrategyConfig::Threshold(_) if **head == *"strong_wins" => "classifier",
        StrategyConfig::Hierarchy(_) if **head == *"domain" => "classifier",
        _ => "head",
    };
    path.key(key)
}

/// A head's labels must all have a model, and no other label may have one.
fn tier_labels(path: &KeyPath, tiers: &TiersConfig, labels: &[Arc<str>]) -> Vec<(KeyPath, String)> {
    let path = path.key("tiers");
    let allowed = labels.iter().map(|label| &**label).collect::<Vec<_>>().join(", ");
    let unmapped = labels.iter().filter(|label| tiers.tiers.get(label).is_none());
    let unmapped = unmapped.map(|label| (path.clone(), format!("lacks the label `{label}` (required: {allowed})")));
    let unknown = tiers.tiers.iter().filter_map(|(label, _)| unknown(&path.key(label), &tiers.head, label, labels));
    unmapped.chain(unknown).collect()
}

/// A lean is a choice between thresholds, which the head must have.
fn lean(path: &KeyPath, tiers: &TiersConfig, head: OfferedHead<'_>) -> Option<(KeyPath, String)> {
    let is_free = tiers.lean == TierLean::Even || head.levels.is_some();
    let problem = || format!("head `{}` of the bundle has no `levels` to lean by (allowed: even)", head.name);
    (!is_free).then(|| (path.key("lean"), problem()))
}

fn branch_labels(path: &KeyPath, hierarchy: &config::HierarchyConfig, labels: &[Arc<str>]) -> Vec<(KeyPath, String)> {
    let branches = hierarchy.branches.iter().enumerate().flat_map(|(index, branch)| {
        let path = path.key("branches").index(index).key("labels");
        branch.labels.iter().enumerate().map(move |(at, label)| (path.index(at), label))
    });
    branches.filter_map(|(path, label)| unknown(&path, &hierarchy.head, label, labels)).collect()
}

fn unknown(path: &KeyPath, head: &Name, label: &str, labels: &[Arc<str>]) -> Option<(KeyPath, String)> {
    let names = labels.iter().map(|label| &**label);
    if names.clone().any(|own| own == label) {
        return None;
    }
    let hint = nearest(label, names.clone()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    let allowed = names.collect::<Vec<_>>().join(", ");
    Some((path.clone(), format!("head `{head}` has no such label{hint} (allowed: {allowed})")))
}
