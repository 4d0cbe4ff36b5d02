//! `pointsman check`: warnings, the file's own tests, and the exit codes that a pipeline goes by.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::cli::{pointsman, text};

const FILE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}, large: {provider: p}}
classifiers: {default: {bundle: BUNDLE}}
policies:
  - name: auto
    match: {model: [auto]}
    rules:
      - {when: prompt.images > 2, use: large}
      - {when: 'prompt.images > SECOND', use: small}
      - {when: request.temperature > 1.5, deny: {status: 422, message: too hot}}
      - {when: scores.default.LABEL > 0.99, use: large}
    strategy: {kind: tiers, classifier: default, head: tier_lexical, tiers: {simple: small, medium: small, complex: small}, otherwise: small}
tests:
  - {prompt: hi, expect: {model: MODEL, policy: auto}}
  - name: hot
    body: {temperature: 1.9, messages: []}
    expect: {denied: 422, rule: 2}
  - {model: nobody, prompt: hi, path: /v1/messages, expect: {policy: auto}}
";

/// Checks the file with its words replaced, without its last test unless it is kept.
fn check(second: &str, model: &str, keep_last: bool, flags: &[&str]) -> Output {
    check_label("tier_lexical.complex", second, model, keep_last, flags)
}

fn check_label(label: &str, second: &str, model: &str, keep_last: bool, flags: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.yaml");
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lexical");
    let good = FILE.replace("BUNDLE", &bundle.display().to_string()).replace("SECOND", second).replace("MODEL", model);
    let lines = if keep_last { usize::MAX } else { good.lines().count() - 1 };
    let kept: Vec<&str> = good.lines().take(lines).collect();
    fs::write(&file, kept.join("\n").replace("LABEL", label)).expect("a writable folder");
    let arguments = ["check", "-c", file.to_str().expect("a plain name")];
    pointsman(&[&arguments, flags].concat())
}

#[test]
fn the_cost_of_rules_is_shown_and_no_password_is() {
    let shown = check("1", "small", false, &[]);
    let good = text(&shown.stdout);
    assert!(good.contains("policies.auto: its rules take at most "), "{good}");
    assert!(good.contains("(allowed: 100000 each, 500000 together)"), "{good}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.yaml");
    let bad = FILE.replace("base_url: http://h", "base_ulr: http://user:p4ssw0rd@h, bogus: 1");
    fs::write(&file, bad).expect("a writable folder");
    let refused = pointsman(&["check", "-c", file.to_str().expect("a plain name")]);
    let said = format!("{}{}", text(&refused.stdout), text(&refused.stderr));
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(!said.contains("p4ssw0rd") && said.contains("base_ulr"), "{said}");
}

#[test]
fn every_file_in_config_is_good_without_a_warning_and_passes_its_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let yaml = |folder: &Path| -> Vec<_> {
        let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect()
    };
    let files = [yaml(&folder), yaml(&folder.join("examples"))].concat();
    assert!(files.iter().any(|file| file.ends_with("quickstart.yaml")), "{files:?}");

    for file in &files {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let command = command.args(["check", "--strict", "-c"]).arg(file).env("OPENAI_API_KEY", "sk-example");
        let output = command.output().expect("it runs");

        assert!(output.status.success(), "{}: {}{}", file.display(), text(&output.stdout), text(&output.stderr));
    }
    let kinds: String = files.iter().map(|file| fs::read_to_string(file).expect("a file")).collect();
    for kind in ["tiers", "threshold", "utility", "similarity", "judge", "split", "random", "cascade", "hierarchy"] {
        assert!(kinds.contains(&format!("kind: {kind}")), "no example of `{kind}`");
    }
}

