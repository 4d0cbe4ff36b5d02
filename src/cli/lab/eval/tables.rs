//! An evaluation as a person reads it.

pub(super) mod comparison;
pub(super) mod plausibility;
mod routing;

use std::fmt::Write as _;

use pointsman_lab::evaluate::{EnvelopeFlips, EnvelopeReport, EvaluationReport, LabelBaseline, LabelReport};
use pointsman_lab::statistics::{BINS, CalibrationIntervals, ClassificationFigures, ConfidenceInterval, RESAMPLES};

use crate::cli::table::{ColumnAlign, TextTable};

/// Returns the report as lines of text.
pub(super) fn render(report: &EvaluationReport) -> String {
    match report {
        EvaluationReport::Labels(report) => labelled(report),
        EvaluationReport::Routing(report) => routing::render(report),
    }
}

/// Returns the flips that envelopes cause as lines of text.
pub(super) fn envelopes(report: &EnvelopeReport) -> String {
    let EnvelopeReport { bundle, head, data, seed, rows, flips } = report;
    let mut text = String::new();
    let _ = writeln!(text, "bundle  {} {} (sha256 {})", bundle.name, bundle.version, bundle.sha256);
    let _ = writeln!(text, "data    {} (sha256 {})", data.file, data.sha256);
    let _ =
        writeln!(text, "rows    {rows} prompts, seed {seed}\n\nprompts whose label of the head {head} changes, in %");
    let mut table = TextTable::new(
        ["envelope", "place", "of the ask", "of the whole turn"],
        [ColumnAlign::Left, ColumnAlign::Left, ColumnAlign::Right, ColumnAlign::Right],
    );
    let percent = |count: usize| format!("{:.1}", 100.0 * count as f64 / *rows as f64);
    for EnvelopeFlips { envelope, place, ask, whole_turn } in flips {
        table.push([(*envelope).to_owned(), (*place).to_owned(), percent(*ask), percent(*whole_turn)]);
    }
    let mean =
        |count: fn(&EnvelopeFlips) -> usize| percent(flips.iter().map(count).sum::<usize>() / flips.len().max(1));
    table.push(["mean".into(), String::new(), mean(|flips| flips.ask), mean(|flips| flips.whole_turn)]);
    text + &table.render()
}

fn labelled(report: &LabelReport) -> String {
    let mut text = String::new();
    let bundle = &report.bundle;
    let _ = writeln!(text, "bundle  {} {} (sha256 {})", bundle.name, bundle.version, bundle.sha256);
    let _ = writeln!(text, "data    {} (sha256 {})", report.data.file, report.data.sha256);
    let (n, contaminated, blank, unknown) = (report.n, report.contaminated, report.blank, report.unknown_label);
    let _ = writeln!(
        text,
        "rows    {n} judged; left out: {contaminated} contaminated, {blank} blank, {unknown} of labels that the head has not"
    );
    let _ = write!(text, "\nhead {} beside baselines\n{}", report.head, comparison(report));
    if let Some(auc) = report.spread.auc {
        let _ = writeln!(text, "  AUC of the head: {} at 95 %", interval(auc));
    }
    let _ = writeln!(
        text,
        "  length: the shortest prompts get the first label and so on, each label as often as the head gave it\n  \
         random: labels drawn as often as each is right; AUC: one label against the rest, of baselines by their labels alone"
    );
    let _ = write!(text, "\ncalibration\n{}", calibration(report));
    let _ = write!(text, "\nlabels\n{}", labels(report));
    let _ = write!(text, "\nconfusion\n{}", confusion(report));
    let _ = writeln!(text, "\nintervals: 95 %, {RESAMPLES} bootstrap resamples, seed {}", report.seed);
    text
}

fn comparison(report: &LabelReport) -> String {
    let mut table = TextTable::new(
        ["", "accuracy", "95 %", "macro F1", "95 %", "weighted F1", "adjacent", "AUC"],
        [
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
        ],
    );
    let mut push = |name: &str, (figures, auc): (&ClassificationFigures, Option<f64>), intervals: [String; 2]| {
        let [accuracy, macro_f1] = intervals;
        table.push([
            name.to_owned(),
            share(figures.accuracy),
            accuracy,
            share(figures.macro_f1),
            macro_f1,
            share(figures.weighted_f1),
            share(figures.adjacent_accuracy),
            known(auc),
        ]);
    };
    let intervals = [report.intervals.accuracy, report.intervals.macro_f1].map(interval);
    push("head", (&report.figures, report.auc), intervals);
    let baselines = &report.baselines;
    let single = format!("best single ({})", baselines.best_single.label);
    for (name, LabelBaseline { figures, auc }) in [
        ("length", &baselines.length),
        ("random", &baselines.random),
        (single.as_str(), &baselines.best_single.figures),
        ("oracle", &baselines.oracle),
    ] {
        push(name, (figures, *auc), Default::default());
    }
    table.render()
}

fn calibration(report: &LabelReport) -> String {
    let figures = report.calibration;
    let mut table = TextTable::new(
        ["ECE", "95 %", "by chance", "Brier", "95 %", "NLL", "bins"],
        [
            ColumnAlign::Right,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
        ],
    );
    let honesty = report.spread.honesty;
    let of = |figure: fn(&CalibrationIntervals) -> String| honesty.as_ref().map(figure).unwrap_or_default();
    table.push([
        share(figures.ece),
        of(|honesty| interval(honesty.ece)),
        of(|honesty| share(honesty.ece_by_chance)),
        share(figures.brier),
        of(|honesty| interval(honesty.brier)),
        share(figures.nll),
        BINS.to_string(),
    ]);
    table.render() + "  by chance: the ECE of so many probabilities that are exactly right\n"
}

fn labels(report: &LabelReport) -> String {
    let mut table = TextTable::new(
        ["label", "precision", "recall", "F1", "AUC", "support"],
        [
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
            ColumnAlign::Right,
        ],
    );
    for class in &report.classes {
        let figures = class.figures;
        table.push([
            class.label.to_string(),
            share(figures.precision),
            share(figures.recall),
            share(figures.f1),
            known(class.auc),
            figures.support.to_string(),
        ]);
    }
    table.render()
}

/// One line for each true label: a head may have more labels than a terminal has columns.
fn confusion(report: &LabelReport) -> String {
    let mut table = TextTable::new(["truth", "judged as"], [ColumnAlign::Left, ColumnAlign::Left]);
    for (class, row) in report.classes.iter().zip(&report.confusion) {
        let judged = report.classes.iter().zip(row).filter(|(_, count)| **count > 0);
        let judged: Vec<String> = judged.map(|(class, count)| format!("{} {count}", class.label)).collect();
        table.push([class.label.to_string(), judged.join(", ")]);
    }
    table.render()
}

fn share(value: f64) -> String {
    format!("{value:.4}")
}

/// Returns a figure, or a dash where nothing can be said.
fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), share)
}

fn interval(ConfidenceInterval { low, high }: ConfidenceInterval) -> String {
    format!("{low:.4} to {high:.4}")
}
