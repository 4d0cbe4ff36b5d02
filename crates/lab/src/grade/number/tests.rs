use super::*;

fn check(table: &[(&str, f64)]) {
    for (answer, value) in table {
        let found = WrittenNumber::of_answer(answer).unwrap_or_else(|unclear| panic!("{answer}: {unclear}"));
        assert!((found.value - value).abs() < 1e-9 * value.abs().max(1.0), "{answer}: {} is not {value}", found.value);
    }
}

#[test]
fn numbers_are_read_however_they_are_written() {
    check(&[
        ("42", 42.0),
        ("42.", 42.0),
        ("-5", -5.0),
        ("−5", -5.0),
        ("1,234", 1234.0),
        ("1,234,567.5", 1_234_567.5),
        ("1.234,56", 1234.56),
        ("1.234.567", 1_234_567.0),
        ("1 234 567", 1_234_567.0),
        ("1'234", 1234.0),
        ("1\u{202f}234,5", 1234.5),
        ("3.25", 3.25),
        ("3.25", 3.25),
        (".5", 0.5),
        ("$18", 18.0),
        ("-$18", -18.0),
        ("$-18", -18.0),
        ("€ 1,200.50", 1200.5),
        ("3/4", 0.75),
        ("1 1/2", 1.5),
        ("2½ cups", 2.5),
        ("½", 0.5),
        ("25%", 25.0),
        ("1.5e3", 1500.0),
        ("6.02 × 10^23", 6.02e23),
        ("$2 \\times 10^{-3}$", 0.002),
        ("3 million", 3e6),
        ("about 5.2 billion people", 5.2e9),
        ("18 dollars", 18.0),
        ("12kg", 12.0),
        ("\\frac{3}{4}", 0.75),
        ("\\dfrac{1}{8}", 0.125),
    ]);
}

#[test]
fn the_result_counts_before_the_other_numbers() {
    check(&[
        ("He sold 5 at 3 each.\n#### 15", 15.0),
        ("5 * 3 = 15 #### 1,500", 1500.0),
        ("So $x = \\boxed{\\frac{7}{2}}$.", 3.5),
        ("\\boxed{x = 5}", 5.0),
        ("\\boxed{1{,}024}", 1024.0),
        ("\\boxed{12\\text{ cm}}", 12.0),
        ("First \\boxed{1}, rather \\boxed{2}.", 2.0),
        ("The answer is 72. It took 3 steps.", 72.0),
        ("The final answer is **$1,080**.", 1080.0),
        ("**Answer:** 18 eggs in 7 days", 18.0),
        ("The answer is 6 * 7 = 42.", 42.0),
        ("Answer: 10\n\nWait, that is wrong.\n\nAnswer: 12", 12.0),
        ("Janet sells 16 - 3 - 4 = 9 eggs, for 9 * 2 = 18 dollars", 18.0),
        ("She pays 19.50 * 4 = $78.00 over 4 weeks.", 78.0),
        ("Half of 8 is 8 / 2 = 4. So 4 in 2 days.", 2.0),
        ("There are 3 cats and 4 dogs, 7 animals in total", 7.0),
        ("<think>The answer is 5.</think>7", 7.0),
        ("Die Antwort ist 3,5.", 3.5),
        ("La réponse est 12 euros.", 12.0),
        ("答案是42。", 42.0),
        ("The answer to 2 + 2 is 4.", 4.0),
    ]);
}

#[test]
fn a_minus_between_numbers_is_no_sign_and_digits_in_words_are_no_numbers() {
    check(&[("10-5", 5.0), ("x-5", 5.0), ("7 and B12", 7.0), ("(3)-2", 2.0), ("from 4 to -2", -2.0)]);
}

#[test]
fn answers_without_a_number_or_with_two_are_unclear() {
    for answer in ["", "many", "The answer is 5 or 6.", "\\boxed{x}", "3 apples\n#### none"] {
        assert!(WrittenNumber::of_answer(answer).is_err(), "{answer}: {:?}", WrittenNumber::of_answer(answer));
    }
}

#[test]
fn a_share_may_be_written_in_percent() {
    let equal = |answer: &str, right: &str| {
        let read = |text: &str| WrittenNumber::parse(text).expect("a number");
        read(answer).equals(read(right), NumberTolerance::Relative(0.0))
    };

    assert!(equal("25%", "25") && equal("25 %", "0.25") && equal("0.25", "25%") && equal("25", "25%"));
    assert!(equal("1/3", "0.3333333333333333") && equal("1,000", "1000"));
    assert!(!equal("25", "0.25") && !equal("2.5%", "25") && !equal("-1", "1"));
}

#[test]
fn the_tolerance_forgives_a_difference_and_no_more() {
    let right = WrittenNumber { value: 200.0, is_percent: false };
    let near = |value: f64, tolerance| WrittenNumber { value, is_percent: false }.equals(right, tolerance);

    assert!(near(201.0, NumberTolerance::Absolute(1.0)) && !near(201.1, NumberTolerance::Absolute(1.0)));
    assert!(near(202.0, NumberTolerance::Relative(0.01)) && !near(203.0, NumberTolerance::Relative(0.01)));
    assert!(!near(200.001, NumberTolerance::Relative(0.0)));
}
