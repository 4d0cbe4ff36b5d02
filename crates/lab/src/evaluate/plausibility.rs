//! Plausibility: whether prompts and conversations whose level people wrote down are served by the tier that one expects.
//!
//! Rows go the way of a request: body, prompt, the part of the conversation that is judged, features, the classifier
//! with its cascade, and a policy's `tiers` strategy, abstentions included (`served`). Each row belongs
//! to one half of its set by its name: whoever tunes looks at `development` alone, and `check` says whether it held.

mod figures;
mod rows;
mod served;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use futures::{StreamExt, TryStreamExt, stream};
use pointsman_classifier::BundleIdentity;
use serde::Serialize;

use self::figures::PlacedRow;
pub use self::figures::{PlacedShare, PlausibilityFigures, TierCounts};
use self::rows::PlausibilityRow;
pub use self::rows::{ExpectedLevel, SetHalf};
pub use self::served::{SHIPPED_TIERS, ServedTier};
use self::served::{TierDecision, TiersDecider};
use super::{EvaluateError, Evaluation, IN_FLIGHT};
use crate::dataset::DataIdentity;

/// The most tokens of a request that counts as short.
pub const SHORT_TOKENS: u64 = 64;

/// The figures of a head on a plausibility set, with all that is needed to get them again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlausibilityReport {
    /// The bundle that was measured.
    pub bundle: BundleIdentity,
    /// Which of its heads.
    pub head: String,
    /// Keys of the `tiers` strategy that decided.
    pub tiers: String,
    /// The files of the set.
    pub data: Vec<DataIdentity>,
    /// The seed of the bootstrap's draws.
    pub seed: u64,
    /// Figures of all rows.
    pub all: PlausibilityFigures,
    /// Figures by half of the set.
    pub halves: BTreeMap<SetHalf, PlausibilityFigures>,
    /// Figures by language.
    pub languages: BTreeMap<String, PlausibilityFigures>,
    /// Figures by domain.
    pub domains: BTreeMap<String, PlausibilityFigures>,
    /// Figures of requests of at most [`SHORT_TOKENS`] tokens, and of longer ones.
    pub lengths: BTreeMap<&'static str, PlausibilityFigures>,
    /// Rows by the reason of their decision.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Decisions of the rows of `development`; those of `check` are not shown to whoever tunes.
    pub rows: Vec<PlausibilityVerdict>,
}

/// The decision of one row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlausibilityVerdict {
    /// The row's name.
    pub id: String,
    /// The level that was expected.
    pub level: ExpectedLevel,
    /// The tier that serves.
    pub tier: ServedTier,
    /// The reason of the decision.
    pub reason: &'static str,
    /// The classifier's best label.
    pub label: Option<String>,
    /// The probability of the label.
    pub score: Option<f32>,
}

/// A row beside its decision.
struct DecidedRow {
    row: PlausibilityRow,
    decision: TierDecision,
}

impl Evaluation {
    /// Decides every row of the set at `path`, a file or a folder of `.jsonl` files, by a `tiers` strategy with the
    /// keys `tiers` besides its models; `seed` decides the draws of the bootstrap.
    ///
    /// # Errors
    /// When a row cannot be read or gets no decision, the keys are wrong, or there are no rows.
    pub async fn plausibility(&self, path: &Path, tiers: &str, seed: u64) -> Result<PlausibilityReport, EvaluateError> {
        let decider = TiersDecider::new(&self.classifier, &self.head, tiers)?;
        let (mut rows, mut data) = (Vec::new(), Vec::new());
        for file in files(path)? {
            data.push(rows::read(&file, &mut rows)?);
        }
        if rows.is_empty() {
            return Err(EvaluateError::Empty { path: path.to_owned() });
        }
        let decider = &decider;
        let decided = stream::iter(rows).map(async |row: PlausibilityRow| {
            let decision = decider.decide(&row.body).await;
            let unscored = |reason: &'static str| EvaluateError::Unscored { line: row.line, reason };
            Ok::<_, EvaluateError>(DecidedRow { decision: decision.map_err(unscored)?, row })
        });
        let decided: Vec<DecidedRow> = decided.buffered(IN_FLIGHT).try_collect().await?;
        let (bundle, head) = (self.classifier.identity().clone(), self.head.name.to_string());
        Ok(report(&decided, PlausibilitySubject { bundle, head, tiers: tiers.to_owned(), data, seed }))
    }
}

/// The subject of a report: who was measured on what.
struct PlausibilitySubject {
    bundle: BundleIdentity,
    head: String,
    tiers: String,
    data: Vec<DataIdentity>,
    seed: u64,
}

fn report(decided: &[DecidedRow], subject: PlausibilitySubject) -> PlausibilityReport {
    let PlausibilitySubject { bundle, head, tiers, data, seed } = subject;
    let length = |row: &DecidedRow| if row.decision.tokens <= SHORT_TOKENS { "short" } else { "long" };
    let mut reasons = BTreeMap::new();
    for row in decided {
        *reasons.entry(row.decision.reason).or_default() += 1;
    }
    PlausibilityReport {
        bundle,
        head,
        tiers,
        data,
        seed,
        all: PlausibilityFigures::of(decided.iter().map(DecidedRow::placed), seed),
        halves: grouped(decided, seed, |row| row.row.half),
        languages: grouped(decided, seed, |row| row.row.language.clone()),
        domains: grouped(decided, seed, |row| row.row.domain.clone()),
        lengths: grouped(decided, seed, length),
        reasons,
        rows: decided.iter().filter(|row| row.row.half == SetHalf::Development).map(DecidedRow::verdict).collect(),
    }
}

fn grouped<K: Ord>(
    decided: &[DecidedRow],
    seed: u64,
    key: impl Fn(&DecidedRow) -> K,
) -> BTreeMap<K, PlausibilityFigures> {
    let mut groups: BTreeMap<K, Vec<PlacedRow>> = BTreeMap::new();
    for row in decided {
        groups.entry(key(row)).or_default().push(row.placed());
    }
    groups.into_iter().map(|(key, rows)| (key, PlausibilityFigures::of(rows.into_iter(), seed))).collect()
}

impl DecidedRow {
    const fn placed(&self) -> PlacedRow {
        PlacedRow { kind: self.row.kind, level: self.row.level, tier: self.decision.tier }
    }

    fn verdict(&self) -> PlausibilityVerdict {
        let TierDecision { tier, reason, label, score, .. } = &self.decision;
        let (id, level) = (self.row.id.clone(), self.row.level);
        PlausibilityVerdict { id, level, tier: *tier, reason, label: label.clone(), score: *score }
    }
}

/// Returns the files of the set at `path`, by their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, EvaluateError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |source| EvaluateError::Folder { path: path.to_owned(), source };
    let entries = fs::read_dir(path).map_err(unreadable)?.collect::<Result<Vec<_>, io::Error>>().map_err(unreadable)?;
    let is_set = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_set).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
