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
fn short_passwords_and_those_with_signs_or_blanks_are_taken_whole() {
    for (text, expected) in [
        ("the password: hunter2.", "the [KEY]."),
        ("DB_PASSWORD=s3cr3t", "DB_[KEY]"),
        ("password: P@ss,w0rd-long-secret-123 is it", "[KEY] is it"),
        ("password=abcdefgh,restofsecret", "[KEY]"),
        ("password=abcdefgh,user=bob", "[KEY],user=bob"),
        ("Server=db;Password=abcdefgh;Database=app", "Server=db;[KEY];Database=app"),
        ("{\"password\": \"correct horse\", \"user\": \"ana\"}", "{\"[KEY]\", \"user\": \"ana\"}"),
        ("{\"password\": \"correct horse", "{\"[KEY]"),
        ("(pin or password: 1234)", "(pin or [KEY])"),
        ("pwd=abcdefghijklmnop", "[KEY]"),
        ("password:\u{A0}hunter2", "[KEY]"),
        ("secret: abcdefghijklmnop1234 token: abcdefghijklmnop1234", "[KEY] [KEY]"),
        ("https://x.example/?token=0fd1c2a3b4d5e6f7&page=2", "https://x.example/?[KEY]&page=2"),
        ("X-Vault-Token: hvsCAESIJabcdefghijkLMNOP", "X-Vault-[KEY]"),
        ("hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "[KEY]"),
        ("ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", "[KEY]"),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
    }
}

#[test]
fn numbers_that_a_model_typesets_are_numbers() {
    for (text, expected) in [
        ("0049 170 1234567", "[PHONE]"),
        ("+49\u{A0}170\u{A0}1234567 or +1\u{2011}202\u{2011}555\u{2011}0143", "[PHONE] or [PHONE]"),
        ("202\u{2011}555\u{2011}0143, (202)\u{202F}555\u{2013}0143", "[PHONE], [PHONE]"),
        ("06\u{202F}12\u{202F}34\u{202F}56\u{202F}78", "[PHONE]"),
        ("4111\u{A0}1111\u{A0}1111\u{A0}1111 and 4111\u{2011}1111\u{2011}1111\u{2011}1111", "[CARD] and [CARD]"),
        ("DE89\u{A0}3704\u{A0}0044\u{A0}0532\u{A0}0130\u{A0}00 by Friday", "[IBAN] by Friday"),
        ("DE89\u{2011}3704\u{2011}0044\u{2011}0532\u{2011}0130\u{2011}00", "[IBAN]"),
        ("ssn 078\u{2011}05\u{2011}1120", "ssn [SSN]"),
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
        "interface Login { password: string; token: string }, {\"password\": {\"type\": \"string\"}}",
        "password: yes, password: (see below), password: ${PW}, password: 8-16 signs",
        "token = tokenizer.encode(text); secret = os.environ['X']; token = await next()",
        "max_tokens: 4096, token: 1234567890123, secret: internationalization, token: bert-base-uncased-v2",
        "PWD=/home/ana/project and pwd: ~/src2/project",
        "the years 2011\u{2013}2026, pages 10\u{2013}12",
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
