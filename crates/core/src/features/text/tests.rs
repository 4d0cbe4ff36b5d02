use proptest::prelude::*;

use super::*;

fn of(text: &str) -> TextStructure {
    TextStructure::of(text)
}

#[test]
fn an_empty_text_has_nothing() {
    assert_eq!(of(""), TextStructure::default());
}

#[test]
fn characters_words_and_lines_are_counted() {
    let text = of(" Grüße,\tWorld \r\n\n42");

    assert_eq!((text.chars, text.words, text.lines), (19, 3, 3));
    assert_eq!(text.digits_ratio, 2.0 / 19.0);
    assert_eq!(text.upper_ratio, 2.0 / 10.0);
    assert_eq!(text.non_ascii_ratio, 2.0 / 19.0);
}

#[test]
fn fenced_blocks_are_code_and_their_lines_counted() {
    let text = of("see\n```rust\nlet a = 1;\n~~~\n\n```\nand\n  ~~~\n<b>1. x = $y$</b>\n");

    assert_eq!((text.code_blocks, text.code_lines), (2, 5));
    assert_eq!((text.xml_tags, text.math, text.steps), (0, 0, 0));
}

#[test]
fn opening_tags_are_counted() {
    for (text, tags) in [
        ("<doc><a-b.c:d_1/></doc>", 2),
        ("<img src=\"x\" alt='y'> <br />", 2),
        ("a < b > c, <3>, <>, </x>, <x y, <x\n>, <a!>", 0),
        ("<a <b>", 1),
        ("<https://example.com>", 0),
    ] {
        assert_eq!(of(text).xml_tags, tags, "{text}");
    }
}

#[test]
fn outermost_json_blocks_are_counted() {
    for (text, blocks) in [
        (r#"{"a": {"b": [1, {"c": 2}]}} and { "d": "}\"" }"#, 2),
        ("```json\n[\n  {\"a\": 1}, {\"a\": 2}\n]\n```", 1),
        ("{a} [1, 2] {} [] [[1]] f(x) { return \"y\" }", 0),
        (r#"{{"a": 1}"#, 1),
        (r#"{"a": 1 {"b": 2}"#, 0),
        (r#"}]{"a":"#, 0),
    ] {
        assert_eq!(of(text).json_blocks, blocks, "{text}");
    }
}

#[test]
fn mathematical_marks_are_counted() {
    for (text, marks) in
        [(r"\frac{1}{2} \\alpha \$", 1), ("$x$ and $$y$$ for $5", 3), ("√2 ≤ x^2 = ∑ y", 5), ("one + one", 0)]
    {
        assert_eq!(of(text).math, marks, "{text}");
    }
}

#[test]
fn questions_are_counted() {
    let text = of("WHY? \"What\" is how's… (which) someone 何？ ماذا؟");

    assert_eq!((text.question_words, text.question_marks), (3, 3));
}

#[test]
fn steps_are_counted() {
    for (text, steps) in [
        ("1. do\n  22) re\n3.14 is pi\n1234. no\n4.\n5.x", 2),
        ("Then stop.", 0),
        ("First, read; then write, and finally: rest. Next!", 3),
        ("Step by step, step-by-step. Step step by step", 3),
    ] {
        assert_eq!(of(text).steps, steps, "{text}");
    }
}

#[test]
fn structure_ends_with_the_scanned_bytes_and_characters_do_not() {
    for extra in [0, 1, 1000] {
        let text = "a ".repeat(MAX_SCANNED_BYTES / 2) + &"b ".repeat(extra);

        let structure = of(&text);

        assert_eq!(structure.words as usize, MAX_SCANNED_BYTES / 2);
        assert_eq!(structure.chars as usize, text.len());
    }
}

/// White space of every kind, and characters that are close to it.
const BLANKS: &str = "(\\PC|[ab\n\t\r\u{b}\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{205f}\u{3000}\u{2060}\u{1f} ]){0,60}";

/// Whatever a measure looks for.
const MARKS: &str = "([<>{}\\[\\]\"`~$\\\\ \n\t\r1.)a?=^/:-]|```|~~~|first|then|step |by |why|\u{3000}|\u{a0}\
    |é|±|≤|？|É|\\PC){0,120}";

/// Words that questions and steps are told by.
const STEPS: &str = "((first|Firstly|then|next|afterwards|finally|lastly|step|by|step-by-step|who|WHOSE|which|How|a|tent)\
    [ ,.?\n\"]{1,2}){0,40}";

proptest! {
    #[test]
    fn any_text_has_ratios_within_one_and_counts_within_its_length(text in "([<>{}\\[\\]\"`~$\\\\ \n1.)a?]|\\PC){0,80}") {
        let found = of(&text);

        for ratio in [found.digits_ratio, found.upper_ratio, found.non_ascii_ratio] {
            prop_assert!((0.0..=1.0).contains(&ratio));
        }
        prop_assert_eq!(found.chars as usize, text.chars().count());
        prop_assert_eq!(found.words as usize, text.split_whitespace().count());
        prop_assert_eq!(found.lines as usize, if text.is_empty() { 0 } else { text.split('\n').count() });
    }

    #[test]
    fn words_are_split_at_white_space(text in BLANKS) {
        prop_assert!(Words::of(&text).eq(text.split_whitespace()));
    }

    #[test]
    fn any_text_has_the_structure_that_its_characters_define(text in MARKS) {
        prop_assert_eq!(of(&text), reference::structure(&text));
    }

    #[test]
    fn words_of_steps_and_questions_count_as_they_are_defined(
        text in STEPS,
    ) {
        prop_assert_eq!(of(&text), reference::structure(&text));
    }
}
