//! Imports point one way between the rooms of a crate, and heavy libraries stay in their rooms. Between crates the manifests
//! enforce it.
//!
//! Reads the sources as text: every path that starts at `crate::`, at `super::` far enough up, or at another crate is looked
//! at, wherever it stands. Test modules are left out, as tests may use what they like.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate of the workspace and the order of its rooms. Which crate may see which, and which libraries, is for the manifests.
struct House {
    folder: &'static str,
    /// The rooms from the top to the foundations; a room may use those below it, never its equals.
    floors: &'static [&'static [&'static str]],
    /// Rooms that any other may use, but for those that they are closed to; they use nothing of their crate themselves.
    ground: &'static [(&'static str, &'static [&'static str])],
}

const HOUSES: &[House] = &[
    House {
        folder: "src",
        floors: &[
            &["main"],
            // Tests only: it plays many processes.
            &["cli", "fleet"],
            &["admin", "ext_proc", "grpc"],
            &["proxy", "reload", "preflight"],
            &["decisions", "inference", "router"],
            &["classify"],
            &["snapshot"],
            &["judge", "shadow_answers", "answer_sampler", "response_cache", "budgets", "source", "grpc_connection"],
            &["upstream", "clients", "certificates"],
            &["store", "json_list"],
        ],
        ground: &[],
    },
    House {
        folder: "crates/core/src",
        floors: &[
            &["answer_check"],
            &["policy", "usage", "model_family"],
            &["features", "scores"],
            &["judgement", "prompt"],
        ],
        ground: &[("config", &["judgement", "prompt", "features", "scores"])],
    },
    House {
        folder: "crates/translation/src",
        floors: &[
            &["pair"],
            &["chat", "messages", "responses", "gemini"],
            &["translation"],
            &["conversion"],
            &["neutral"],
            &["sealed", "refusal"],
            &["events", "family", "json", "loss"],
        ],
        ground: &[],
    },
    // Generated code and its names, and how its messages are read.
    House { folder: "crates/protocols/src", floors: &[&["codec"], &["classify", "inference"]], ground: &[] },
    House {
        folder: "crates/telemetry/src",
        floors: &[
            &["metrics_export"],
            &["decision_log", "traces"],
            &["access_log", "audit_log"],
            &["logging", "metrics", "collector"],
        ],
        ground: &[],
    },
    House {
        folder: "crates/http-client/src",
        floors: &[
            &["client"],
            &["kept"],
            &["connection"],
            &["destination"],
            &["tls", "error", "retry_after", "failure_breaker", "failure_spell"],
        ],
        ground: &[],
    },
    House {
        folder: "crates/remote-classifier/src",
        floors: &[
            &["classifier"],
            &["server", "mapping", "spell"],
            &["failure"],
            &["contract"],
            &["protocol"],
            &["queue", "cache", "hedging", "breaker", "text"],
        ],
        ground: &[],
    },
    House {
        folder: "crates/import/src",
        floors: &[
            &["litellm", "bifrost", "routellm", "switchyard", "claude_code_router", "semantic_router"],
            &["deployments"],
            &["credentials", "repair"],
            &["draft"],
            &["vendors", "reader", "efforts"],
            &["expression", "source", "yaml_text"],
            &["finding", "key_variables"],
        ],
        ground: &[],
    },
    House {
        folder: "crates/classifier/src",
        floors: &[&["shadow", "similarity"], &["serving"], &["onnx"], &["bundle"], &["scoring"], &["manifest"]],
        ground: &[],
    },
    House {
        folder: "crates/lab/src",
        floors: &[
            &[
                "evaluate",
                "fit",
                "label",
                "calibrate",
                "replay",
                "comparison",
                "runs",
                "grade",
                "collect",
                "prepare",
                "simulation",
            ],
            &["engine"],
            &["answers", "decision_log"],
            &["dataset", "statistics", "judge"],
        ],
        ground: &[],
    },
];

