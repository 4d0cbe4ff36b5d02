//! An evaluation as one self-contained HTML page: no scripts, no fonts, no requests.

mod labels;
mod plot;
mod routing;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::evaluate::{DataIdentity, RESAMPLES, Report};

/// The page's file in the folder of a report.
const FILE: &str = "index.html";

const STYLE: &str = include_str!("page/style.css");

/// Writes the page into `folder`, which is made if need be, and returns its path.
pub(super) fn write(folder: &Path, report: &Report) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(FILE);
    fs::write(&path, render(report))?;
    Ok(path)
}

fn render(report: &Report) -> String {
    let (head, bundle, data, body) = match report {
        Report::Labels(report) => (&report.head, &report.bundle, &report.data, labels::body(report)),
        Report::Routing(report) => (&report.head, &report.bundle, &report.data, routing::body(report)),
    };
    let (n, contaminated, blank, seed) = match report {
        Report::Labels(report) => (report.n, report.contaminated, report.blank, report.seed),
        Report::Routing(report) => (report.n, report.contaminated, report.blank, report.seed),
    };
    let DataIdentity { file, sha256 } = data;
    let (head, file) = (escape(head.as_str()), escape(file));
    let (name, version) = (escape(&bundle.name), escape(&bundle.version));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{head} on {file}</title><style>{STYLE}</style></head><body><main>\n\
         <header><p class=\"kicker\">Pointsman evaluation</p><h1>Head <em>{head}</em> on {file}</h1>\
         <p class=\"sub\">{n} prompts judged by {name} {version} through the path that serves</p></header>\n{body}\n\
         <footer><dl><dt>bundle</dt><dd><code>{}</code></dd><dt>data</dt><dd><code>{sha256}</code></dd>\
         <dt>left out</dt><dd>{contaminated} contaminated, {blank} blank</dd><dt>intervals</dt><dd>95 %, {RESAMPLES} bootstrap \
         resamples, seed {seed}</dd></dl></footer></main></body></html>\n",
        bundle.sha256
    )
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
}
