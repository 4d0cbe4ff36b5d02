//! What no problem shows: passwords and keys, wherever somebody wrote them.

use super::*;

const SECRET: &str = "p4ssw0rd";

/// Everything that is said of a file.
fn said(text: &str) -> String {
    let (config, problems) = Config::inspect(text, "p.yaml");
    assert!(!problems.is_empty(), "{text}");
    // Later stages point into the same file.
    let later = config.as_ref().and_then(|config| config.problem(&KeyPath::root().key("providers").key("q"), "later"));
    format!("{problems}\n{later:?}\n{problems:?}")
}

#[test]
fn no_problem_shows_a_password_that_stands_in_a_url() {
    let file = |providers: &str| {
        format!("version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders:\n{providers}\n  q: {{base_url: x}}\n")
    };
    for providers in [
        "  p: {base_url: http://user:p4ssw0rd@h/v1}",
        "  p: {base_url: 'http://user:p4ssw0rd@h/v1', bogus: 1}",
        "  p: {bogus: 1, base_url: \"http://user:p4ssw0rd@h/v1\"}",
        "  p:\n    base_url: http://p4ssw0rd@h/v1",
        "  p:\n    base_ulr: http://user:p4ssw0rd@h/v1",
        "  p:\n    base_url: &url http://user:p4ssw0rd@h/v1\n  r: {base_url: *url}",
        "  p: {base_url: \"http://user:\\\n    p4ssw0rd@h/v1\", bogus: 1}",
        "  p: {base_url: \"http://user:\n    p4ssw0rd@h/v1\", bogus: 1}",
        "  p:\n    base_url: |\n      http://user:p4ssw0rd@h/v1",
        "  p:\n    base_url: >-\n      http://user:\n      p4ssw0rd@h/v1",
        "  p: {base_url: [http://user:p4ssw0rd@h/v1]}",
        "  p: {base_url: {url: http://user:p4ssw0rd@h/v1}}",
        "  p: http://user:p4ssw0rd@h/v1",
        "  http://user:p4ssw0rd@h/v1: {}",
        "  ? http://user:p4ssw0rd@h/v1",
        "  p: {base_url: http://h, max_concurrent: http://user:p4ssw0rd@h/v1}",
        "  p: {base_url: http://h, peers: ['http://user:p4ssw0rd@h:1']}",
        "  p: {base_url: http://h, timeouts: {first_byte: user:p4ssw0rd@h}}",
        "  p: {base_url: 'http://h/v1?api_key=p4ssw0rd'}",
        "  p: {base_url: 'http://h/v1?key=p4ssw0rd', bogus: 1}",
        "  p: {base_url: 'http://user:p4ssw0rd', bogus: 1}",
        "  p: {base_url: user:p4ssw0rd@h}",
        "  p: {base_url: http://h, credential: p4ssw0rd}",
        "  p: {base_url: http://h, credentail: p4ssw0rd, bogus: 1}",
        "  p: {base_url: http://h, api_key: p4ssw0rd, bogus: 1}",
        "  p: {base_url: http://h, credential: {env: p4ss-p4ssw0rd}, bogus: 1}",
        "  p: {base_url: http://h, credential:\n    p4ssw0rd, bogus: 1}",
        "  p: {base_url: http://user:p4ssw0rd@h",
        "  p: {bogus: 1} # http://user:p4ssw0rd@h",
    ] {
        let said = said(&file(providers));

        assert!(!said.contains(SECRET), "{providers}\n{said}");
    }
}

#[test]
fn no_problem_shows_a_password_of_a_store_or_a_collector() {
    for section in [
        "store: {redis: {url: 'redis://:p4ssw0rd@h:6379'}}",
        "store: {redis: {url: 'unix:///run/redis.sock?pass=p4ssw0rd'}}",
        "store: {redis: {url: 'redis://h?password=p4ssw0rd'}}",
        "store: {redis: {ulr: 'redis://:p4ssw0rd@h:6379'}}",
        "store: {redsi: {url: 'redis://:p4ssw0rd@h:6379'}}",
        "store: redis://:p4ssw0rd@h:6379",
        "tracing: {otlp: {endpoint: 'http://user:p4ssw0rd@h:4318'}}",
        "tracing: {otlp: {endpoint: 'http://h:4318?token=p4ssw0rd'}}",
        "tracing: {oltp: {endpoint: 'http://user:p4ssw0rd@h:4318'}}",
        "tracing: {otlp: {endpoint: 'http://h:4318', headers: {authorization: p4ssw0rd}}}",
        "decision_log: {path: d.jsonl, hash_key: p4ssw0rd}",
        "classifiers: {c: {bundle: 'http://user:p4ssw0rd@h/b', bogus: 1}}",
    ] {
        let said = said(&format!(
            "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: 'http://h'}}}}\n{section}\n"
        ));

        assert!(!said.contains(SECRET), "{section}\n{said}");
    }
}

