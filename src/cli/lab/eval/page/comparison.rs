//! A comparison as one page that works from the file system: figures, and every prompt with its answers side by side.
//!
//! The page asks nobody for anything: its policy for content allows its own script, by its hash, and no connection.
//! Texts of prompts and answers are anybody's. They stand in blocks of JSON in which no `<` is left, and the script puts
//! them into the page as text alone.

mod rows;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman_lab::comparison::{Comparison, ComparisonReport, ContenderFigures, ContenderKind, RouterFigures};
use pointsman_lab::statistics::{ConfidenceInterval, RESAMPLES};
use sha2::{Digest, Sha256};

use super::super::tables::comparison::{dollars, everybody, shares, title};
use super::plot::Plot;
use super::{FILE, PLOT_STYLE, STYLE, alone, card, escape, table, tiles};

const OWN_STYLE: &str = include_str!("comparison/style.css");
const SCRIPT: &str = include_str!("comparison/script.js");

/// Writes the page into `folder`, which is made if need be, and returns its path; its plot lies beside it.
pub(in crate::cli::lab::eval) fn write(folder: &Path, comparison: &Comparison) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(FILE);
    let plot = cost_quality(&comparison.report);
    fs::write(&path, render(comparison, &plot))?;
    if !plot.is_empty() {
        fs::write(folder.join("cost-quality.svg"), alone(&plot))?;
    }
    Ok(path)
}

fn render(comparison: &Comparison, plot: &str) -> String {
    let report = &comparison.report;
    let digest = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    let file = escape(&report.data.file);
    let routers = report.routers.iter().map(|router| escape(&router.figures.name)).collect::<Vec<_>>().join(", ");
    let (n, models) = (report.n, report.models.len());
    let what = if routers.is_empty() {
        format!("{models} models")
    } else {
        format!("<em>{routers}</em> beside {models} models")
    };
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\"><title>Answers on {file}</title>\
         <style>{PLOT_STYLE}{STYLE}{OWN_STYLE}</style></head><body><main>\n<header><p class=\"kicker\">Pointsman comparison</p>\
         <h1>{what} on {file}</h1><p class=\"sub\">{n} prompts that all answered, of {} answers</p></header>\n",
        report.answers
    );
    html += &report.routers.first().map(|router| headline(report, router)).unwrap_or_default();
    html += &card("Quality and cost", NOTE, &scroll(&quality(report)));
    if !plot.is_empty() {
        html += &card("Cost and quality", "Up and to the left is better.", plot);
    }
    html += &card("Times", "Milliseconds, the choice of the model included.", &scroll(&times(report)));
    report.routers.iter().for_each(|router| html += &differences(router));
    html += EXPLORER;
    html += &footer(report);
    html += "</main>\n";
    html += DETAIL;
    html += &rows::blocks(comparison);
    let _ = writeln!(html, "<script>{SCRIPT}</script></body></html>");
    html
}

const NOTE: &str = "The policy first, then every single model, the oracle that knows the best answer beforehand, prompt length with \
                    the policy's shares, and chance. PGR is the part of the gap between the cheap and the strong model.";

/// The table of prompts, which the script fills.
const EXPLORER: &str = r#"<section class="card prompts" aria-labelledby="prompts-title"><h2 id="prompts-title">Prompts</h2>
<p class="note" id="hint">Arrow keys move, Enter opens, <kbd>/</kbd> searches. Wrong choices come first, then right ones that mattered.</p>
<form class="filters" id="filters" autocomplete="off">
<label class="search">Text<input type="search" id="text" placeholder="prompt, answer, reason, id" maxlength="200"></label>
<label data-routed>Policy<select id="policy"></select></label>
<label data-routed>Choice<select id="verdict"></select></label>
<label data-routed>Label<select id="label"></select></label>
<label>Model<select id="model"></select></label>
<label>Order<select id="order"></select></label>
</form>
<p class="count" id="count" role="status"></p>
<div class="columns" aria-hidden="true"><span>choice</span><span>prompt</span><span>model</span><span>label</span><span>quality</span><span>$ per 1k</span><span>ms</span></div>
<div class="list" id="list" role="listbox" tabindex="0" aria-labelledby="prompts-title" aria-describedby="hint"><div id="space"></div></div>
<noscript><p>The table of prompts needs scripts; the figures above do not.</p></noscript>
</section>
"#;

/// The prompt that is looked at.
const DETAIL: &str = r#"<dialog id="detail" aria-labelledby="detail-title"><div class="bar"><h2 id="detail-title"></h2>
<button type="button" id="previous" title="previous (left arrow)">Previous</button><button type="button" id="next" title="next (right arrow)">Next</button>
<button type="button" id="close" title="close (Escape)">Close</button></div><div class="body" id="body" tabindex="-1"></div></dialog>
"#;

/// Returns the tiles on top: the first policy beside the strong model.
fn headline(report: &ComparisonReport, router: &RouterFigures) -> String {
    let figures = &router.figures;
    let strong = router.against.iter().find(|other| other.name == report.strong);
    let cost = strong.and_then(|strong| strong.cost_share);
    let cost_ci = strong.and_then(|strong| strong.cost_share_ci95);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let spread =
        |ConfidenceInterval { low, high }: ConfidenceInterval| format!("95 %: {} to {}", percent(low), percent(high));
    let dash = || "-".to_owned();
    let (wrong, n) = (router.choices.wrong, report.n.max(1));
    let name = escape(&report.strong);
    tiles([
        (
            "Quality",
            format!("{:.3}", figures.quality),
            format!("{}<br>{name}: {:.3}", within(figures.quality_ci95), quality_of(report, &report.strong)),
        ),
        (
            "Cost",
            cost.map_or_else(dash, percent),
            format!("of {name}'s<br>{}", cost_ci.map(spread).unwrap_or_default()),
        ),
        ("PGR", figures.pgr.map_or_else(dash, percent), figures.pgr_ci95.map(spread).unwrap_or_default()),
        ("Wrong choices", percent(wrong as f64 / n as f64), format!("{wrong} of {n}; {} dear", router.choices.dear)),
    ])
}

