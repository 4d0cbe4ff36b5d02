//! The figures of a plausibility set as a person reads them.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use pointsman_lab::evaluate::{PlacedShare, PlausibilityFigures, PlausibilityReport, SHORT_TOKENS, TierCounts};
use pointsman_lab::statistics::{ConfidenceInterval, RESAMPLES};

use crate::cli::table::{ColumnAlign, TextTable};

/// Returns the report as lines of text.
pub(in crate::cli::lab::eval) fn render(report: &PlausibilityReport) -> String {
    let mut text = String::new();
    let bundle = &report.bundle;
    let _ = writeln!(text, "bundle  {} {} (sha256 {})", bundle.name, bundle.version, bundle.sha256);
    for data in &report.data {
        let _ = writeln!(text, "data    {} (sha256 {})", data.file, data.sha256);
    }
    let PlausibilityFigures { prompts, conversations, .. } = report.all;
    let _ = writeln!(text, "rows    {prompts} prompts, {conversations} conversations");
    let _ = writeln!(text, "tiers   head {}, {}", report.head, report.tiers);
    let halves = report.halves.iter().map(|(half, figures)| (half.as_str(), figures));
    for (name, figures) in halves.chain([("all", &report.all)]) {
        let _ = write!(text, "\n{name}\n{}", shares(figures));
    }
    let _ = write!(text, "\nby language, in %\n{}", grouped(&report.languages));
    let _ = write!(text, "\nby domain, in %\n{}", grouped(&report.domains));
    let _ = write!(text, "\nby length, in %\n{}", grouped(&report.lengths));
    let _ = writeln!(text, "  short: requests of at most {SHORT_TOKENS} tokens");
    let reasons: Vec<String> = report.reasons.iter().map(|(reason, rows)| format!("{reason} {rows}")).collect();
    let _ = writeln!(text, "\nreasons: {}", reasons.join(", "));
    let _ = writeln!(text, "intervals: 95 %, {RESAMPLES} bootstrap resamples, seed {}", report.seed);
    text
}

fn shares(figures: &PlausibilityFigures) -> String {
    let mut table = TextTable::new(
        ["", "%", "95 %", "rows"],
        [ColumnAlign::Left, ColumnAlign::Right, ColumnAlign::Left, ColumnAlign::Right],
    );
    for (name, share) in figures.shares() {
        let spread = share.ci95.map_or_else(String::new, |ConfidenceInterval { low, high }| {
            format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high)
        });
        table.push([name.replace('_', " "), percent(share), spread, format!("{} of {}", share.hits, share.n)]);
    }
    let middle = |counts: TierCounts| format!("{} bottom, {} middle, {} top", counts.bottom, counts.middle, counts.top);
    let (prompts, conversations) = (middle(figures.middle_prompts), middle(figures.middle_conversations));
    table.render() + &format!("  of the middle level: prompts {prompts}; conversations {conversations}\n")
}

fn grouped<K: Display>(groups: &BTreeMap<K, PlausibilityFigures>) -> String {
    let mut table = TextTable::new(
        ["", "prompts", "hard top", "hard bottom", "trivial top", "trivial bottom", "conversations", "right"],
        [
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
        ],
    );
    for (name, figures) in groups {
        let PlausibilityFigures { prompts, conversations, .. } = figures;
        table.push([
            name.to_string(),
            prompts.to_string(),
            percent(figures.hard_at_top),
            percent(figures.hard_at_bottom),
            percent(figures.trivial_at_top),
            percent(figures.trivial_at_bottom),
            conversations.to_string(),
            percent(figures.conversations_right),
        ]);
    }
    table.render()
}

/// Returns a share in percent, or a dash of no rows.
fn percent(share: PlacedShare) -> String {
    share.share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
}
