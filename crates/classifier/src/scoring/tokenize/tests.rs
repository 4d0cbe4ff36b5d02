use super::*;

#[test]
fn a_clipped_text_has_the_same_excerpt_but_for_its_length() {
    let budget = TokenBudget::of_tokens(4);
    let text: String = ('a'..='z').cycle().take(1000).collect();

    let [whole, clipped] = [budget.excerpt(&text), budget.excerpt(&budget.clip(&text))];

    assert_eq!(whole.ends(), clipped.ends());
    assert!(budget.clip(&text).len() < 140 && budget.clip("short") == "short");
}

const CLS: i64 = 2;
const SEP: i64 = 3;

/// Words `w0`, `w1`, ... are ids 4, 5, ...; 8 tokens, 4 of 6 from the start.
fn tokenizer() -> Tokenizer {
    let words: Vec<String> = (0..30).map(|word| format!(r#","w{word}":{}"#, word + 4)).collect();
    let json = format!(
        r#"{{"version":"1.0","padding":{{"strategy":{{"Fixed":128}},"direction":"Right","pad_to_multiple_of":null,
        "pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"}},"truncation":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,"decoder":null,"model":{{"type":"WordLevel",
        "unk_token":"[UNK]","vocab":{{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3{}}}}}}}"#,
        words.concat()
    );
    Tokenizer::parse(&spec(), json.as_bytes()).expect("a word-level tokenizer")
}

fn spec() -> TokenizerSpec {
    TokenizerSpec {
        file: "tokenizer.json".into(),
        max_tokens: 8,
        head_tokens: 4,
        least_tokens: None,
        repeat_words: None,
        pad_token: None,
    }
}

