use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::thread::JoinHandle;

use super::super::{OpenRun, RunFile};
use super::*;

/// A request as the scripted server saw it.
struct Seen {
    line: String,
    headers: Vec<String>,
    body: Value,
    text: String,
}

/// A server that gives these answers, one a connection, and tells what it was asked.
fn scripted(answers: Vec<(u16, Value)>) -> (SocketAddr, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let answer = |(status, answer): (u16, Value)| {
            let (mut connection, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(connection.try_clone().expect("a connection"));
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a head");
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let length =
                lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or_default()];
            reader.read_exact(&mut body).expect("a body");
            let answer = answer.to_string();
            let length = answer.len();
            write!(connection, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}")
                .expect("written");
            let text = String::from_utf8_lossy(&body).into_owned();
            Seen {
                line: lines.remove(0),
                headers: lines,
                body: serde_json::from_slice(&body).unwrap_or_default(),
                text,
            }
        };
        answers.into_iter().map(answer).collect()
    });
    (address, server)
}

fn record() -> RunRecord {
    let mut run = OpenRun::unkept("eval", &["eval".to_owned(), "--seed".to_owned()]);
    run.seed(7);
    run.version("pointsman", "1.0");
    run.figure("accuracy", 0.5);
    run.figure("models.a b@c.quality", 1.0);
    let mut record = run.end(None).expect("a record");
    record.data = vec![RunFile { path: "data/rows.jsonl".into(), sha256: "ab".repeat(32), rows: Some(3) }];
    record
}

fn server(address: SocketAddr, experiment: &str) -> MlflowServer {
    let authorization = Some(HeaderValue::from_static("Bearer token"));
    MlflowServer::new(&format!("http://{address}/base/"), experiment, authorization).expect("a URL")
}

async fn send(address: SocketAddr, experiment: &str) -> Result<RecordedRun, MlflowError> {
    server(address, experiment).record(&record()).await
}

#[tokio::test]
async fn a_run_goes_into_an_experiment_that_is_made_where_there_is_none() {
    let ok = || (200, json!({}));
    let (address, server) = scripted(vec![
        (404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"})),
        (200, json!({"experiment_id": "12"})),
        (200, json!({"run": {"info": {"run_id": "r1"}}})),
        ok(),
        ok(),
        ok(),
        ok(),
    ]);

    let recorded = send(address, "a b&c").await.expect("recorded");

    let seen = server.join().expect("a server");
    let calls: Vec<&str> = seen.iter().map(|seen| seen.line.trim_end_matches(" HTTP/1.1")).collect();
    assert_eq!(recorded, RecordedRun { id: "r1".to_owned(), artifact_uri: None });
    assert_eq!(calls[0], "GET /base/api/2.0/mlflow/experiments/get-by-name?experiment_name=a+b%26c");
    assert_eq!(calls[1..3], ["POST /base/api/2.0/mlflow/experiments/create", "POST /base/api/2.0/mlflow/runs/create"]);
    assert!(
        seen.iter()
            .all(|seen| seen.headers.iter().any(|header| header.eq_ignore_ascii_case("authorization: Bearer token")))
    );
    let metrics = &seen[3].body["metrics"];
    assert_eq!((&metrics[0]["key"], &metrics[1]["key"]), (&json!("accuracy"), &json!("models.a b_c.quality")));
    let parameters = seen[4].body["params"].as_array().expect("parameters");
    assert!(parameters.contains(&json!({"key": "data.0.sha256", "value": "ab".repeat(32)})), "{parameters:?}");
    assert_eq!(seen[5].body["datasets"][0]["dataset"]["name"], "rows.jsonl");
    assert_eq!((&seen[6].body["status"], &seen[6].body["run_id"]), (&json!("FINISHED"), &json!("r1")));
}

#[tokio::test]
async fn a_refusal_is_told_with_the_call_and_the_server_s_words() {
    let (address, server) = scripted(vec![
        (200, json!({"experiment": {"experiment_id": "3"}})),
        (400, json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "too\nlong"})),
    ]);

    let error = send(address, "e").await.expect_err("refused");

    server.join().expect("a server");
    assert_eq!(error.to_string(), "the tracking server answers runs/create with 400: too long");
}

#[tokio::test]
async fn a_file_of_a_run_goes_into_its_folder_through_the_server_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("index.html");
    std::fs::write(&page, "<!doctype html>").expect("written");
    let mut run = OpenRun::unkept("eval", &[]);
    run.report(&page);
    let [artifact] = run.artifacts() else { panic!("one file") };
    let (address, answering) = scripted(vec![(200, json!({})), (503, json!({"message": "full"}))]);
    let server = server(address, "e");
    let at = |uri: &str| RecordedRun { id: "r1".to_owned(), artifact_uri: Some(uri.to_owned()) };

    let sent = server.upload(&at("mlflow-artifacts:/3/r1/artifacts"), artifact).await;
    let refused = server.upload(&at("mlflow-artifacts:/3/r1/artifacts"), artifact).await.expect_err("refused");
    let elsewhere = server.upload(&at("s3://bucket/3/r1/artifacts"), artifact).await.expect_err("another store");

    let seen = answering.join().expect("a server");
    assert!(sent.is_ok(), "{sent:?}");
    let path = "PUT /base/api/2.0/mlflow-artifacts/artifacts/3/r1/artifacts/report/index.html HTTP/1.1";
    assert_eq!((&*seen[0].line, &*seen[0].text), (path, "<!doctype html>"));
    for header in ["content-type: text/html; charset=utf-8", "authorization: Bearer token"] {
        assert!(seen[0].headers.iter().any(|own| own.eq_ignore_ascii_case(header)), "{:?}", seen[0].headers);
    }
    assert!(refused.to_string().contains("503: full"), "{refused}");
    assert!(elsewhere.to_string().contains("`s3://bucket`"), "{elsewhere}");
}

#[test]
fn a_url_that_is_none_is_refused_without_its_password() {
    for wrong in ["file:///tmp/runs", "databricks", "http://user:planted@host"] {
        let error = MlflowServer::new(wrong, "e", None).expect_err(wrong).to_string();

        assert!(error.contains("is not the URL") && !error.contains("planted"), "{error}");
    }
}
