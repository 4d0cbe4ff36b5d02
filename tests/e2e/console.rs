//! The console's pages and their questions: what is shown, what is not, and who may change the file.

use std::fs;
use std::path::Path;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::soon;

/// Sends a JSON body to the admin plane, with these headers beside its label.
async fn tell(gateway: &Gateway, (method, path): (Method, &str), headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let request = connection.request(method, path).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

/// A gateway, the text of its file, and the origins that answer it.
struct Stage {
    gateway: Gateway,
    text: String,
    _origins: [Origin; 2],
}

/// Starts a gateway with these sections in its file.
async fn start(sections: &str) -> Stage {
    let origins = [Origin::start().await, Origin::start().await];
    let config = Config { sections: sections.to_owned(), ..Config::new(&origins[0], &origins[1]) };
    let gateway = Gateway::start(&config).await;
    Stage { text: config.yaml(), gateway, _origins: origins }
}

/// Starts a gateway whose file may be edited.
async fn start_editable() -> Stage {
    let origins = [Origin::start().await, Origin::start().await];
    let place = |folder: &Path, yaml: &str| {
        let (closed, open) = ("admin: {address: 127.0.0.1:0}", "admin: {address: 127.0.0.1:0, console: {edit: true}}");
        let file = folder.join("pointsman.yaml");
        fs::write(&file, yaml.replace(closed, open)).expect("written");
        file
    };
    let gateway = Gateway::start_placed(&Config::new(&origins[0], &origins[1]), place).await;
    let text = fs::read_to_string(gateway.file()).expect("a text");
    Stage { gateway, text, _origins: origins }
}

/// Looks until a decision is there, as a page does.
async fn decision(gateway: &Gateway) -> Value {
    soon("a decision", async {
        loop {
            let seen = get(gateway.admin, "/api/decisions").await.json();
            if let Some(row) = seen["rows"].as_array().and_then(|rows| rows.last()) {
                return row.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn the_page_and_its_files_come_from_here_and_load_nothing_from_elsewhere() {
    let Stage { gateway, .. } = &start("").await;

    let page = get(gateway.admin, "/console/").await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let entrance = get(gateway.admin, "/console").await;
    assert_eq!(entrance.header("location"), Some("/console/"));

    let text = String::from_utf8(page.body.to_vec()).expect("UTF-8");
    for file in ["console.css", "main.js", "icon.svg"] {
        assert!(text.contains(&format!("\"{file}\"")), "the page does not name {file}");
        let file = get(gateway.admin, &format!("/console/{file}")).await;
        assert_eq!(file.status, StatusCode::OK);
        let text = String::from_utf8_lossy(&file.body).replace("http://www.w3.org/", "");
        assert!(!text.contains("https://") && !text.contains("http://"), "{text}");
    }
    assert_eq!(get(gateway.admin, "/console/nothing.js").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_module_that_a_page_imports_is_there() {
    let Stage { gateway, .. } = &start("").await;

    let mut open = vec!["main.js".to_owned()];
    let mut seen: Vec<String> = Vec::new();
    while let Some(name) = open.pop() {
        let file = get(gateway.admin, &format!("/console/{name}")).await;
        assert_eq!(
            (file.status, file.header("content-type")),
            (StatusCode::OK, Some("text/javascript; charset=utf-8"))
        );
        let text = String::from_utf8(file.body.to_vec()).expect("UTF-8");
        let imports =
            text.lines().filter(|line| line.starts_with("import ")).filter_map(|line| line.split("\"./").nth(1));
        let imports = imports.map(|rest| rest.trim_end_matches("\";").to_owned());
        seen.push(name);
        open.extend(imports.filter(|name| !seen.contains(name)).collect::<Vec<_>>());
    }
    assert!(seen.len() >= 14, "{seen:?}");
}

#[tokio::test]
async fn nothing_is_kept_of_decisions_until_somebody_looks() {
    let Stage { gateway, .. } = &start("").await;

    chat(gateway.listen, question("auto", "hello")).await;
    let first = get(gateway.admin, "/api/decisions").await.json();
    assert_eq!(first["rows"], json!([]));

    chat(gateway.listen, question("auto", "hello")).await;
    let seen = decision(gateway).await;
    assert_eq!(
        (&seen["model"], &seen["reason"], &seen["status"]),
        (&json!("small"), &json!("rule"), &json!(200)),
        "{seen}"
    );
    assert_eq!(seen["text"], Value::Null);
}

#[tokio::test]
async fn a_decision_that_is_seen_opens_to_what_decide_would_have_said() {
    let Stage { gateway, .. } = &start("").await;
    // Before: what is learnt from the answer would change what is expected of the next.
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let decided = admin.post(Framing::Length, "/v1/decide", question("auto", "hello")).await.json();
    get(gateway.admin, "/api/decisions").await;

    chat(gateway.listen, question("auto", "hello")).await;
    let number = decision(gateway).await["number"].clone();
    let seen = get(gateway.admin, &format!("/api/decisions/{number}")).await.json();

    for key in ["model", "policy", "reason", "rule", "rules", "candidates", "features", "ask", "parameters", "flip"] {
        assert_eq!(seen["explanation"][key], decided[key], "{key}");
    }
    assert!(!seen.to_string().contains("hello"), "{seen}");
    assert_eq!(get(gateway.admin, "/api/decisions/999").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn prompts_are_shown_where_the_decision_log_keeps_them_and_as_it_writes_them() {
    let Stage { gateway, .. } =
        &start("decision_log: {path: d.jsonl, text: true, answers: {sample: 1, redact: true}}").await;
    get(gateway.admin, "/api/decisions").await;

    chat(gateway.listen, question("auto", "write to jane@example.com")).await;
    let seen = decision(gateway).await;

    let text = seen["text"].as_str().expect("a text");
    assert!(text.starts_with("write to ") && !text.contains("jane"), "{text}");
}

#[tokio::test]
async fn each_page_s_question_is_answered_with_what_serves() {
    let Stage { gateway, .. } = &start("").await;
    chat(gateway.listen, question("auto", "hello")).await;

    let overview = get(gateway.admin, "/api/overview").await.json();
    assert_eq!(overview["virtual_models"], json!(["auto"]));
    assert!(overview["series"]["pointsman_decisions_total"].is_array(), "{overview}");
    let policies = get(gateway.admin, "/api/policies").await.json();
    assert_eq!((&policies["policies"][0]["name"], &policies["killed"]["all"]), (&json!("auto"), &json!(false)));
    let upstreams = get(gateway.admin, "/api/upstreams").await.json();
    let peer = &upstreams["providers"][0]["peers"][0];
    assert_eq!((&peer["circuit"], &peer["is_down"]), (&json!("closed"), &json!(false)), "{upstreams}");
    let generations = get(gateway.admin, "/api/generations").await.json();
    assert_eq!((&generations["serving"], &generations["previous"]), (&json!(1), &Value::Null));
    let classifiers = get(gateway.admin, "/api/classifiers").await.json();
    assert!(classifiers["states"]["default"]["state"].is_string(), "{classifiers}");
}

#[tokio::test]
async fn a_rollback_s_and_a_refused_reload_s_place_in_history_are_shown() {
    let Stage { gateway, text, .. } = &start("").await;

    gateway.write(&text.replace("version: 1", "version: 1 # changed"));
    soon("generation 2", async {
        while get(gateway.admin, "/generation").await.json()["generation"] != 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tell(gateway, (Method::POST, "/rollback"), &[], &json!({})).await;

    let generations = get(gateway.admin, "/api/generations").await.json();
    let outcomes: Vec<_> =
        generations["records"].as_array().expect("records").iter().map(|own| &own["outcome"]).collect();
    assert_eq!(outcomes, [&json!("rolled_back"), &json!("applied"), &Value::Null], "{generations}");
    let second = get(gateway.admin, "/api/generations/2").await.json();
    assert!(second["text"].as_str().expect("a text").contains("# changed"));
    for (path, last) in [("/api/generations/9", "the last is 3"), ("/api/decisions/9999", "the last is 0")] {
        let never = get(gateway.admin, path).await;
        assert_eq!(never.status, StatusCode::NOT_FOUND);
        let said = never.json()["error"]["message"].clone();
        assert!(said.as_str().expect("a message").contains(last), "{said}");
    }
}

#[tokio::test]
async fn the_file_is_neither_changed_nor_checked_from_the_console_unless_it_says_so() {
    let Stage { gateway, text, .. } = &start("").await;

    let shown = get(gateway.admin, "/api/configuration").await.json();
    assert_eq!((&shown["editable"], &shown["serves"]), (&json!(false), &json!(true)));
    let body = json!({"text": text});
    let tag = shown["etag"].as_str().expect("a tag");
    for (method, path) in [(Method::PUT, "/api/configuration"), (Method::POST, "/api/configuration/check")] {
        let refused = tell(gateway, (method, path), &[("if-match", tag)], &body).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (StatusCode::FORBIDDEN, "editing_off"));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_text_is_said_with_its_line_and_its_tests_are_run() {
    let Stage { gateway, text, .. } = &start_editable().await;
    let check = (Method::POST, "/api/configuration/check");

    let wrong = text.replacen("use: small", "use: smal", 1);
    let found = tell(gateway, check.clone(), &[], &json!({"text": wrong})).await.json();
    let line = 1 + text.lines().position(|line| line.contains("use: small")).expect("a rule");
    assert_eq!(found["problems"][0]["line"], json!(line), "{found}");

    let tested = format!(
        "{text}\ntests:\n  - {{prompt: hello, expect: {{model: small}}}}\n  - {{prompt: hello, expect: {{model: frontier}}}}\n"
    );
    let found = tell(gateway, check, &[], &json!({"text": tested})).await.json();
    let failures: Vec<_> = found["tests"]
        .as_array()
        .expect("tests")
        .iter()
        .map(|test| test["failures"].as_array().expect("a list").len())
        .collect();
    assert_eq!((failures, &found["problems"]), (vec![0, 1], &json!([])), "{found}");
    assert_eq!(get(gateway.admin, "/generation").await.json()["generation"], 1);
}

#[tokio::test]
async fn a_text_is_saved_over_the_one_that_was_seen_and_the_former_one_is_kept() {
    let Stage { gateway, text, .. } = &start_editable().await;
    let save = (Method::PUT, "/api/configuration");
    let next = json!({"text": format!("# one more line\n{text}")});
    let shown = get(gateway.admin, "/api/configuration").await;
    let tag = shown.header("etag").expect("a tag").to_owned();
    assert_eq!(shown.json()["etag"], json!(tag));

    let untagged = tell(gateway, save.clone(), &[], &next).await;
    assert_eq!(untagged.status, StatusCode::PRECONDITION_REQUIRED);
    let seen = format!("\"of-another-file\", {tag}");
    let saved = tell(gateway, save.clone(), &[("if-match", &seen)], &next).await;
    assert!(saved.header("etag").is_some_and(|next| next != tag), "a tag of the new text");
    let saved = saved.json();
    assert_eq!((&saved["saved"], &saved["generation"]), (&json!(true), &json!(2)), "{saved}");
    assert!(fs::read_to_string(gateway.file()).expect("a text").starts_with("# one more line\n"));
    let late = tell(gateway, save, &[("if-match", &tag)], &next).await;
    assert_eq!((late.status, late.error_code().as_str()), (StatusCode::PRECONDITION_FAILED, "precondition_failed"));

    let versions = get(gateway.admin, "/api/configuration").await.json()["versions"].clone();
    let name = versions[0]["name"].as_str().expect("a version");
    let version = get(gateway.admin, &format!("/api/configuration/versions/{name}")).await.json();
    assert_eq!(version["text"], json!(*text));
    assert_eq!(get(gateway.admin, "/api/configuration/versions/..").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_text_that_would_not_serve_is_not_saved_and_one_that_is_refused_is_put_back() {
    let Stage { gateway, text, .. } = &start_editable().await;
    let save = (Method::PUT, "/api/configuration");
    let shown = get(gateway.admin, "/api/configuration").await.json();
    let tag = [("if-match", shown["etag"].as_str().expect("a tag"))];

    let wrong = json!({"text": text.replacen("use: small", "use: smal", 1)});
    let answer = tell(gateway, save.clone(), &tag, &wrong).await.json();
    assert_eq!(answer["saved"], json!(false), "{answer}");
    let tested = format!("{text}\ntests: [{{prompt: hello, expect: {{model: frontier}}}}]\n");
    let failing = tell(gateway, save.clone(), &tag, &json!({"text": tested})).await.json();
    assert_eq!(failing["saved"], json!(false), "{failing}");
    // The listener cannot change while the process runs: only the reload can say so.
    let moved = json!({"text": text.replacen("listen: {address: 127.0.0.1:0", "listen: {address: 127.0.0.2:0", 1)});
    assert_ne!(moved["text"], json!(*text));
    let refused = tell(gateway, save, &tag, &moved).await;
    assert_eq!((refused.status, refused.error_code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "reload_rejected"));

    assert_eq!(&fs::read_to_string(gateway.file()).expect("a text"), text);
    assert_eq!(get(gateway.admin, "/generation").await.json()["generation"], 1);
}

#[tokio::test]
async fn a_page_of_another_origin_asks_the_console_nothing() {
    let Stage { gateway, text, .. } = &start_editable().await;
    let page = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("if-match", "\"x\"")];

    for (method, path) in [
        (Method::PUT, "/api/configuration"),
        (Method::POST, "/api/configuration/check"),
        (Method::POST, "/api/playground"),
        (Method::GET, "/api/decisions"),
        (Method::GET, "/console/main.js"),
    ] {
        let refused = tell(gateway, (method, path), &page, &json!({"text": text})).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (StatusCode::FORBIDDEN, "cross_site"), "{path}");
    }
}

#[tokio::test]
async fn the_playground_sends_as_a_client_would() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let asked: Value = serde_json::from_str(&question("auto", "hello")).expect("JSON");

    let sent = tell(&gateway, (Method::POST, "/api/playground"), &[], &json!({"body": asked})).await.json();

    assert_eq!((&sent["status"], &sent["headers"]["x-pointsman-model"]), (&json!(200), &json!("small")), "{sent}");
    assert_eq!(small.take().expect("a request").path, CHAT);
}

#[tokio::test]
async fn a_playground_body_that_is_no_object_is_said_to_be_none() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for body in [json!([1]), json!("hello"), json!(null)] {
        let refused = tell(&gateway, (Method::POST, "/api/playground"), &[], &json!({"body": body})).await;

        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
    }
}
