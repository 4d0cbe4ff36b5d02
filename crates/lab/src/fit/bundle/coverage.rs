//! Coverage of the new bundle's training: the languages, scripts and n-grams of the base's, and those of the rows
//! besides.

use std::collections::BTreeMap;
use std::fs;

use pointsman_classifier::{Bundle, BundleError, Manifest, NgramFilter, main_script};
use pointsman_core::features::Language;

use crate::fit::rows::TrainingRow;
use crate::fit::{FitError, FitRequest, file_error};

/// The least rows of a language or a script for heads to have learnt it.
const LEAST_ROWS: usize = 20;

/// The least rows of an n-gram to count as seen, so that a name makes nothing known.
const SEEN: usize = 2;

/// Adds the languages and scripts of the rows to what the manifest declares; what it does not declare at all stays so.
pub(super) fn widen(manifest: &mut Manifest, rows: &[TrainingRow]) {
    if !manifest.languages.is_empty() {
        let spoken = rows.iter().map(|row| Language::of(&row.text).code().to_owned());
        add(&mut manifest.languages, spoken.filter(|code| !code.is_empty()));
    }
    if !manifest.scripts.is_empty() {
        add(&mut manifest.scripts, rows.iter().filter_map(|row| main_script(&row.text)));
    }
}

/// Returns the base's record of n-grams with those of the rows, by the file's name; none where the base has none.
pub(super) fn record(
    fit: &FitRequest,
    base: &Bundle,
    rows: &[TrainingRow],
) -> Result<Option<(String, Vec<u8>)>, FitError> {
    let Some(spec) = &base.manifest().ngrams else { return Ok(None) };
    let path = fit.base.join(&spec.file);
    let bits = fs::read(&path).map_err(file_error(&path))?;
    let mut record = NgramFilter::parse(spec, bits).map_err(BundleError::from)?;
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for row in rows {
        let mut hashes = row.ngrams.hashes().to_vec();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.into_iter().for_each(|hash| *counts.entry(hash).or_default() += 1);
    }
    record.add(counts.into_iter().filter(|(_, rows)| *rows >= SEEN).map(|(hash, _)| hash).collect());
    Ok(Some((spec.file.clone(), record.into_bits())))
}

fn add(declared: &mut Vec<String>, found: impl Iterator<Item = String>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    found.for_each(|name| *counts.entry(name).or_default() += 1);
    let enough = counts.into_iter().filter(|(_, rows)| *rows >= LEAST_ROWS).map(|(name, _)| name);
    declared.extend(enough);
    declared.sort_unstable();
    declared.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_twenty_rows_hold_is_added_once_and_in_order() {
        let mut declared = vec!["en".to_owned()];
        let rows = [("ko", 20), ("de", 19), ("en", 40), ("fr", 21)];

        add(&mut declared, rows.into_iter().flat_map(|(code, rows)| vec![code.to_owned(); rows]));

        assert_eq!(declared, ["en", "fr", "ko"]);
    }
}