fn words(count: usize) -> String {
    (0..count).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

fn tokens(text: &str) -> TokenIds {
    let tokenizer = tokenizer();
    tokenizer.tokens(&tokenizer.budget().excerpt(text)).expect("tokens")
}

#[test]
fn one_token_less_than_the_budget_is_kept_whole() {
    assert_eq!(tokens(&words(5)), TokenIds { ids: vec![CLS, 4, 5, 6, 7, 8, SEP], truncated: 0 });
}

#[test]
fn a_text_of_exactly_the_budget_is_kept_whole() {
    assert_eq!(tokens(&words(6)), TokenIds { ids: vec![CLS, 4, 5, 6, 7, 8, 9, SEP], truncated: 0 });
}

#[test]
fn one_token_more_than_the_budget_is_cut_out_of_the_middle() {
    assert_eq!(tokens(&words(7)), TokenIds { ids: vec![CLS, 4, 5, 6, 7, 9, 10, SEP], truncated: 1 });
}

#[test]
fn a_shorter_window_takes_as_large_a_share_of_the_start() {
    let tokenizer = tokenizer();

    let tokens = tokenizer.tokens_within(&tokenizer.budget().excerpt(&words(7)), 6).expect("tokens");

    assert_eq!(tokens, TokenIds { ids: vec![CLS, 4, 5, 6, 10, SEP], truncated: 3 });
}

#[test]
fn the_shortest_window_decides_how_much_of_a_long_text_is_kept() {
    let spec = TokenizerSpec { least_tokens: Some(4), ..spec() };

    let excerpt = TokenBudget::new(&spec).excerpt(&"é".repeat(129));

    assert_eq!((excerpt.head.chars().count(), excerpt.tail.chars().count()), (64, 64));
}

#[test]
fn a_text_without_words_is_two_specials() {
    assert_eq!(tokens(" \n "), TokenIds { ids: vec![CLS, SEP], truncated: 0 });
}

#[test]
fn a_text_of_32_characters_a_token_is_not_excerpted() {
    for chars in [255, 256] {
        let text = "é".repeat(chars);

        let excerpt = tokenizer().budget().excerpt(&text);

        assert_eq!(excerpt, TextExcerpt { head: text, tail: String::new(), cut_from: None });
    }
}

#[test]
fn one_character_more_leaves_16_characters_a_token_of_each_end() {
    let text = format!("{}x{}", "é".repeat(128), "日".repeat(128));

    let excerpt = tokenizer().budget().excerpt(&text);

    assert_eq!(excerpt, TextExcerpt { head: "é".repeat(128), tail: "日".repeat(128), cut_from: Some(257) });
}

#[test]
fn the_ends_of_an_excerpt_are_tokenised_apart() {
    let text = format!("w1 {} w2", "é".repeat(300));

    assert_eq!(tokens(&text).ids, [CLS, 5, 1, 1, 6, SEP]);
}

#[test]
fn the_cut_of_an_excerpted_text_is_estimated_from_its_ends() {
    // 1,000 words of 3 characters; both ends together hold 86 of them in 256 characters.
    let text = "w1 ".repeat(1000);

    let truncated = tokens(&text).truncated;

    assert!((980..=1010).contains(&truncated), "{truncated}");
}

#[test]
fn of_five_mebibytes_no_more_than_the_ends_is_kept_or_tokenised() {
    let tokenizer = tokenizer();
    let text = "w1 w2 é ".repeat(600_000);

    let excerpt = tokenizer.budget().excerpt(&text);
    let tokens = tokenizer.tokens(&excerpt).expect("tokens");

    assert_eq!(excerpt.head.chars().count() + excerpt.tail.chars().count(), 256);
    assert_eq!(tokens.ids.len(), 8);
}

#[test]
fn where_the_bundle_says_so_a_repeat_takes_no_room() {
    let spec = TokenizerSpec { repeat_words: Some(2), ..spec() };
    let excerpt = TokenBudget::new(&spec).excerpt(&format!("w0 {}w3", "w1 w2 ".repeat(20)));

    assert_eq!(excerpt.ends(), ["w0 w1 w2 w3", ""]);
}

#[test]
fn a_repeat_across_the_cut_is_found() {
    let spec = TokenizerSpec { repeat_words: Some(2), ..spec() };
    let excerpt = TokenBudget::new(&spec).excerpt(&"w1 w2 ".repeat(600_000));

    assert_eq!(excerpt.ends(), ["w1 w2", "2 "], "the tail begins in the middle of a word");
}

#[test]
fn specials_are_those_of_the_post_processor() {
    let json = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"decoder":null,
        "post_processor":{"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0],"trim_offsets":true,
            "add_prefix_space":false},
        "model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{"<s>":0,"<pad>":1,"</s>":2,"[UNK]":3,"w":4}}}"#;

    let tokenizer = Tokenizer::parse(&spec(), json.as_bytes()).expect("specials of other names");

    let tokens = tokenizer.tokens(&tokenizer.budget().excerpt("w w")).expect("tokens");
    let padding = TokenPadding { id: 1, side: PaddingSide::Right };
    assert_eq!((tokens.ids, tokenizer.padding()), (vec![0, 4, 4, 2], Some(padding)));
}

#[test]
fn a_text_that_spells_out_a_special_is_text() {
    let json = r#"{"version":"1.0","truncation":null,"padding":null,"normalizer":null,"post_processor":null,
        "added_tokens":[{"id":3,"content":"[SEP]","single_word":false,"lstrip":false,"rstrip":false,
            "normalized":false,"special":true}],
        "pre_tokenizer":{"type":"Whitespace"},"decoder":null,
        "model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{"[UNK]":1,"[CLS]":2,"[SEP]":3,"w":4}}}"#;

    let tokenizer = Tokenizer::parse(&spec(), json.as_bytes()).expect("specials by name");

    let tokens = tokenizer.tokens(&tokenizer.budget().excerpt("w [SEP]")).expect("tokens");
    assert_eq!(tokens.ids, [CLS, 4, 1, 1, 1, SEP], "brackets and letters, none of them known");
}

/// A tokenizer as of Qwen2: nothing around a text, and a token for padding that is not called so.
fn decoder(padding: &str, spec: &TokenizerSpec) -> Result<Tokenizer, TokenizerError> {
    let json = format!(
        r#"{{"version":"1.0","truncation":null,"padding":{padding},"normalizer":null,"post_processor":null,
        "added_tokens":[{{"id":3,"content":"<|end|>","single_word":false,"lstrip":false,"rstrip":false,
            "normalized":false,"special":true}},{{"id":4,"content":"<|unused|>","single_word":false,"lstrip":false,
            "rstrip":false,"normalized":false,"special":true}}],
        "pre_tokenizer":{{"type":"Whitespace"}},"decoder":null,
        "model":{{"type":"WordLevel","unk_token":"?","vocab":{{"?":0,"a":1,"b":2}}}}}}"#
    );
    Tokenizer::parse(spec, json.as_bytes())
}

