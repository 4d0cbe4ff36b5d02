use proptest::prelude::*;

use super::*;
use crate::prompt::table_markdown;

fn kept(text: &str) -> String {
    kept_of(&Envelopes::standard(), text, &[])
}

fn kept_of(envelopes: &Envelopes, text: &str, breaks: &[usize]) -> String {
    let cut = envelopes.cut(text, breaks);
    let kept: Vec<&str> =
        cut.kept.iter().map(|range| text[range.clone()].trim()).filter(|text| !text.is_empty()).collect();
    kept.join("|")
}

/// A form that holds `x`, as the harness writes it.
fn example(mark: EnvelopeForm) -> String {
    match mark {
        EnvelopeForm::Tag(name) | EnvelopeForm::AskTag(name) => format!("<{name}>\nx\n</{name}>"),
        EnvelopeForm::BesideAskTag(name) => format!("<{name}>\nx\n</{name}>\n<task>\n</task>"),
        EnvelopeForm::Part { begins, .. } | EnvelopeForm::ToAskTag { begins, .. } => format!("{begins} x\n\nx"),
        EnvelopeForm::Turn { begins, .. } => format!("{begins}'x'] Result:\nx"),
        EnvelopeForm::Whole { text, .. } => format!("{text}\n"),
        EnvelopeForm::Line { begins, .. } => format!("{begins} x"),
        EnvelopeForm::Before { begins, ask, .. } => format!("{begins}\nx\n{ask}"),
    }
}

#[test]
fn blocks_that_are_indented_below_another_are_left_out_with_it() {
    let command = "<command-name>/compact</command-name>\n            <command-message>compact</command-message>\n            \
                   <command-args></command-args>";

    assert_eq!(kept(&format!("{command}\nnow in French")), "now in French");
    assert_eq!(kept(command), "");
}

#[test]
fn a_block_that_is_indented_as_code_below_words_stays() {
    let quoted = "What is this?\n\n            <command-message>compact</command-message>";

    assert_eq!(kept(quoted), quoted);
}

#[test]
fn every_envelope_of_the_table_is_left_out_and_the_ask_beside_it_stays() {
    for spec in ENVELOPE_TABLE {
        let envelope = example(spec.mark);
        let expected = if matches!(spec.mark, EnvelopeForm::AskTag(_)) { "x|the ask" } else { "the ask" };
        let text = format!("{envelope}\nthe ask");
        let breaks = [envelope.len() + 1];

        match spec.mark {
            // Around the person's words a tag counts only where it holds them all.
            EnvelopeForm::AskTag(_) => assert_eq!(kept(&envelope), "x", "{:?}", spec.mark),
            EnvelopeForm::Turn { .. } => {
                assert_eq!(kept_of(&Envelopes::standard(), &text, &breaks), "", "{:?}", spec.mark);
            }
            _ => assert_eq!(kept_of(&Envelopes::standard(), &text, &breaks), expected, "{:?}", spec.mark),
        }
    }
}

#[test]
fn a_block_is_left_out_before_behind_and_between_the_ask() {
    let block = "<system-reminder>\nUse the <todo> tool.\n</system-reminder>";

    for (text, expected) in [
        (format!("{block}\nWhat is DNA?"), "What is DNA?"),
        (format!("{block}What is DNA?"), "What is DNA?"),
        (format!("What is DNA?\n{block}\n"), "What is DNA?"),
        (format!("What is\n{block}\nDNA?"), "What is|DNA?"),
        (format!("{block}{block}\n\n  {block}"), ""),
    ] {
        assert_eq!(kept(&text), expected, "{text}");
    }
}

#[test]
fn what_a_person_quotes_shows_in_code_or_leaves_open_stays() {
    for text in [
        "Why does <system-reminder>x</system-reminder> show up?",
        "<system-reminder> blocks keep appearing. What is </system-reminder> for?",
        "<system-reminder>x</system-reminder> is in my logs, why?",
        "<system-reminder>\nnever closed",
        "</system-reminder>\nnever opened",
        "see\n```xml\n<system-reminder>\nx\n</system-reminder>\n```\nwhat is it?",
        "see\n~~~\n<system-reminder>\nx\n</system-reminder>\n~~~\nwhat is it?",
        "see\n\n    <system-reminder>\n    x\n    </system-reminder>\n\nwhat is it?",
        "`<system-reminder>`\nx\n`</system-reminder>`",
        "<system-reminders>\nx\n</system-reminders>",
        "<div>\nx\n</div>",
    ] {
        assert_eq!(kept(text), text, "{text}");
    }
}