/// Rooms without effects: what they return depends on their arguments alone. The manifest of their crate keeps out runtimes,
/// sockets, inference, logs and metrics; the standard library's effects are left.
const PURE: &[(&str, &[&str])] = &[
    ("crates/core/src", &["prompt", "features", "scores", "policy", "usage", "judgement", "model_family"]),
    (
        "crates/translation/src",
        &[
            "pair",
            "translation",
            "chat",
            "messages",
            "responses",
            "gemini",
            "neutral",
            "conversion",
            "sealed",
            "refusal",
            "events",
            "family",
            "json",
            "loss",
        ],
    ),
    (
        "crates/import/src",
        &[
            "litellm",
            "bifrost",
            "routellm",
            "switchyard",
            "claude_code_router",
            "semantic_router",
            "deployments",
            "credentials",
            "repair",
            "draft",
            "vendors",
            "reader",
            "efforts",
            "source",
            "yaml_text",
            "finding",
            "key_variables",
        ],
    ),
    ("crates/remote-classifier/src", &["mapping", "contract", "hedging", "text"]),
    ("crates/lab/src", &["statistics"]),
];

/// What a pure room never names.
const EFFECTS: &[&str] = &["std::fs", "std::net", "std::env", "std::time"];

/// A length of time is a value, not a clock.
const NO_EFFECT: &[&str] = &["std::time::Duration"];

/// Libraries that few rooms of their crate may name.
const FENCES: &[(&str, &[&str])] = &[
    ("pingora", &["src/proxy", "src/upstream", "src/certificates"]),
    ("rustix", &["src/reload", "src/proxy", "src/cli", "src/fleet", "crates/core/src/config", "crates/lab/src/grade"]),
    ("rayon", &["src/proxy"]),
    ("ort", &["crates/classifier/src/onnx"]),
    ("serde_saphyr", &["crates/core/src/config", "crates/classifier/src/manifest"]),
    ("toml_edit", &["crates/import/src/source"]),
    ("prometheus", &["crates/telemetry/src/metrics"]),
    ("redis", &["src/store"]),
    ("tonic_health", &["src/ext_proc", "src/grpc"]),
    ("tonic_reflection", &["src/grpc"]),
    ("tokio_tungstenite", &["src/proxy/websocket"]),
    ("aws_sigv4", &["src/upstream"]),
    ("aws_credential_types", &["src/upstream"]),
    ("aws_smithy_eventstream", &["src/upstream"]),
];

#[test]
fn imports_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for house in HOUSES {
        let before = files.len();
        rust_files(&root.join(house.folder), &mut files);
        assert!(files.len() > before, "no sources in {}", house.folder);
    }

    let mut report = String::new();
    for file in files {
        let name = file.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
        let source = fs::read_to_string(&file).expect("a readable source");
        for violation in violations(&name, &source) {
            writeln!(report, "{violation}").expect("writing to a string");
        }
    }

    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn an_import_upwards_is_named_with_its_line_and_reason() {
    let found = violations(
        "crates/core/src/features/rules.rs",
        "use crate::prompt;\nuse crate::{\n    prompt,\n    policy::Policy,\n};\n",
    );

    assert_eq!(found, ["crates/core/src/features/rules.rs:4: `features` may not use `policy`: it lives above it"]);
}

#[test]
fn a_pure_room_may_use_the_types_of_config_but_no_clock() {
    let source =
        "use crate::config::Name;\nuse std::{fmt, time::{Duration, Instant}};\nfn f() { std::fs::read(g()); }\n";

    let found = violations("crates/core/src/policy.rs", source);

    assert_eq!(
        found,
        [
            "crates/core/src/policy.rs:2: `policy` is pure and may not name `std::time::Instant`",
            "crates/core/src/policy.rs:3: `policy` is pure and may not name `std::fs::read`",
        ]
    );
}

#[test]
fn config_uses_nothing_of_its_crate_and_is_closed_to_prompts() {
    let config = "use crate::scores::Scores; use super::values::Name;";

    assert_eq!(violations("crates/core/src/config/shape.rs", config).len(), 1);
    assert_eq!(violations("crates/core/src/prompt.rs", "use crate::config::Name;").len(), 1);
    assert!(violations("crates/core/src/policy.rs", "use crate::config::Config;").is_empty());
}

#[test]
fn super_is_followed_to_the_room_it_reaches() {
    assert!(violations("src/proxy/intake/limit.rs", "use super::super::body::Body;").is_empty());
    assert_eq!(
        violations("src/proxy/intake/limit.rs", "use super::super::super::admin::Admin;"),
        ["src/proxy/intake/limit.rs:1: `proxy` may not use `admin`: it lives above it"]
    );
}

