//! The command line that starts RouteLLM's server, in whatever file it stands; and RouteLLM's controller in Python.

use super::{NamedModel, ROUTERS, RouterPair};
use crate::credentials::KeyReference;
use crate::finding::{Finding, FindingKind, FindingLog};

/// The module that is RouteLLM's server.
const SERVER: &str = "routellm.openai_server";

/// What the command line of a server says.
pub(super) struct ServerCommand {
    pub(super) pair: RouterPair,
    /// The port that it listens on.
    pub(super) address: Option<u16>,
    /// Findings about options that have no counterpart.
    pub(super) unknown: Vec<Finding>,
}

/// Tells whether `text` starts a server, or makes a controller.
pub(super) fn is_script(text: &str) -> bool {
    text.contains(SERVER) || (text.contains("routellm") && text.contains("Controller("))
}

/// A word of a script, and its line.
struct ScriptWord<'t> {
    text: &'t str,
    line: usize,
}

impl ServerCommand {
    pub(super) fn read(text: &str, findings: &FindingLog) -> Self {
        let mut own = Self { pair: RouterPair::default(), address: None, unknown: Vec::new() };
        let words: Vec<ScriptWord<'_>> =
            text.lines().enumerate().flat_map(|(index, line)| words(line, index + 1)).collect();
        let mut at = words.iter().position(|word| word.text == SERVER).map_or(words.len(), |at| at + 1);
        while let Some(word) = words.get(at) {
            at += 1;
            let Some(option) = word.text.strip_prefix("--") else {
                if word.text == ";" || word.text == "&&" {
                    break;
                }
                continue;
            };
            let (option, joined) =
                option.split_once('=').map_or((option, None), |(option, value)| (option, Some(value)));
            let mut values: Vec<&str> = joined.into_iter().collect();
            while values.is_empty() || option == "routers" {
                match words.get(at).filter(|next| !next.text.starts_with("--") && !matches!(next.text, ";" | "&&")) {
                    Some(next) if option != "routers" || ROUTERS.contains(&next.text) => values.push(next.text),
                    _ => break,
                }
                at += 1;
            }
            own.option(option, &values, word.line);
        }
        own.read_controller(text);
        own.read_thresholds(text);
        own.note_keys(text, findings);
        own
    }

    fn option(&mut self, option: &str, values: &[&str], line: usize) {
        let value = values.first().copied();
        let named = |name: &str| NamedModel { name: name.to_owned(), line };
        let left_out = |message: &str| Finding {
            line,
            last_line: line,
            path: format!("--{option}"),
            kind: FindingKind::LeftOut,
            message: message.to_owned(),
        };
        match option {
            "routers" => self.pair.routers = values.iter().map(|router| (*router).to_owned()).collect(),
            "strong-model" => self.pair.strong = value.map(named),
            "weak-model" => self.pair.weak = value.map(named),
            "base-url" | "alt-base-url" => self.pair.base_url = value.map(str::to_owned),
            "port" => self.address = value.and_then(|port| port.parse().ok()),
            "api-key" | "alt-api-key" => {
                let is_inline = value.is_some_and(|key| KeyReference::of(key) == KeyReference::Inline);
                let kind = if is_inline { FindingKind::Secret } else { FindingKind::LeftOut };
                let message = "keys stand in the providers' variables; this one was not copied";
                self.unknown.push(Finding { kind, ..left_out(message) });
            }
            "config" => self.unknown.push(left_out(
                "the routers' weights have no counterpart: the head `strong_wins` of the bundle takes their place",
            )),
            "workers" | "verbose" => {}
            _ => self.unknown.push(left_out("nothing here stands for it")),
        }
    }

    /// Reads `Controller(routers=["mf"], strong_model="...", weak_model="...")`.
    fn read_controller(&mut self, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let quoted = |key: &str| {
                let rest = line.split_once(key)?.1.trim_start().strip_prefix('=')?.trim_start();
                let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
                let name = rest[1..].split(quote).next()?;
                Some(NamedModel { name: name.to_owned(), line: index + 1 })
            };
            self.pair.strong = self.pair.strong.take().or_else(|| quoted("strong_model"));
            self.pair.weak = self.pair.weak.take().or_else(|| quoted("weak_model"));
            if let Some((_, rest)) =
                line.split_once("routers").filter(|_| self.pair.routers.is_empty() && line.contains('['))
            {
                let found = ROUTERS
                    .iter()
                    .filter(|router| rest.contains(&format!("\"{router}\"")) || rest.contains(&format!("'{router}'")));
                self.pair.routers = found.map(|router| (*router).to_owned()).collect();
            }
        }
    }

    /// Finds `router-mf-0.11593`, the names by which clients choose a router and a threshold.
    fn read_thresholds(&mut self, text: &str) {
        for (index, line) in text.lines().enumerate() {
            for (at, _) in line.match_indices("router-") {
                let rest = &line[at + "router-".len()..];
                let name = ROUTERS.iter().find(|router| rest.starts_with(&format!("{router}-")));
                let Some((router, rest)) = name.map(|name| (*name, &rest[name.len() + 1..])) else { continue };
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                let threshold = rest[..end].trim_end_matches('.');
                let is_new = !self.pair.asked.iter().any(|(own, number, _)| own == router && number == threshold);
                if threshold.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number)) && is_new {
                    self.pair.asked.push((router.to_owned(), threshold.to_owned(), index + 1));
                }
            }
        }
        for (router, ..) in &self.pair.asked {
            if !self.pair.routers.contains(router) {
                self.pair.routers.push(router.clone());
            }
        }
    }

    /// Notes keys that the script gives to variables: they are not copied.
    fn note_keys(&self, text: &str, findings: &FindingLog) {
        for (index, line) in text.lines().enumerate() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let is_key = name.trim_end().trim_end_matches(['"', '\'', ']']).ends_with("API_KEY");
            let value = value.trim().trim_matches(['"', '\'']);
            if is_key && KeyReference::of(value) == KeyReference::Inline {
                let line = index + 1;
                let message = "a key stands here; it was not copied: set the variable before Pointsman starts, and have the vendor replace the key";
                findings.note(Finding {
                    line,
                    last_line: line,
                    path: String::new(),
                    kind: FindingKind::Secret,
                    message: message.to_owned(),
                });
            }
        }
    }
}

/// The words of a line of a script, a list in YAML or an array in JSON.
fn words(line: &str, number: usize) -> impl Iterator<Item = ScriptWord<'_>> {
    let bounds = |c: char| c.is_whitespace() || "\"'`,[]\\".contains(c);
    let said = if line.trim_start().starts_with('#') { "" } else { line };
    said.split(bounds)
        .filter(|word| !word.is_empty() && *word != "-")
        .map(move |text| ScriptWord { text, line: number })
}
