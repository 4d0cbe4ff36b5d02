//! Answers as vendors write them who leave something out or say it elsewhere.

use super::*;

#[test]
fn the_usage_event_is_removed_where_it_has_no_choices_or_none_that_are_a_list() {
    const SAYS: &str = "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20}}\n\n";
    for (start, is_removed) in [
        ("data: {\"id\":\"c\",\"choices\":null,", true),
        ("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",", true),
        ("data: {\"error\":{\"message\":\"x\"},", false),
        ("data: {\"error\":\"x\",", false),
        ("data: {\"error\":null,", true),
        ("data: {\"content\":\"x\",", false),
        ("data: {\"candidates\":[{}],", false),
        ("data: {\"choices\":[{}],", false),
    ] {
        let event = format!("{start}{SAYS}");
        let (out, reader) = filtered(&[CHAT, &event, DONE].concat(), &[]);

        let expected = if is_removed { [CHAT, DONE].concat() } else { [CHAT, &event, DONE].concat() };
        assert_eq!((out, usage(&reader)), (expected, Some(used(100, 20))), "{start}");
    }
}

#[test]
fn counts_that_are_said_in_lines_of_json_are_those_of_the_last() {
    let lines = "{\"message\":{\"content\":\"a\"}}\n{\"done\":true,\"prompt_eval_count\":12,\"eval_count\":30}\n";
    for size in 1..=lines.len() {
        assert_eq!(usage(&read(AnswerFormat::OpenAi, AnswerFraming::Json, lines, size)), Some(used(12, 30)));
    }
}