#[test]
fn no_problem_shows_a_client_key_or_a_source_that_somebody_put_a_secret_into() {
    for section in [
        "clients: {a: {keys: ['p4ssw0rd']}}",
        "clients: {a: {keys: [p4ssw0rd, {sha256: x}]}}",
        "clients: {a: {keys: [{sha256: 'p4ssw0rd'}]}}",
        "clients: {a: {keys: 'p4ssw0rd'}}",
        "clients: {a: {keys: [{key: 'p4ssw0rd'}]}}",
        "clients: {a: {keys: [{p4ssw0rd: x}]}}",
        "clients: {a: {keys: {p4ssw0rd: x}}}",
        "clients: {a: {kyes: [p4ssw0rd], bogus: 1}}",
        "clients: {a: {secret_key: p4ssw0rd, bogus: 1}}",
        "clients: {a: p4ssw0rd}",
        "clients: [p4ssw0rd]",
        "clients: p4ssw0rd",
        "cleints: {a: {keys: [p4ssw0rd]}}",
        "clients: {a: {keys: [], rate_limit: x, keys: [p4ssw0rd]}}",
        "clients:\n  a:\n    keys: []\n    keys: [p4ssw0rd]",
        "clients:\n  a:\n    keys: []\n    keys:\n    - p4ssw0rd\n    - p4ssw0rd: : x",
        "clients:\n  a:\n    keys:\n      - p4ssw0rd\n      - sha256: p4ssw0rd\n      - {key: p4ssw0rd}",
        "clients:\n  a:\n    keys:\n    - p4ssw0rd: [",
        "clients:\n  a:\n    keys:\n    - 'p4ssw0rd",
        "clients:\n  a:\n    keys:\n    - &k p4ssw0rd\n    - *k\n    - *l",
        "clients:\n  a:\n    <<: {keys: [p4ssw0rd], bogus: 1}\n    keys: []",
        "decision_log: {path: d, hash_key: {p4ssw0rd: x}}",
        "decision_log: {path: d, hash_key: {env: p4ssw0rd, file: p4ssw0rd}}",
        "decision_log: {path: d, hash_key: [p4ssw0rd]}",
        "decision_log: {path: d, hash_key: {file: [p4ssw0rd]}}",
        "decision_log: {path: d, hash_key: {file: {p4ssw0rd: p4ssw0rd}}}",
        "store: {redis: p4ssw0rd}",
        "store: {redis: {url: p4ssw0rd}}",
        "store: {redis: {url: {evn: p4ssw0rd}}}",
        "tracing: {otlp: p4ssw0rd}",
        "tracing: {otlp: {endpoint: 'http://h:4318', headers: 'authorization=p4ssw0rd'}}",
        "tracing: {otlp: {endpoint: 'http://h:4318', headers: {x-key: {p4ssw0rd: 1}}, sample: p4ssw0rd}}",
        "models: {m: {provider: p, key: p4ssw0rd, bogus: 1}}",
    ] {
        let said = said(&format!(
            "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: 'http://h'}}, q: {{base_url: x}}}}\n{section}\n"
        ));

        assert!(!said.contains(SECRET), "{section}\n{said}");
    }
}

#[test]
fn a_problem_still_shows_the_hash_of_a_key_and_the_key_of_what_is_no_secret() {
    let hash = "0123456789abcdef".repeat(4);
    for (section, shown) in [
        (format!("clients: {{a: {{keys: [{{sha256: {hash}}}], bogus: 1}}}}"), hash.as_str()),
        ("clients: {a: {keys: [], rate_limit: {requests_per_minute: many}}}".to_owned(), "got `many`"),
        ("clients: {a: {keys: [], polices: [x], bogus: 1}}".to_owned(), "did you mean `policies`?"),
        ("clients: {a: {keys: [{sah256: x}]}}".to_owned(), "clients.a.keys[0].sah256"),
        ("store: {redis: {ulr: x}}".to_owned(), "store.redis.ulr"),
        ("decision_log: {path: d, hash_key: {fiel: x}}".to_owned(), "decision_log.hash_key.fiel"),
    ] {
        let said = said(&format!(
            "version: 1\nlisten: {{address: 127.0.0.1:0}}\nproviders: {{p: {{base_url: 'http://h'}}}}\n{section}\n"
        ));

        assert!(said.contains(shown), "{section}\n{said}");
    }
}