#[test]
fn a_fenced_library_is_found_outside_its_room() {
    let found = violations("src/snapshot.rs", "fn f() -> redis::RedisResult<()> { Ok(()) }");

    assert_eq!(found, ["src/snapshot.rs:1: only src/store may name `redis`, found `redis::RedisResult`"]);
    assert!(violations("src/store.rs", "use redis::Client;").is_empty());
}

#[test]
fn comments_strings_and_test_modules_are_no_imports() {
    let source = r##"
        //! [`crate::policy`] and /* nested */ std::fs::read
        /* crate::policy /* nested */ std::fs::read */
        const A: &str = "crate::policy \" std::fs::read";
        const B: &str = r#"crate::policy " std::fs::read"#;
        const C: (char, char) = ('"', '\'');
        fn f<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        mod tests { use crate::policy; fn f() { if true { std::fs::read(()); } } }
    "##;

    assert_eq!(violations("crates/core/src/prompt.rs", source), [""; 0]);
}

#[test]
fn a_room_that_the_map_does_not_know_is_reported() {
    assert_eq!(
        violations("src/util.rs", ""),
        ["src/util.rs:1: `util` is not in the map of tests/layering.rs: give it a floor"]
    );
}

#[test]
fn every_crate_of_the_workspace_has_a_house() {
    let crates = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates")).expect("the crates");
    let mut folders: Vec<_> =
        crates.map(|entry| format!("crates/{}/src", entry.expect("an entry").file_name().to_string_lossy())).collect();
    folders.push("src".to_owned());
    folders.sort();

    let mut known: Vec<_> = HOUSES.iter().map(|house| house.folder).collect();
    known.sort_unstable();
    assert_eq!(folders, known);
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("a readable entry").path());
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// Returns what `source` imports against the rule, one line each.
fn violations(file: &str, source: &str) -> Vec<String> {
    let module = Module::of(file);
    if module.room == "lib" {
        return Vec::new(); // the crate root declares the rooms
    }
    if !module.house.knows(&module.room) {
        let room = &module.room;
        return vec![format!("{file}:1: `{room}` is not in the map of tests/layering.rs: give it a floor")];
    }
    let tokens = without_tests(tokens(source));
    let mut found = Vec::new();
    for (line, path) in paths(&tokens) {
        if let Some(reason) = module.forbids(&path) {
            found.push(format!("{file}:{line}: {reason}"));
        }
    }
    found.dedup();
    found
}

impl House {
    fn knows(&self, room: &str) -> bool {
        self.floor(room).is_some() || self.ground(room).is_some()
    }

    fn floor(&self, room: &str) -> Option<usize> {
        self.floors.iter().position(|rooms| rooms.contains(&room))
    }

    /// Returns the rooms that a room of the ground floor is closed to.
    fn ground(&self, room: &str) -> Option<&'static [&'static str]> {
        self.ground.iter().find(|(name, _)| *name == room).map(|(_, closed_to)| *closed_to)
    }
}

/// A file's place in the house of its crate.
struct Module {
    house: &'static House,
    file: String,
    room: String,
    depth: usize,
}

impl Module {
    fn of(file: &str) -> Self {
        let within = |house: &&House| file.strip_prefix(house.folder).is_some_and(|rest| rest.starts_with('/'));
        let house = HOUSES.iter().find(within).expect("a file of a known crate");
        let path = file[house.folder.len() + 1..].trim_end_matches(".rs");
        let room = path.split('/').next().unwrap_or_default().to_owned();
        Self { house, file: file.to_owned(), room, depth: path.split('/').count() }
    }

    /// Says why this module may not name `path`, if so.
    fn forbids(&self, path: &[String]) -> Option<String> {
        match self.ours(path) {
            Some(room) => self.forbids_room(&room),
            None => self.forbids_library(path),
        }
    }

    /// Returns the room of the same crate that `path` leads to, if it leads to one.
    fn ours(&self, path: &[String]) -> Option<String> {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let from_root = path[0] == "crate" || (self.room == "main" && path[0] == "pointsman");
        let start = if from_root { 1 } else { supers };
        let reaches_root = from_root || (supers > 0 && supers >= self.depth);
        reaches_root.then(|| path.get(start).cloned()).flatten()
    }

