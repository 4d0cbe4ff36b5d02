use super::*;

fn four() -> ChoiceOptions {
    ChoiceOptions { count: 4, texts: Vec::new() }
}

fn check(table: &[(&str, char)]) {
    for (answer, letter) in table {
        assert_eq!(four().chosen(answer), Ok(*letter), "{answer}");
    }
}

#[test]
fn a_letter_by_itself_is_read_however_it_is_dressed() {
    check(&[
        ("B", 'B'),
        ("b", 'B'),
        ("(B)", 'B'),
        ("[B]", 'B'),
        ("B.", 'B'),
        ("B)", 'B'),
        ("**B**", 'B'),
        ("**(B)**", 'B'),
        ("`B`", 'B'),
        ("\n\nB\n", 'B'),
        ("B) Paris", 'B'),
        ("B. Paris is the capital of France.", 'B'),
        ("(B) Paris", 'B'),
        ("**B) Paris**", 'B'),
        ("B: Paris", 'B'),
        ("Option B", 'B'),
        ("A. The cat sat on the mat", 'A'),
        ("A", 'A'),
        ("Ｃ", 'C'),
        ("Definitely C!", 'C'),
        ("C, I think.", 'C'),
    ]);
}

#[test]
fn a_stated_letter_counts_before_others_and_the_last_statement_before_the_first() {
    check(&[
        ("The answer is (B).", 'B'),
        ("The answer is B because A is too large.", 'B'),
        ("The answer is A because it fits.", 'A'),
        ("The correct answer is **C**.", 'C'),
        ("The correct answer is: **C) 12 m/s**", 'C'),
        ("the answer is b", 'B'),
        ("the answer is a.", 'A'),
        ("Answer: D", 'D'),
        ("**Answer:** D", 'D'),
        ("**Answer: (D)**", 'D'),
        ("Final answer: D", 'D'),
        ("ANSWER = C", 'C'),
        ("The answer to this question is option C.", 'C'),
        ("The best choice would be D.", 'D'),
        ("So the right one is B.", 'B'),
        ("I would choose C here, although B is close.", 'C'),
        ("I'd go with option A.", 'A'),
        ("Therefore, the answer is \\boxed{C}.", 'C'),
        ("\\boxed{\\text{B}}", 'B'),
        ("$\\boxed{D}$", 'D'),
        ("First I thought the answer is A. But on reflection the answer is C.", 'C'),
        ("A) 1\nB) 2\nC) 3\nD) 4\n\nAnswer: C", 'C'),
        ("(A) is wrong, (B) is wrong, (D) is wrong. The answer is (C).", 'C'),
        ("I don't think the answer is A. The answer is D.", 'D'),
        ("Step by step: 3 + 4 = 7.\n\nAnswer: B (7)", 'B'),
        ("The answer is most likely B", 'B'),
        ("The correct option is\n\n**B**", 'B'),
    ]);
}

#[test]
fn a_letter_that_is_called_right_or_stands_out_alone_counts() {
    check(&[
        ("Option B is correct.", 'B'),
        ("Looking at each, (C) is the correct answer.", 'C'),
        ("Of these, D is right: the others need heat.", 'D'),
        ("It follows from Newton's law, hence (B).", 'B'),
        ("Newton's law gives **B**, as forces balance and the rest is stated in the text above it.", 'B'),
        ("We look at forces.\n\nThey balance.\n\nB", 'B'),
        ("A\nB\nC\n\nC", 'C'),
        ("Because forces balance, we see that option C holds here in every frame of reference.", 'C'),
    ]);
}

#[test]
fn answers_in_other_languages_are_read() {
    check(&[
        ("Die richtige Antwort ist B.", 'B'),
        ("Antwort: C", 'C'),
        ("Die Antwort lautet (D).", 'D'),
        ("La réponse est B.", 'B'),
        ("La réponse correcte est C", 'C'),
        ("La respuesta correcta es C.", 'C'),
        ("Respuesta: B", 'B'),
        ("A resposta correta é D.", 'D'),
        ("La risposta corretta è B.", 'B'),
        ("答案是B。", 'B'),
        ("答案：C", 'C'),
        ("选择 D", 'D'),
        ("正解はBです。", 'B'),
        ("정답은 C입니다.", 'C'),
        ("Ответ: B", 'B'),
        ("Ответ: В", 'B'),
    ]);
}

#[test]
fn thoughts_do_not_count_and_json_does() {
    check(&[
        ("<think>The answer is A.</think>B", 'B'),
        ("<think>Maybe A, maybe C.</think>\n\nThe answer is D.", 'D'),
        ("{\"answer\": \"C\"}", 'C'),
        ("```json\n{\"reason\": \"A is too small\", \"answer\": \"(C)\"}\n```", 'C'),
        ("{\"choice\": \"B) Paris\"}", 'B'),
    ]);
}

#[test]
fn answers_that_name_several_letters_or_none_are_unclear() {
    let unclear = [
        "",
        "   ",
        "Paris",
        "A cat is an animal.",
        "The answer is a bit complicated.",
        "Answer: A cat.",
        "The answer is A or B.",
        "The answer is A and C.",
        "The answer is B, C.",
        "Answer: A/B",
        "A and B are both correct.",
        "(A) or (B)",
        "A) 1\nB) 2\nC) 3\nD) 4",
        "Both (A) and (C) fit.",
        "E",
        "The answer is E.",
        "None of the above.",
        "I cannot answer this question.",
        "It is not B.",
        "The answer is not B.",
        "Oranges are rich in vitamin C and so are many other fruits that people eat.",
        "I don't think the answer is A.",
        "<think>The answer is A.",
    ];

    for answer in unclear {
        assert!(four().chosen(answer).is_err(), "{answer}: {:?}", four().chosen(answer));
    }
}

#[test]
fn the_text_of_one_option_stands_for_its_letter() {
    let texts = ["Paris", "New York", "York", "Berlin"].map(str::to_owned).to_vec();
    let options = ChoiceOptions { count: 4, texts };

    assert_eq!(options.chosen("It must be Paris, the city of light."), Ok('A'));
    assert_eq!(options.chosen("new york"), Ok('B'));
    assert_eq!(options.chosen("York"), Ok('C'));
    assert!(options.chosen("Paris or Berlin").is_err());
}

#[test]
fn letters_beyond_the_options_are_none() {
    let ten = ChoiceOptions { count: 10, texts: Vec::new() };

    assert_eq!(ten.chosen("The answer is J."), Ok('J'));
    assert_eq!(ten.chosen("I"), Ok('I'));
    assert!(ten.chosen("I am sure.").is_err());
    assert!(four().chosen("The answer is J.").is_err());
}
