use super::*;
use crate::key_variables::KeyVariables;
use crate::reader::SourceValue;

fn leftovers_of(file: &str, text: &str, look: impl Fn(&SourceValue<'_>)) -> Vec<String> {
    let findings = FindingLog::default();
    let root = read(file, text, &findings).expect("a readable file");
    look(&SourceValue::root(&root, &findings, &KeyVariables::default()));
    root.leftovers(&findings);
    findings.into_sorted().iter().map(ToString::to_string).collect()
}

#[test]
fn what_nobody_reads_is_found_with_its_lines() {
    let text = "a: 1\nb:\n  c: 2\n  d:\n    - x\n    - y\ne: null\nf: {}\n";

    let found = leftovers_of("f.yaml", text, |root| {
        assert_eq!(root.get("b").and_then(|b| b.count_at("c")), Some(2));
    });

    assert_eq!(
        found,
        ["1: a: left out: nothing here stands for it", "4: b.d: left out: nothing here stands for it (to line 6)"]
    );
}

#[test]
fn a_value_that_an_alias_repeats_is_taken_where_one_of_them_is() {
    let text = "x: &d {k: 1, l: 2}\ny: {<<: *d, m: 3}\n";

    let found = leftovers_of("f.yaml", text, |root| {
        root.get("y").expect("a mapping").number_at("k").expect("a number");
    });

    assert_eq!(found, ["1: x.l: left out: nothing here stands for it", "2: y.m: left out: nothing here stands for it"]);
}

#[test]
fn json_may_have_comments_tabs_commas_too_many_and_bare_keys() {
    let text = "{\n\t// a \"comment\"\n\t\"a\": \"x // y\\u00e9\\ud83d\\ude00\", /* more\n\tof it */\n\tb:'it\\'s \"2\"',\n\t\"c\":[1,2,],\n}\n";

    let found = leftovers_of("f.json", text, |root| {
        assert_eq!(root.text_at("a"), Some("x // y\u{e9}\u{1f600}"));
        assert_eq!(root.text_at("b"), Some("it's \"2\""));
    });

    assert_eq!(found, ["6: c: left out: nothing here stands for it"]);
}

#[test]
fn toml_has_the_lines_of_its_keys() {
    let text = "# c\nn = 1\n\n[t.one]\nid = \"x\"\nlist = [\"a\",\n  \"b\"]\n[t.two.more]\nflag = true\n";

    let found = leftovers_of("f.toml", text, |root| {
        let one = root.get("t").and_then(|t| t.get("one")).expect("a table");
        assert_eq!((root.count_at("n"), one.text_at("id")), (Some(1), Some("x")));
    });

    assert_eq!(
        found,
        [
            "6: t.one.list: left out: nothing here stands for it (to line 7)",
            "8: t.two: left out: nothing here stands for it (to line 9)"
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_placed() {
    for (file, text, line) in
        [("f.yaml", "a: 1\nb: [\n", 2), ("f.toml", "a = 1\nb = \n", 2), ("f.json", "{\n\"a\": [}\n", 2)]
    {
        let fault = read(file, text, &FindingLog::default()).expect_err("a fault");

        assert_eq!(fault.line, line, "{file}: {fault:?}");
    }
    let empty = read("f.yaml", "# nothing\n", &FindingLog::default()).expect_err("empty");
    assert_eq!(empty.message, "the file is empty");
}

#[test]
fn a_format_follows_from_the_name_or_from_how_the_text_begins() {
    for (file, text, format) in [
        ("a.yml", "[x]", FileFormat::Yaml),
        ("a.JSON", "x: 1", FileFormat::Json),
        ("a.toml", "x: 1", FileFormat::Toml),
        ("config", "\n// hm\n{", FileFormat::Json),
        ("config", "# c\n[t]\n", FileFormat::Toml),
        ("config", "schema_version = 1\n", FileFormat::Toml),
        ("config", "url: http://x?a=b\n", FileFormat::Yaml),
        ("config", "", FileFormat::Yaml),
    ] {
        assert_eq!(FileFormat::of(file, text), format, "{file}: {text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_ends_in_a_panic(text in "\\PC{0,200}|[\\[\\]{}:,\"'/*\\\\u d8tx\n\t#=-]{0,120}") {
        for file in ["f.yaml", "f.json", "f.toml"] {
            let findings = FindingLog::default();
            if let Ok(root) = read(file, &text, &findings) {
                root.leftovers(&findings);
            }
        }
    }
}