fn quality_of(report: &ComparisonReport, name: &str) -> f64 {
    report.models.iter().find(|model| model.name == name).map_or(0.0, |model| model.quality)
}

fn within(ConfidenceInterval { low, high }: ConfidenceInterval) -> String {
    format!("95 %: {low:.3} to {high:.3}")
}

fn quality(report: &ComparisonReport) -> String {
    let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let row = |figures: &ContenderFigures| {
        let ConfidenceInterval { low, high } = figures.quality_ci95;
        [
            escape(&title(figures)),
            format!("{:.3}", figures.quality),
            format!("{low:.3} to {high:.3}"),
            format!("{:.3}", figures.accuracy),
            dollars(figures.cost_usd),
            known(figures.pgr),
            known(figures.arena_score),
            escape(&shares(figures)),
        ]
    };
    let rows: Vec<_> = everybody(report).map(row).collect();
    table(["", "quality", "95 %", "right", "$ per 1k", "PGR", "arena score", "models"], &rows)
}

fn times(report: &ComparisonReport) -> String {
    let row = |figures: &ContenderFigures| {
        let cells = [figures.latency_ms, figures.first_byte_ms].map(|times| {
            times.map_or(["-".to_owned(), "-".to_owned()], |it| [it.p50, it.p95].map(|ms| format!("{ms:.0}")))
        });
        let own = figures.overhead_us.map_or_else(|| "-".to_owned(), |it| format!("{:.1}", it.p95 / 1e3));
        let [[a, b], [c, d]] = cells;
        [escape(&title(figures)), a, b, c, d, own]
    };
    let timed = everybody(report).filter(|figures| figures.latency_ms.is_some() || figures.overhead_us.is_some());
    let rows: Vec<_> = timed.map(row).collect();
    if rows.is_empty() {
        return "<p class=\"sub\">The answers have no times.</p>".to_owned();
    }
    table(["", "p50", "p95", "first byte p50", "p95", "own work p95"], &rows)
}

fn differences(router: &RouterFigures) -> String {
    let rows: Vec<[String; 5]> = router
        .against
        .iter()
        .map(|other| {
            let ConfidenceInterval { low, high } = other.quality_ci95;
            let percent = |share: f64| format!("{:.0} %", 100.0 * share);
            let spread = other.cost_share_ci95.map(|it| format!("{} to {}", percent(it.low), percent(it.high)));
            [
                format!("less {}", escape(&other.name)),
                format!("{:+.3}", other.quality),
                format!("{low:+.3} to {high:+.3}"),
                other.cost_share.map_or_else(|| "-".to_owned(), percent),
                spread.unwrap_or_default(),
            ]
        })
        .collect();
    let name = escape(&title(&router.figures));
    let note = "Differences of quality on the same prompts; costs as a share of the other's.";
    card(&format!("{name} beside the others"), note, &scroll(&table(["", "quality", "95 %", "cost", "95 %"], &rows)))
}

/// Draws everybody whose cost is known; nothing where that is nobody.
fn cost_quality(report: &ComparisonReport) -> String {
    let dots: Vec<(&ContenderFigures, (f64, f64))> = everybody(report)
        .filter_map(|figures| Some((figures, (1000.0 * figures.cost_usd?, figures.quality))))
        .collect();
    let fold = |of: fn(&(f64, f64)) -> f64, from: f64, with: fn(f64, f64) -> f64| {
        dots.iter().map(|(_, point)| of(point)).fold(from, with)
    };
    let top = fold(|point| point.0, 0.0, f64::max) * 1.25;
    if top <= 0.0 {
        return String::new();
    }
    let (low, high) = (fold(|point| point.1, 1.0, f64::min), fold(|point| point.1, 0.0, f64::max));
    let margin = ((high - low) * 0.2).max(0.02);
    let axes = [(0.0, top), (low - margin, high + margin)];
    let mut plot = Plot::new((960.0, 380.0), axes, ["mean cost, USD per thousand prompts", "quality"]);
    for (figures, point) in &dots {
        let (colour, radius) = match figures.kind {
            ContenderKind::Policy | ContenderKind::PolicyOffline => ("--accent", 7.0),
            ContenderKind::Model => ("--warm", 5.0),
            ContenderKind::Oracle => ("--good", 5.0),
            ContenderKind::Random | ContenderKind::Length | ContenderKind::Ranked => ("--grey", 5.0),
        };
        plot.dots(&[*point], colour, radius);
        plot.label(*point, &figures.name);
    }
    plot.finish()
}

fn scroll(table: &str) -> String {
    format!("<div class=\"scroll\" tabindex=\"0\">{table}</div>")
}

fn footer(report: &ComparisonReport) -> String {
    let reasons: Vec<String> =
        report.left_out.reasons().map(|(reason, n)| format!("{n} prompts: {}", escape(&reason))).collect();
    let left_out = if reasons.is_empty() { "nothing".to_owned() } else { reasons.join("<br>") };
    format!(
        "<footer><dl><dt>data</dt><dd><code>{}</code></dd><dt>left out</dt><dd>{left_out}</dd><dt>strong, weak</dt><dd>{}, {}</dd>\
         <dt>intervals</dt><dd>95 %, {RESAMPLES} bootstrap resamples of prompts, the same for all, seed {}</dd></dl></footer>",
        report.data.sha256,
        escape(&report.strong),
        escape(&report.weak),
        report.seed
    )
}
