use super::*;

fn redacted(text: &str) -> String {
    Redactor::new(&RedactedKinds::default()).expect("all kinds").redact(text).text.into_owned()
}

#[test]
fn personal_data_and_secrets_are_replaced_by_their_kinds() {
    let jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "c2lnbmF0dXJl"].join(".");
    for (text, expected) in [
        ("write to Ana.Lopez+x@mail.example.co.uk, please", "write to [EMAIL], please"),
        ("jörg@bücher.example", "[EMAIL]"),
        ("call +49 (0)30 901820-0 or +1-202-555-0143.", "call [PHONE] or [PHONE]."),
        ("(202) 555-0143, 202.555.0143", "[PHONE], [PHONE]"),
        ("06 12 34 56 78 or 030/901820", "[PHONE] or [PHONE]"),
        ("to DE89 3704 0044 0532 0130 00 by Friday", "to [IBAN] by Friday"),
        ("gb29nwbk60161331926819", "[IBAN]"),
        ("4111 1111 1111 1111, 378282246310005, 5500-0000-0000-0004", "[CARD], [CARD], [CARD]"),
        ("card 4111 1111 1111 1111 123", "card [CARD] 123"),
        ("ssn 078-05-1120", "ssn [SSN]"),
        ("from 203.0.113.7 and 2001:db8::8a2e:370:7334", "from [IP] and [IP]"),
        (&format!("token {jwt}!"), "token [KEY]!"),
        ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: [KEY]"),
        ("{\"password\": \"hunter2hunter2\"}", "{\"[KEY]\"}"),
        ("postgres://app:s3cret@db.internal/x", "[KEY]db.internal/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\nrest", "[KEY]\nrest"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB", "[KEY]"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENG", "AWS_SECRET_[KEY]"),
        ("export DB_PASSWORD='hunter2hunter2'", "export DB_[KEY]'"),
        ("{\"dbPassword\":\"hunter2hunter2\"}", "{\"db[KEY]\"}"),
        (r#"{\"password\": \"hunter2hunter2\"}"#, r#"{\"[KEY]"}"#),
        ("redis://:s3cret@cache:6379/0 is it", "[KEY]cache:6379/0 is it"),
        ("HTTPS://app:s3cret@db", "[KEY]db"),
        ("secret_key: -----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nrest", "[KEY]\nrest"),
        ("Authorization: Basic YWRtaW46aHVudGVyMg==", "Authorization: [KEY]"),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
    }
}

#[test]
fn keys_of_vendors_are_known_by_their_beginnings() {
    let body = "Ab1".repeat(14);
    for start in
        ["sk-", "sk-proj-", "sk-ant-api03-", "ghp_", "github_pat_", "glpat-", "hf_", "gsk_", "xai-", "xoxb-", "npm_"]
    {
        assert_eq!(redacted(&format!("my key is {start}{body}.")), "my key is [KEY].", "{start}");
    }
    assert_eq!(redacted(&format!("AKIA{}", "Q7".repeat(8))), "[KEY]");
    assert_eq!(redacted(&format!("AIza{}", &body[..35])), "[KEY]");
}

#[test]
fn what_only_looks_like_one_stays() {
    for text in [
        "the numbers 4111 1111 1111 1112 and 1234567890123456",
        "GB00 NWBK 6016 1331 9268 19",
        "use std::vec::Vec; a::b, 12:30:45, aa:bb:cc:dd:ee:ff, ::1, 127.0.0.1",
        "on 2026-11-30 at 10:15, version 1.2.3, 999.1.1.1",
        "000-12-3456, 1,000,000.00 and 3.14159265358979",
        "sk-short, sk-learn-like-estimators-for-all, task-management-of-things, me@home",
        "isbn 978-3-16-148410-0",
        "a basic understanding of Basic internationalization",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_long_run_that_looks_like_many_keys_is_passed_over_once() {
    let run = "sk-abcdefghijklmnopqrs-".repeat(40_000);

    assert_eq!(redacted(&run), run, "no part of it has a digit");
    assert_eq!(redacted(&format!("{run} ana@mail.example")), format!("{run} [EMAIL]"));
}

#[test]
fn only_the_kinds_that_were_named_are_replaced_and_replacements_are_counted() {
    let text = "a@b.example, c@d.example, 203.0.113.7";
    let redactor = Redactor::new(&[RedactedKind::Email].into_iter().collect()).expect("one kind");

    let RedactedText { text, replaced } = redactor.redact(text);

    assert_eq!((&*text, replaced), ("[EMAIL], [EMAIL], 203.0.113.7", 2));
    assert!(Redactor::new(&[].into_iter().collect()).is_none());
}
