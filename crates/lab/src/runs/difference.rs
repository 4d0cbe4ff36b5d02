//! Two runs side by side.

use std::collections::BTreeSet;

use serde::Serialize;

use super::RunRecord;

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDifference {
    /// The one run's id.
    pub a: String,
    /// The other's.
    pub b: String,
    /// What each run was made of: command, versions, configuration, bundles, data, seed.
    pub facts: Vec<RunFact>,
    /// Every figure of either.
    pub figures: Vec<RunFigure>,
}

/// Something that a run was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFact {
    /// Its name.
    pub name: String,
    /// Of the one run; `None` where it has none.
    pub a: Option<String>,
    /// Of the other.
    pub b: Option<String>,
    /// True when both are the same.
    pub same: bool,
}

/// A figure of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFigure {
    /// The figure's name.
    pub name: String,
    /// Of the one run; `None` where it has none.
    pub a: Option<f64>,
    /// Of the other.
    pub b: Option<f64>,
    /// The other's less the one's.
    pub difference: Option<f64>,
    /// The difference as a share of the one's; `None` where that is 0.
    pub relative: Option<f64>,
}

impl RunDifference {
    /// Compares two runs.
    #[must_use]
    pub fn of(a: &RunRecord, b: &RunRecord) -> Self {
        let names: BTreeSet<&String> = a.figures.keys().chain(b.figures.keys()).collect();
        let figure = |name: &String| RunFigure::of(name, a.figures.get(name).copied(), b.figures.get(name).copied());
        let (known, other) = (facts(a), facts(b));
        let titles: Vec<&String> = {
            let mut titles: Vec<&String> = known.iter().map(|(title, _)| title).collect();
            titles.extend(
                other.iter().map(|(title, _)| title).filter(|title| !known.iter().any(|(own, _)| own == *title)),
            );
            titles
        };
        let value = |facts: &[(String, String)], wanted: &String| {
            facts.iter().find(|(title, _)| title == wanted).map(|(_, value)| value.clone())
        };
        let fact = |title: &String| {
            let (a, b) = (value(&known, title), value(&other, title));
            RunFact { name: title.clone(), same: a == b, a, b }
        };
        Self {
            a: a.id.clone(),
            b: b.id.clone(),
            facts: titles.into_iter().map(fact).collect(),
            figures: names.into_iter().map(figure).collect(),
        }
    }
}

impl RunFigure {
    fn of(name: &str, a: Option<f64>, b: Option<f64>) -> Self {
        let difference = a.zip(b).map(|(a, b)| b - a);
        let relative = difference.zip(a).filter(|(_, a)| *a != 0.0).map(|(difference, a)| difference / a.abs());
        Self { name: name.to_owned(), a, b, difference, relative }
    }
}

/// Returns what a run was made of, in the order in which a reader asks.
fn facts(record: &RunRecord) -> Vec<(String, String)> {
    let mut facts = vec![("command".to_owned(), record.command.clone())];
    facts.extend(record.versions.iter().map(|(program, version)| (format!("version of {program}"), version.clone())));
    facts.extend(record.config.iter().map(|file| ("configuration".to_owned(), short(&file.sha256))));
    let bundles = record.bundles.iter().enumerate().map(|(place, bundle)| {
        let name = if place == 0 { "bundle".to_owned() } else { format!("bundle {}", place + 1) };
        (name, format!("{} {} {}", bundle.name, bundle.version, short(&bundle.sha256)))
    });
    facts.extend(bundles);
    let data = record.data.iter().enumerate().map(|(place, file)| {
        let name = if place == 0 { "data".to_owned() } else { format!("data {}", place + 1) };
        let rows = file.rows.map(|rows| format!(", {rows} rows")).unwrap_or_default();
        (name, format!("{}{rows}", short(&file.sha256)))
    });
    facts.extend(data);
    facts.extend(record.seed.iter().map(|seed| ("seed".to_owned(), seed.to_string())));
    facts
}

/// Returns the beginning of a hash, enough to tell files apart.
fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect()
}