#[test]
fn a_tokenizer_without_specials_puts_nothing_around_a_text() {
    let tokenizer = decoder("null", &spec()).expect("a legal tokenizer");

    let ids = |text| tokenizer.tokens(&tokenizer.budget().excerpt(text)).expect("tokens").ids;
    assert_eq!(ids("a b a"), [1, 2, 1]);
    assert_eq!(ids("a b a b a b a b a b"), [1, 2, 1, 2, 1, 2, 1, 2], "the whole budget");
    assert_eq!(ids(" "), [0], "no graph takes a text of no tokens");
    assert_eq!(tokenizer.padding(), None);
}

#[test]
fn padding_is_what_the_file_says_and_the_manifest_has_the_last_word() {
    let declared = r#"{"strategy":"BatchLongest","direction":"Left","pad_to_multiple_of":null,"pad_id":3,"pad_type_id":0,
        "pad_token":"<|end|>"}"#;
    let named = TokenizerSpec { pad_token: Some("b".into()), ..spec() };

    let by_file = decoder(declared, &spec()).expect("a tokenizer");
    let by_manifest = decoder(declared, &named).expect("a tokenizer");

    assert_eq!(by_file.padding(), Some(TokenPadding { id: 3, side: PaddingSide::Left }));
    assert_eq!(by_manifest.padding(), Some(TokenPadding { id: 2, side: PaddingSide::Left }));
}

#[test]
fn a_pad_token_that_is_no_token_is_refused() {
    let named = TokenizerSpec { pad_token: Some("<|pad|>".into()), ..spec() };

    let error = decoder("null", &named).expect_err("no such token");

    assert_eq!(error.to_string(), "tokenizer.json has no token `<|pad|>`, which tokenizer.pad_token names");
}

#[test]
fn the_largest_id_is_one_that_a_text_can_get() {
    let named = TokenizerSpec { pad_token: Some("<|unused|>".into()), ..spec() };

    assert_eq!(decoder("null", &spec()).expect("a tokenizer").largest_id(), 2, "specials are not found in texts");
    assert_eq!(decoder("null", &named).expect("a tokenizer").largest_id(), 4, "padding is");
    assert_eq!(tokenizer().largest_id(), 33);
}

#[test]
fn specials_are_found_whatever_the_vocabulary_knows() {
    let json = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"decoder":null,
        "post_processor":{"type":"BertProcessing","sep":["</s>",2],"cls":["<s>",0]},
        "model":{"type":"WordLevel","unk_token":"none","vocab":{"<s>":0,"</s>":2,"w":4}}}"#;

    let tokenizer = Tokenizer::parse(&spec(), json.as_bytes()).expect("a vocabulary without `a`");

    assert_eq!(tokenizer.tokens(&tokenizer.budget().excerpt("w")).expect("tokens").ids, [0, 4, 2]);
}

/// `tests/fixtures/control_tokens.py` has written what training makes of these texts.
#[test]
fn control_tokens_that_a_text_spells_out_are_the_text_that_they_were_in_training() {
    let made: serde_json::Value =
        serde_json::from_str(include_str!("../../../../../tests/fixtures/control_tokens.json")).expect("JSON");
    let texts = made["texts"].as_array().expect("texts");

    for case in made["cases"].as_array().expect("cases") {
        let spec = TokenizerSpec { max_tokens: 64, ..spec() };
        let tokenizer = Tokenizer::parse(&spec, case["tokenizer"].to_string().as_bytes()).expect("a tokenizer");
        for (text, expected) in texts.iter().zip(case["ids"].as_array().expect("ids")) {
            let ids = tokenizer.encode(text.as_str().expect("a text")).expect("ids");

            assert_eq!(serde_json::json!(ids), *expected, "{} of {text}", case["name"]);
        }
    }
}
