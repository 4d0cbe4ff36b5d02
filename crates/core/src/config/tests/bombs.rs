//! Files that are made to cost whoever reads them dear.

use super::*;

fn first(text: &str) -> String {
    Config::parse(text, "p.yaml").expect_err("the text is wrong").iter().next().expect("a problem").message.clone()
}

#[test]
fn values_that_repeat_each_other_are_counted_before_they_are_copied() {
    let laughs = (1..20).map(|own| format!("a{own}: &a{own} [{}]\n", vec![format!("*a{}", own - 1); 10].join(", ")));
    let laughs = format!("a0: &a0 [lol]\n{}", laughs.collect::<String>());
    let long = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
    let merged = (1..40).map(|own| format!("a{own}: &a{own} {{<<: [*a{0}, *a{0}], k{own}: 1}}\n", own - 1));
    let merged = format!("a0: &a0 {{k: 1}}\n{}", merged.collect::<String>());

    assert!(first(&laughs).starts_with("too many values (allowed: 100000"));
    assert!(first(&long).starts_with("too much text (allowed: 4194304 bytes"));
    assert!(!first(&merged).is_empty());
}

#[test]
fn nothing_is_nested_without_a_bound() {
    for open in ["[", "{a: ", "- ", "? ", "a:\n "] {
        let text = open.repeat(100_000);

        assert!(Config::parse(&text, "p.yaml").is_err(), "{open}");
    }
    let block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(first(&block), "nested too deeply (allowed: 32 levels)");
}

#[test]
fn a_file_of_many_mistakes_shows_the_first_of_them() {
    let models: String = (0..5000).map(|own| format!("m{own}: {{provider: nobody{own}}}, ")).collect();
    let text = format!(
        "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: 'http://h'}}}}\nmodels: {{{models}}}\n"
    );

    let problems = Config::parse(&text, "p.yaml").expect_err("nobody is there");

    assert_eq!(problems.len(), 200);
    let shown = problems.to_string();
    assert!(shown.len() < 400_000, "{}", shown.len());
    assert!(problems.iter().all(|one| one.place.as_ref().is_some_and(|place| place.snippet.len() < 1000)));
}

/// A file with models in regions, and with a policy that names others.
fn wide_file(models: usize, policy: &str) -> String {
    let models: String = (0..models).map(|own| format!("m{own}: {{provider: p, region: r{own}}}, ")).collect();
    format!(
        "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: 'http://h'}}}}\nmodels: {{{models}}}\n\
         policies: [{{name: a, match: {{model: [auto]}}, strategy: {{kind: random, models: [m0]}}, {policy}}}]\n"
    )
}

#[test]
fn a_problem_lists_some_of_very_many_regions() {
    let regions: String = (0..2000).map(|own| format!("q{own}, ")).collect();

    let problems = Config::parse(&wide_file(2000, &format!("regions: [{regions}]")), "p.yaml").expect_err("no region");

    assert_eq!(problems.len(), 200);
    let shown = problems.to_string();
    assert!(shown.contains(" and 1950 more)") && shown.contains("problems, and more that are not shown,"));
    assert!(shown.len() < 400_000, "{}", shown.len());
}

#[test]
fn names_of_a_wide_file_are_compared_with_some_of_its_mistakes() {
    let wrong: String = (0..200).map(|own| format!("x{own}, ")).collect();

    let problems = Config::parse(&wide_file(15_000, &format!("fallback: [{wrong}]")), "p.yaml").expect_err("no model");

    let hinted = problems.iter().map(|one| one.message.contains("did you mean")).collect::<Vec<_>>();
    assert_eq!((hinted.len(), hinted[0], hinted[199]), (200, true, false));
}

#[test]
fn a_problem_in_a_long_line_is_shown_with_what_is_around_it() {
    let models: String = (0..500).map(|own| format!("m{own}: {{provider: p}}, ")).collect();
    let text = format!(
        "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: 'http://h'}}}}\n\
         models: {{{models}bad: {{provider: q}}}}\n"
    );

    let problems = Config::parse(&text, "p.yaml").expect_err("there is no q");

    let place = problems.iter().next().and_then(|one| one.place.clone()).expect("a place");
    let pointed: String = place.snippet.chars().skip(place.indent).take(place.width).collect();
    assert_eq!((problems.len(), pointed.as_str()), (1, "q"));
    assert!(place.snippet.len() < 700, "{}", place.snippet);
}

#[test]
fn a_mapping_of_many_keys_is_read_in_time_linear_in_them() {
    let keys = |count: usize| (0..count).map(|own| format!("k{own}: 1\n")).collect::<String>();

    assert!(Config::parse(&keys(20_000), "p.yaml").is_err());
    assert!(first(&keys(20_001)).starts_with("too many entries (allowed: 20000"));
}
