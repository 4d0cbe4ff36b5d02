use std::fs;

use pointsman_classifier::Bundle;
use pointsman_core::config::{Config, StrategyConfig, TiersConfig};

use super::figures::PlacedRow;
use super::rows::RowKind;
use super::*;

const ROW: &str = r#"{"id": "x1", "language": "en", "domain": "code", "level": "hard""#;

fn read(text: &str) -> Result<Vec<PlausibilityRow>, EvaluateError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, text).expect("a file");
    let mut rows = Vec::new();
    rows::read(&path, &mut rows).map(|_| rows)
}

fn placed(kind: RowKind, level: ExpectedLevel, tier: ServedTier) -> PlacedRow {
    PlacedRow { kind, level, tier }
}

#[test]
fn a_row_is_a_prompt_or_a_conversation() {
    let messages =
        r#""messages": [{"role": "assistant", "content": null, "tool_calls": []}, {"role": "tool", "content": "1"}]"#;
    let rows =
        read(&format!("{ROW}, \"text\": \"a\"}}\n{}, {messages}}}\n", ROW.replace("x1", "x2"))).expect("two rows");

    assert_eq!(rows.iter().map(|row| row.kind).collect::<Vec<_>>(), [RowKind::Prompt, RowKind::Conversation]);
}

#[test]
fn a_row_that_means_nothing_or_two_things_is_refused_with_its_line() {
    let refused = |text: &str| read(text).expect_err("a row that is refused").to_string();
    let first = format!("{ROW}, \"text\": \"a\"}}\n");

    assert!(refused(&format!("{first}{ROW}}}")).contains("line 2: one of `text` and `messages`"));
    assert!(refused(&format!("{first}{first}")).contains("line 2: another row has the `id` x1"));
    assert!(refused(&first.replace("hard", "harder")).contains("line 1: unknown variant `harder`"));
}

#[test]
fn the_half_of_a_row_hangs_on_its_name_alone() {
    // sha256("x1") begins with ec, sha256("a001") with 05.
    assert_eq!(SetHalf::of("x1"), SetHalf::Development);
    assert_eq!(SetHalf::of("a001"), SetHalf::Check);
}

#[test]
fn shares_are_of_the_rows_of_their_level_and_kind() {
    use ExpectedLevel::{Hard, Middle, Trivial};
    use RowKind::{Conversation, Prompt};
    use ServedTier::{Bottom, Top};
    let rows = [
        placed(Prompt, Hard, Top),
        placed(Prompt, Hard, ServedTier::Middle),
        placed(Prompt, Hard, Bottom),
        placed(Prompt, Hard, Bottom),
        placed(Prompt, Trivial, Bottom),
        placed(Prompt, Middle, Top),
        placed(Conversation, Hard, Top),
        placed(Conversation, Trivial, Top),
        placed(Conversation, Middle, Bottom),
    ];

    let figures = PlausibilityFigures::of(rows.into_iter(), 7);

    assert_eq!((figures.prompts, figures.conversations), (6, 3));
    let shares: Vec<_> = figures.shares().map(|(_, share)| (share.hits, share.n)).collect();
    assert_eq!(shares, [(1, 4), (2, 4), (0, 1), (1, 1), (1, 2)]);
    assert_eq!(figures.middle_prompts, TierCounts { bottom: 0, middle: 0, top: 1 });
    assert_eq!(figures.middle_conversations, TierCounts { bottom: 1, middle: 0, top: 0 });
}

#[test]
fn a_group_without_hard_prompts_has_no_share_of_them() {
    let figures = PlausibilityFigures::of(std::iter::empty(), 7);

    assert_eq!(figures.hard_at_top, PlacedShare { hits: 0, n: 0, share: None, ci95: None });
}

#[test]
fn the_strategy_is_that_of_the_configuration_that_ships() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bundle = Bundle::open(&root.join("models/pointsman-mini")).expect("a sound bundle");
    let head = bundle.manifest().head("tier").expect("the head `tier`");
    let tiers = |config: Config| match &config.policies[0].strategy {
        StrategyConfig::Tiers(tiers) => tiers.clone(),
        other => panic!("{other:?}"),
    };

    let ours = tiers(served::configuration(head, SHIPPED_TIERS).expect("a configuration"));
    let shipped = tiers(Config::load(&root.join("config/quickstart.yaml")).expect("a configuration"));

    let TiersConfig { classifier, tiers, otherwise, .. } = ours.clone();
    assert_eq!(ours, TiersConfig { classifier, tiers, otherwise, ..shipped });
}

#[test]
fn a_wrong_key_of_the_strategy_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bundle = Bundle::open(&root.join("models/pointsman-mini")).expect("a sound bundle");
    let head = bundle.manifest().head("tier").expect("the head `tier`");

    let problems = served::configuration(head, "min_confidenze: 0.45").expect_err("a key that there is not");

    assert!(problems.to_string().contains("min_confidenze"), "{problems}");
}