#[test]
fn a_fence_that_a_person_leaves_open_ends_with_its_part() {
    let text = "```rust\nfn main() {\n<system-reminder>\nx\n</system-reminder>";
    let start = text.find("<system").expect("it is there");

    assert_eq!(kept(text), text);
    assert_eq!(kept_of(&Envelopes::standard(), text, &[start]), "```rust\nfn main() {");
}

#[test]
fn blocks_may_hold_their_own_tag_and_fences() {
    let nested = "<system-reminder>\na\n<system-reminder>\nb\n</system-reminder>\n```\n</system-reminder>\nthe ask";
    let quoted = "<system-reminder>\nnever write\n<system-reminder>\n</system-reminder>\nthe ask";

    assert_eq!(kept(nested), "the ask");
    assert_eq!(kept(quoted), "the ask");
}

#[test]
fn attributes_in_the_opening_and_the_closing_tag_are_read_over() {
    let text = "<system-reminder id=\"0a\">\nx\n</system-reminder id=\"0a\">\nthe ask";

    assert_eq!(kept(text), "the ask");
}

#[test]
fn a_tag_around_the_ask_goes_only_where_it_holds_all_of_it() {
    let details = "<environment_details>\n80 files\n</environment_details>";

    assert_eq!(kept(&format!("<task>\nfix it\n</task>\n\n{details}")), "fix it");
    assert_eq!(kept("<additional_data>\nx\n</additional_data>\n<user_query>\nfix it\n</user_query>"), "fix it");
    let structured = "<task>\nfix it\n</task>\nIn Rust, please.";
    assert_eq!(kept(structured), structured);
}

#[test]
fn the_ask_follows_the_last_marker_line_of_an_editor_s_context() {
    let text = "# Context from my IDE setup:\n## Open tabs\n- a.rs\n## My request for Codex:\nfix a.rs";

    assert_eq!(kept(text), "fix a.rs");
    assert_eq!(kept("# Context from my IDE setup:\nno marker"), "# Context from my IDE setup:\nno marker");
}

#[test]
fn a_turn_of_tool_results_in_plain_text_is_left_out_but_for_the_person_s_tags() {
    let parts = ["[read_file for 'a.rs'] Result:", "fn main() {}", "<feedback>\nnot that one\n</feedback>"];
    let breaks = [parts[0].len() + 1, parts[0].len() + parts[1].len() + 2];

    assert_eq!(kept_of(&Envelopes::standard(), &parts.join("\n"), &breaks), "not that one");
}

#[test]
fn an_operator_adds_tags_and_openings() {
    let tag = |name: &str, holds_ask| OwnEnvelope::Tag { name: name.to_owned(), holds_ask };
    let opening = |begins: &str, ask_after: Option<&str>| OwnEnvelope::Opening {
        begins: begins.to_owned(),
        ask_after: ask_after.map(str::to_owned),
    };
    let own = [
        tag("acme-context", false),
        tag("acme-ask", true),
        tag("x", false),
        opening("Pasted by Acme:", None),
        opening("Acme says:", Some("Question:")),
    ];
    let envelopes = Envelopes::new(&own);

    for (text, expected) in [
        ("<acme-context>\nx\n</acme-context>\nhello", "hello"),
        ("<acme-ask>\nhello\n</acme-ask>", "hello"),
        ("<x>\nx\n</x>\nhello", "hello"),
        ("<x kind=\"a\">\nx\n</x>\nhello", "hello"),
        ("Pasted by Acme: x\ny", ""),
        ("Acme says:\nx\nQuestion:\nhello", "hello"),
    ] {
        assert_eq!(kept_of(&envelopes, text, &[]), expected, "{text}");
    }
}

#[test]
fn what_is_left_out_is_named_with_its_bytes() {
    let text = "<system-reminder>\na\n</system-reminder>\nhi\n<system-reminder>\nb\n</system-reminder>";

    let left_out = EnvelopeStretch::of(&Envelopes::standard().cut(text, &[]));

    assert_eq!(left_out.len(), 1);
    assert_eq!((&*left_out[0].envelope, left_out[0].bytes), ("system-reminder", text.len() - "\nhi\n".len()));
}

