//! An evaluation as one self-contained HTML page: no fonts, no requests, and no scripts but for the table of answers of a
//! comparison. Its plots lie beside it as files
//! of their own, for whatever else shows them.

pub(super) mod comparison;
mod labels;
mod plot;
mod routing;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use pointsman_lab::dataset::DataIdentity;
use pointsman_lab::evaluate::EvaluationReport;
use pointsman_lab::statistics::RESAMPLES;

/// The page's file in the folder of a report.
pub(super) const FILE: &str = "index.html";

const STYLE: &str = include_str!("page/style.css");

/// Colours and letters of the plots, on the page and alone.
const PLOT_STYLE: &str = include_str!("page/plot.css");

/// The plots of a page, by the names of their files.
#[derive(Default)]
struct PagePlots(Vec<(&'static str, String)>);

/// Writes the page into `folder`, which is made if need be, and returns its path; each plot lies beside it.
pub(super) fn write(folder: &Path, report: &EvaluationReport) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let (path, mut plots) = (folder.join(FILE), PagePlots::default());
    fs::write(&path, render(report, &mut plots))?;
    for (name, svg) in &plots.0 {
        fs::write(folder.join(name).with_extension("svg"), alone(svg))?;
    }
    Ok(path)
}

fn render(report: &EvaluationReport, plots: &mut PagePlots) -> String {
    let (head, bundle, data, body) = match report {
        EvaluationReport::Labels(report) => (&report.head, &report.bundle, &report.data, labels::body(report, plots)),
        EvaluationReport::Routing(report) => (&report.head, &report.bundle, &report.data, routing::body(report, plots)),
    };
    let (n, contaminated, blank, seed) = match report {
        EvaluationReport::Labels(report) => (report.n, report.contaminated, report.blank, report.seed),
        EvaluationReport::Routing(report) => (report.n, report.contaminated, report.blank, report.seed),
    };
    let DataIdentity { file, sha256 } = data;
    let (head, file) = (escape(head.as_str()), escape(file));
    let (name, version) = (escape(&bundle.name), escape(&bundle.version));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{head} on {file}</title><style>{PLOT_STYLE}{STYLE}</style></head><body><main>\n\
         <header><p class=\"kicker\">Pointsman evaluation</p><h1>Head <em>{head}</em> on {file}</h1>\
         <p class=\"sub\">{n} prompts judged by {name} {version} through the path that serves</p></header>\n{body}\n\
         <footer><dl><dt>bundle</dt><dd><code>{}</code></dd><dt>data</dt><dd><code>{sha256}</code></dd>\
         <dt>left out</dt><dd>{contaminated} contaminated, {blank} blank</dd><dt>intervals</dt><dd>95 %, {RESAMPLES} bootstrap \
         resamples, seed {seed}</dd></dl></footer></main></body></html>\n",
        bundle.sha256
    )
}

impl PagePlots {
    /// Keeps a plot that the page shows.
    fn keep(&mut self, name: &'static str, svg: String) -> String {
        self.0.push((name, svg.clone()));
        svg
    }
}

/// Returns a plot of the page as a document: on paper, with the styles that the page gives it.
fn alone(svg: &str) -> String {
    let (tag, content) = svg.split_once('>').unwrap_or((svg, ""));
    let tag = tag.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    let document =
        format!("{tag}><style>{PLOT_STYLE}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{content}\n");
    // Not every viewer knows the variables of style sheets.
    colours().fold(document, |document, (name, colour)| document.replace(&format!("var({name})"), colour))
}

/// Returns the variables of [`PLOT_STYLE`] and their colours.
fn colours() -> impl Iterator<Item = (&'static str, &'static str)> {
    let root = PLOT_STYLE.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(root, _)| root);
    root.split(';').filter_map(|variable| variable.split_once(':'))
}

/// Returns the tiles on top: what is measured, its value, what to compare it with.
fn tiles<const N: usize>(tiles: [(&str, String, String); N]) -> String {
    let mut html = String::from("<section class=\"tiles\">");
    for (name, value, note) in tiles {
        let _ =
            write!(html, "<div class=\"tile\"><span>{name}</span><strong>{value}</strong><small>{note}</small></div>");
    }
    html + "</section>"
}

/// Returns a titled card; `note` says how to read it.
fn card(title: &str, note: &str, content: &str) -> String {
    format!("<section class=\"card\"><h2>{title}</h2><p class=\"note\">{note}</p>{content}</section>")
}

/// Returns a table whose first column is text and whose others are numbers.
fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let cells =
        |tag: &str, cells: &[String]| cells.iter().map(|cell| format!("<{tag}>{cell}</{tag}>")).collect::<String>();
    let header = cells("th", &header.map(str::to_owned));
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>", cells("td", row))).collect();
    format!("<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>")
}

/// Returns `text` so that HTML reads it as text: names of files, models and labels are the operator's.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escape("<img src=\"x\">&"), "&lt;img src=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn a_plot_alone_brings_its_colours_and_its_paper() {
        let document = alone("<svg viewBox=\"0 0 4 2\"><text x=\"1\" fill=\"var(--accent)\">a</text></svg>");

        assert!(
            document.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 4 2\"><style>:root{--ink:")
        );
        assert!(document.ends_with("fill=\"#fff\"/><text x=\"1\" fill=\"#0b6e99\">a</text></svg>\n"));
        assert!(!document.contains("var("));
    }
}