#[test]
fn what_the_pages_say_to_newcomers_is_a_good_configuration_that_passes_its_own_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs/coming-from")).expect("the pages");
    let pages: Vec<_> = pages.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(pages.len(), 4);
    for page in pages {
        let text_of = fs::read_to_string(&page).expect("a page");
        let (_, yaml) = text_of.split_once("```yaml\n").expect("a configuration");
        let (yaml, _) = yaml.split_once("```").expect("its end");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("p.yaml");
        let bundle = root.join("models/pointsman-mini").display().to_string();
        fs::write(&file, yaml.replace("models/pointsman-mini", &bundle)).expect("writable");

        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let command = command.args(["check", "--strict", "-c"]).arg(&file).env("OPENAI_API_KEY", "sk-example");
        let output = command.output().expect("it runs");

        assert!(output.status.success(), "{}: {}{}", page.display(), text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn every_configuration_of_the_comparison_with_other_proxies_is_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = fs::read_dir(root.join("benches/compare/configs")).expect("the configurations");
    let all = all.map(|entry| entry.expect("an entry").path());
    let is_ours = |file: &Path| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pointsman-"));
    let ours: Vec<_> = all.filter(|file| is_ours(file)).collect();
    assert_eq!(ours.len(), 5, "{ours:?}");
    for file in ours {
        let mut filled = fs::read_to_string(&file).expect("a template").replace("@ROOT@", &root.display().to_string());
        let words = [("PORT", "0"), ("ADMIN_PORT", "0"), ("UPSTREAM_PORT", "1"), ("DEADLINE", "5s"), ("QUEUE", "9")];
        for (word, value) in words {
            filled = filled.replace(&format!("@{word}@"), value);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let written = folder.path().join("p.yaml");
        fs::write(&written, filled).expect("a writable folder");

        let output = pointsman(&["check", "--strict", "-c", written.to_str().expect("a plain name")]);

        assert!(output.status.success(), "{}: {}{}", file.display(), text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn a_file_whose_tests_pass_is_good() {
    let checked = check("1", "small", false, &["--strict"]);

    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let shown = text(&checked.stdout);
    assert!(shown.contains("denied 422, rule 2") && shown.contains("1 policy, 2 tests)"), "{shown}");
}

#[test]
fn a_test_that_fails_is_shown_with_its_place_and_ends_with_1() {
    let checked = check("1", "large", true, &[]);

    assert_eq!(checked.status.code(), Some(1));
    let (shown, failures) = (text(&checked.stdout), text(&checked.stderr));
    assert_eq!(shown.matches("FAILED").count(), 2, "{shown}");
    assert!(failures.contains("tests[0].expect.model: expected `large`, got `small`"), "{failures}");
    assert!(failures.contains("p.yaml:16:") && failures.contains("^^^^^"), "{failures}");
    assert!(failures.contains("tests[2].expect.policy: expected `auto`, got none (passes through)"), "{failures}");
    assert_eq!(check("1", "large", true, &["--no-tests"]).status.code(), Some(0));
}

#[test]
fn a_warning_is_shown_with_its_place_and_fails_strict_checks_alone() {
    let lax = check("3", "small", false, &[]);
    let strict = check("3", "small", false, &["--strict"]);

    assert_eq!((lax.status.code(), strict.status.code()), (Some(0), Some(78)));
    let warning = "warning: policies[0].rules[1].when: is never reached: rules[0] is true whenever this one is";
    assert!(text(&lax.stderr).contains(warning), "{}", text(&lax.stderr));
    assert!(text(&lax.stderr).contains("p.yaml:11:"), "{}", text(&lax.stderr));
    assert!(text(&lax.stdout).contains("1 warning)"), "{}", text(&lax.stdout));
}

#[test]
fn a_score_that_the_bundle_has_not_is_found() {
    let checked = check_label("tier_lexical.complx", "1", "small", false, &[]);

    assert_eq!(checked.status.code(), Some(78));
    let shown = text(&checked.stderr);
    assert!(shown.contains("there is no label `complx`, did you mean `complex`?"), "{shown}");
    assert!(shown.contains("^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"), "{shown}");
}

/// Routes that the shipped encoder does not tell from anything.
const ALIKE: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models: {small: {provider: p}, large: {provider: p}}
classifiers: {default: {bundle: BUNDLE, deadline: 5s}}
policies:
  - name: auto
    match: {model: [auto]}
    strategy:
      kind: similarity
      classifier: default
      threshold: 0.4
      routes:
        - {model: small, examples: [how is the weather today, what a lovely day, will it rain tomorrow]}
        - {model: large, examples: [which party will win, what do you think of the president, is it corrupt]}
      otherwise: small
";

#[test]
fn routes_that_the_encoder_does_not_tell_apart_are_warned_of_at_their_threshold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.yaml");
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pointsman-mini");
    fs::write(&file, ALIKE.replace("BUNDLE", &bundle.display().to_string())).expect("a writable folder");
    let path = file.to_str().expect("a plain name");

    let (lax, strict) = (pointsman(&["check", "-c", path]), pointsman(&["check", "--strict", "-c", path]));

    assert_eq!((lax.status.code(), strict.status.code()), (Some(0), Some(78)), "{}", text(&lax.stderr));
    let said = text(&lax.stderr);
    assert!(said.contains("warning: policies[0].strategy.threshold: "), "{said}");
    assert!(said.contains("everyday asks") && said.contains("p.yaml:12:"), "{said}");
}

#[test]
fn a_price_that_differs_from_the_built_in_list_is_a_warning_with_both_figures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("p.yaml");
    let yaml = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {openai: {base_url: 'https://api.openai.com/v1'}}
models:
  small: {provider: openai, name: gpt-4.1-nano, price: {input: 0.5, output: 0.4}}
  odd: {provider: openai, name: gpt-none}
policies:
  - {name: auto, match: {model: [auto]}, strategy: {kind: split, models: {small: 1, odd: 1}}}
";
    fs::write(&file, yaml).expect("a writable folder");
    let name = file.to_str().expect("a plain name");

    let lenient = pointsman(&["check", "-c", name]);
    let strict = pointsman(&["check", "--strict", "-c", name]);

    let warnings = text(&lenient.stderr);
    assert!(
        warnings.contains("models.small.price: input 0.5 US dollars per million tokens; the built-in"),
        "{warnings}"
    );
    assert!(warnings.contains("has input 0.1"), "{warnings}");
    assert!(warnings.contains("no model `gpt-none` of openai"), "{warnings}");
    assert_eq!([lenient.status.code(), strict.status.code()], [Some(0), Some(78)]);
}

#[test]
fn an_admin_plane_that_other_machines_reach_is_a_problem_until_it_is_said_and_then_a_note() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let check = |admin: &str| {
        let file = folder.path().join("p.yaml");
        let text = format!(
            "version: 1\nlisten: {{address: 127.0.0.1:8080}}\nadmin: {{{admin}}}\nproviders: {{p: {{base_url: http://h}}}}\n"
        );
        fs::write(&file, text).expect("a writable folder");
        pointsman(&["check", "--strict", "-c", file.to_str().expect("a plain name")])
    };

    let auth = format!("auth: {{tokens: [{{name: ci, sha256: {}, role: view}}]}}", "0f".repeat(32));
    let (refused, said) = (check("address: 0.0.0.0:9090"), check("address: 0.0.0.0:9090, allow_open: true"));
    let (clear, near) = (check(&format!("address: 0.0.0.0:9090, {auth}")), check(&auth));

    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains("allow_open: true"), "{}", text(&refused.stderr));
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    assert!(text(&said.stdout).contains("note: admin.address: whoever reaches 0.0.0.0:9090"), "{}", text(&said.stdout));
    assert_eq!([clear.status.code(), near.status.code()], [Some(78), Some(0)], "a warning, and none");
    assert!(
        text(&clear.stderr).contains("callers send their tokens to 0.0.0.0:9090 in the clear"),
        "{}",
        text(&clear.stderr)
    );
}