#[test]
fn the_page_in_docs_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/envelopes.md");
    if std::env::var_os("POINTSMAN_BLESS").is_some() {
        std::fs::write(path, table_markdown()).expect("the page is written");
    }

    let page = std::fs::read_to_string(path).expect("the page is there");

    assert!(
        page == table_markdown(),
        "docs/envelopes.md is not current: POINTSMAN_BLESS=1 cargo test the_page_in_docs"
    );
}

#[test]
fn texts_made_of_tags_are_read_once() {
    let (open, close) = ("<system-reminder>\n", "</system-reminder>\n");
    for text in [
        open.repeat(50_000),
        close.repeat(50_000),
        format!("{open}{close} x").repeat(30_000),
        format!("{}{}", "<task>\n".repeat(50_000), "</task>\n".repeat(50_000)),
    ] {
        let cut = Envelopes::standard().cut(&text, &[]);

        let covered: usize = cut.kept.iter().chain(&cut.taken).map(ExactSizeIterator::len).sum();
        assert_eq!(covered, text.len());
    }
}

#[test]
fn openings_that_people_write_themselves_stay() {
    for text in [
        "I ran this command: `cargo build` and it fails with E0499. Why?",
        "What did we do so far? Please write a changelog.",
        "[read_file for 'x'] is what Cline prints; why?",
        "<task>\n[read_file for 'x'] Result: what does it mean?\n</task>",
    ] {
        let expected = text.trim_start_matches("<task>\n").trim_end_matches("\n</task>");
        assert_eq!(kept(text), expected, "{text}");
    }
}

#[test]
fn blocks_beside_a_tag_around_the_ask_go_and_stay_elsewhere() {
    let context = "<context>\nThe current date is today.\n</context>";

    assert_eq!(kept(&format!("{context}\n<userRequest>\nfix it\n</userRequest>")), "fix it");
    assert_eq!(kept("<timestamp>Monday</timestamp>\n<user_query>\nfix it\n</user_query>"), "fix it");
    assert_eq!(kept(&format!("{context}\nfix it")), format!("{context}\nfix it"));
    let resumed =
        "[TASK RESUMPTION] This task was interrupted.\n\nNew instructions:\n<user_message>\nprove it\n</user_message>";
    assert_eq!(kept(resumed), "prove it");
}

#[test]
fn a_block_with_lines_of_its_own_does_not_end_where_it_quotes_its_closing_tag() {
    let text = "<system-reminder>\nText inside `<system-reminder>` and `</system-reminder>` is ours.\nProve it.\n</system-reminder>\nhi";
    let two = "<system-reminder>\na</system-reminder>\nhi\n<system-reminder>\nb\n</system-reminder>";

    assert_eq!(kept(text), "hi");
    assert_eq!(kept(two), "hi");
}

#[test]
fn fences_are_told_as_commonmark_tells_them() {
    let shown = "````md\n```xml\n<system-reminder>\nx\n</system-reminder>\n```\n````\nwhat is it?";
    let inline = "```cargo test``` fails, why?\n<system-reminder>\nx\n</system-reminder>";

    assert_eq!(kept(shown), shown);
    assert_eq!(kept(inline), "```cargo test``` fails, why?");
}

#[test]
fn white_space_and_brackets_without_end_are_read_once() {
    let (blanks, brackets) = (" ".repeat(300_000), "<".repeat(300_000));
    for text in [
        format!("<skill>\n</skill>{blanks}{brackets}"),
        format!("{blanks}{}\n</task>", "\n<task>".repeat(50_000)),
        "<skill></skill>".repeat(40_000),
        "\n<skill>\n<skill></skill>".repeat(20_000),
    ] {
        let cut = Envelopes::standard().cut(&text, &[]);

        let covered: usize = cut.kept.iter().chain(&cut.taken).map(ExactSizeIterator::len).sum();
        assert_eq!(covered, text.len());
    }
}

proptest! {
    #[test]
    fn every_byte_is_kept_or_left_out(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "<system-reminder>", "</system-reminder>", "<task>", "</task>", "\n", " ", "```", "the ask", "<", ">", "é", "# Context from my IDE setup:", "## My request for Codex:",
        ]), 0..24),
    ) {
        let text = pieces.concat();

        let cut = Envelopes::standard().cut(&text, &[]);

        let mut all: Vec<_> = cut.kept.iter().chain(&cut.taken).cloned().collect();
        all.sort_by_key(|range| range.start);
        let mut at = 0;
        for range in all {
            prop_assert_eq!(range.start, at);
            at = range.end;
        }
        prop_assert_eq!(at, text.len());
        prop_assert_eq!(cut.names.len(), cut.taken.len());
    }
}