    fn forbids_room(&self, target: &str) -> Option<String> {
        let (house, room) = (self.house, self.room.as_str());
        if target == room || !house.knows(target) {
            return None; // its own room, or an item of the crate root
        }
        let reason = match (house.ground(room), house.ground(target), house.floor(room), house.floor(target)) {
            (Some(_), ..) => "it is on the ground floor",
            (_, Some(closed_to), ..) if closed_to.contains(&room) => "it must not depend on it",
            (None, None, Some(own), Some(other)) if other < own => "it lives above it",
            (None, None, Some(own), Some(other)) if other == own => "it lives beside it",
            _ => return None,
        };
        Some(format!("`{room}` may not use `{target}`: {reason}"))
    }

    fn forbids_library(&self, path: &[String]) -> Option<String> {
        let path = path.join("::");
        let names =
            |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::"));
        let lives_in =
            |home: &str| self.file.strip_prefix(home).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
        for (fenced, homes) in FENCES {
            if names(fenced) && !homes.iter().any(|home| lives_in(home)) {
                return Some(format!("only {} may name `{fenced}`, found `{path}`", homes.join(" and ")));
            }
        }
        let pure =
            PURE.iter().any(|(folder, rooms)| *folder == self.house.folder && rooms.contains(&self.room.as_str()));
        let effect = EFFECTS.iter().any(|effect| names(effect)) && !NO_EFFECT.iter().any(|value| names(value));
        (pure && effect).then(|| format!("`{}` is pure and may not name `{path}`", self.room))
    }
}

/// An identifier or one character of punctuation, and its line.
struct Token {
    text: String,
    line: usize,
}

/// Returns the tokens of `source` without comments, strings and characters; lifetimes keep their apostrophe.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = word.max(first.len_utf8());
            if !first.is_whitespace() {
                tokens.push(Token { text: rest[..length].to_owned(), line });
            }
            length
        });
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// Returns the length of the comment or literal that `rest` starts with.
fn skipped(rest: &str) -> Option<usize> {
    let raw = rest.trim_start_matches(['b', 'c']);
    let hashes = raw.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    if rest.starts_with("//") {
        Some(rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        Some(block_comment(rest))
    } else if let Some(hashes) = hashes.filter(|hashes| raw[1 + hashes..].starts_with('"')) {
        let start = rest.len() - raw.len() + 2 + hashes;
        let end = format!("\"{}", "#".repeat(hashes));
        Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()))
    } else if rest.starts_with('"') {
        Some(quoted(rest, '"'))
    } else if let Some(character) = rest.strip_prefix('\'') {
        let lifetime = character.chars().nth(1) != Some('\'') && !character.starts_with('\\');
        Some(if lifetime { 1 } else { quoted(rest, '\'') })
    } else {
        None
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest[at..].starts_with("*/") {
            (at, depth) = (at + 2, depth - 1);
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Drops every `#[cfg(test)]` module.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept: Vec<Token> = Vec::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        kept.push(token);
        let tail = kept.iter().rev().take(ATTRIBUTE.len()).map(|token| token.text.as_str());
        if !tail.eq(ATTRIBUTE.into_iter().rev()) {
            continue;
        }
        let mut depth = 0;
        for token in tokens.by_ref() {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Returns every path of two segments or more with its line; groups are written out.
fn paths(tokens: &[Token]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_word(tokens, at) && is_colons(tokens, at + 1) && !(at > 0 && tokens[at - 1].text == ".") {
            at = tree(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found.retain(|(_, path)| path.len() > 1);
    found
}

/// Reads the path or use tree at `at` below `prefix`; returns where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut path = prefix.to_vec();
    let mut line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        if token.text == "{" && !path.is_empty() {
            at += 1;
            while tokens.get(at).is_some_and(|token| token.text != "}") {
                at =
                    if is_word(tokens, at) || tokens[at].text == "*" { tree(tokens, at, &path, found) } else { at + 1 };
            }
            return at + 1;
        }
        line = token.line;
        path.push(token.text.clone());
        at += 1;
        if !is_colons(tokens, at) || !(is_word(tokens, at + 2) || ["{", "*"].contains(&text(tokens, at + 2))) {
            break;
        }
        at += 2;
    }
    found.push((line, path));
    at
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| &token.text)
}

fn is_word(tokens: &[Token], at: usize) -> bool {
    text(tokens, at).starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn is_colons(tokens: &[Token], at: usize) -> bool {
    text(tokens, at) == ":" && text(tokens, at + 1) == ":"
}
