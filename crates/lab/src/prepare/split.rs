//! Splits: every kind of row in each, in the wanted shares, and whole groups on one side.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Value, json};

use super::PreparedRow;
use crate::dataset::HELD_OUT;
use crate::statistics::RandomDraws;

/// Characters of a prompt up to which each stratum of length goes.
const LENGTHS: [usize; 4] = [64, 256, 1024, 4096];

/// The names that a split may have.
const NAMES: [&str; 3] = ["train", "validation", HELD_OUT];

/// The share of each split; they add up to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitShares(Vec<(String, f64)>);

/// Text that names no shares.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` are no shares of splits (allowed: train, validation and held_out, such as train=0.8,validation=0.1,held_out=0.1, which add up to 1)"
)]
pub struct SplitSharesError(String);

impl FromStr for SplitShares {
    type Err = SplitSharesError;

    fn from_str(text: &str) -> Result<Self, SplitSharesError> {
        let wrong = || SplitSharesError(text.to_owned());
        let mut shares: Vec<(String, f64)> = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or_else(wrong)?;
            let share: f64 = share.trim().parse().map_err(|_| wrong())?;
            let name = name.trim();
            let is_new = NAMES.contains(&name) && shares.iter().all(|(other, _)| other != name);
            if !is_new || !(0.0..=1.0).contains(&share) {
                return Err(wrong());
            }
            shares.push((name.to_owned(), share));
        }
        let whole: f64 = shares.iter().map(|(_, share)| share).sum();
        if (whole - 1.0).abs() < 1e-6 { Ok(Self(shares)) } else { Err(wrong()) }
    }
}

/// A group of rows that stay together.
struct RowGroup {
    rows: Vec<usize>,
    stratum: String,
    /// The split that one of its rows has already.
    given: Option<String>,
}

/// Gives every row its split. Rows that have one keep it, and their group goes with them.
///
/// Groups are dealt stratum by stratum (label, language, length), each to the split that lacks most: so every split gets
/// its share of every stratum, as far as whole groups allow, and its share of all.
pub(super) fn deal(rows: &mut [PreparedRow], shares: &SplitShares, seed: u64) {
    let mut groups = groups(rows);
    RandomDraws::new(seed).shuffle(&mut groups);
    groups.sort_by(|a, b| a.stratum.cmp(&b.stratum)); // stable
    let mut lacking: Vec<(String, f64)> = shares.0.iter().map(|(name, _)| (name.clone(), 0.0)).collect();
    for group in groups {
        let size = group.rows.len() as f64;
        for ((_, lacks), (_, share)) in lacking.iter_mut().zip(&shares.0) {
            *lacks += share * size;
        }
        let most = || lacking.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name.clone());
        let Some(split) = group.given.clone().or_else(most) else { return };
        if let Some((_, lacks)) = lacking.iter_mut().find(|(name, _)| *name == split) {
            *lacks -= size;
        }
        for row in group.rows {
            rows[row].keys.insert("split".to_owned(), json!(split));
        }
    }
}

fn groups(rows: &[PreparedRow]) -> Vec<RowGroup> {
    let mut groups: BTreeMap<&str, RowGroup> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let group = groups.entry(row.group()).or_insert_with(|| RowGroup {
            rows: Vec::new(),
            stratum: stratum(row),
            given: None,
        });
        group.rows.push(index);
        group.given = group.given.take().or_else(|| row.text_of("split").map(str::to_owned));
    }
    groups.into_values().collect()
}

/// Returns the kind of a row: its label, or how its answer is graded, its language and its length.
fn stratum(row: &PreparedRow) -> String {
    let label = ["label", "domain", "category", "task", "subject"].iter().find_map(|key| match row.keys.get(*key) {
        Some(Value::String(label)) => Some(label.clone()),
        Some(label @ (Value::Number(_) | Value::Bool(_))) => Some(label.to_string()),
        _ => None,
    });
    let reference =
        || row.keys.get("reference").and_then(Value::as_object).and_then(|reference| reference.keys().next());
    let label = label.or_else(|| reference().cloned()).unwrap_or_default();
    let length = row.text.chars().count();
    let length = LENGTHS.iter().filter(|most| length > **most).count();
    format!("{label}\u{0}{}\u{0}{length}", row.text_of("language").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<PreparedRow> {
        let row = |index: usize| {
            let label = if index.is_multiple_of(10) { "rare" } else { "common" };
            let keys = json!({"label": label, "group": format!("g{}", index / 2)});
            let keys = keys.as_object().cloned().expect("an object");
            PreparedRow { id: index.to_string(), words: String::new(), text: "x".into(), keys }
        };
        (0..count).map(row).collect()
    }

    fn count(rows: &[PreparedRow], split: &str, label: &str) -> usize {
        rows.iter().filter(|row| row.text_of("split") == Some(split) && row.text_of("label") == Some(label)).count()
    }

    #[test]
    fn every_split_has_its_share_of_every_label_and_groups_stay_together() {
        let shares: SplitShares = "train=0.8,validation=0.1,held_out=0.1".parse().expect("shares");
        let (mut dealt, mut again) = (rows(1000), rows(1000));

        deal(&mut dealt, &shares, 7);
        deal(&mut again, &shares, 7);

        for pair in dealt.chunks(2) {
            assert_eq!(pair[0].text_of("split"), pair[1].text_of("split"));
        }
        for (split, share) in [("train", 80), ("validation", 10), ("held_out", 10)] {
            let (rare, common) = (count(&dealt, split, "rare"), count(&dealt, split, "common"));
            assert!(rare.abs_diff(share) <= 2 && (rare + common).abs_diff(10 * share) <= 2, "{split}: {rare} {common}");
        }
        assert!(dealt.iter().zip(&again).all(|(a, b)| a.keys == b.keys));
    }

    #[test]
    fn a_split_that_a_row_has_stays_and_its_group_goes_with_it() {
        let mut dealt = rows(20);
        dealt[3].keys.insert("split".into(), json!("held_out"));

        deal(&mut dealt, &"train=1".parse().expect("shares"), 7);

        let held: Vec<&str> =
            dealt.iter().filter(|row| row.text_of("split") == Some("held_out")).map(|row| &*row.id).collect();
        assert_eq!(held, ["2", "3"]);
    }

    #[test]
    fn shares_add_up_to_one_and_have_known_names() {
        for wrong in ["train", "train=0.8", "train=1,test=0", "train=0.5,train=0.5", "train=-1,held_out=2", ""] {
            assert!(wrong.parse::<SplitShares>().is_err(), "{wrong}");
        }
        assert!("train=0.9, held_out=0.1".parse::<SplitShares>().is_ok());
    }
}
