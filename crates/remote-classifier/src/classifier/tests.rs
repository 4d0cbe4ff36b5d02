//! A remote classifier against servers that do as a test says: batches, the cache, hedges, the breaker, the contract.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pointsman_core::scores::ScoreSource;
use pointsman_http_client::ServerTrust;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

mod hedges;

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that hands every request to its test.
struct ScriptedServer {
    address: SocketAddr,
    asked: mpsc::Receiver<Asked>,
}

/// A request that waits for its answer; `reply` is closed where the client has gone.
struct Asked {
    texts: Vec<String>,
    reply: oneshot::Sender<(StatusCode, String)>,
}

impl ScriptedServer {
    async fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    fn at(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("bound");
        let (sender, asked) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| hand_over(request, sender.clone()));
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, asked }
    }

    async fn next(&mut self) -> Asked {
        soon(self.asked.recv()).await.expect("the server runs")
    }

    /// Answers every request from now on.
    fn answer_all(mut self) {
        tokio::spawn(async move {
            while let Some(asked) = self.asked.recv().await {
                asked.answer();
            }
        });
    }
}

impl Asked {
    fn answer(self) {
        let results = self.texts.iter().map(|text| result(if text.contains("hard") { 0.9 } else { 0.1 }));
        let results = results.collect::<Vec<_>>().join(", ");
        let body = format!(r#"{{"classifier": "tiers", "version": "3", "results": [{results}]}}"#);
        self.reply.send((StatusCode::OK, body)).ok();
    }

    fn refuse(self) {
        self.reply.send((StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned())).ok();
    }
}

/// Returns an answer in which the labels stand in their order.
fn result(complex: f64) -> String {
    let simple = 1.0 - complex;
    let tier = format!(r#"{{"label": "simple", "probabilities": {{"simple": {simple}, "complex": {complex}}}}}"#);
    format!(r#"{{"heads": {{"tier": {tier}}}, "tokens": 3, "truncated": false}}"#)
}

async fn hand_over(
    request: Request<Incoming>,
    sender: mpsc::Sender<Asked>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let texts = body["inputs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let (reply, answer) = oneshot::channel();
    sender.send(Asked { texts, reply }).await.ok();
    let (status, body) = answer.await.unwrap_or((StatusCode::BAD_GATEWAY, String::new()));
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    Ok(response)
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("something within a minute")
}

fn classifier(servers: &[SocketAddr], more: &Value) -> RemoteClassifier {
    let urls: Vec<_> = servers.iter().map(|address| format!("http://{address}")).collect();
    let mut remote = json!({"protocol": "pointsman", "urls": urls, "hedge": {"budget": 0.0}});
    let mut section = json!({"deadline": "60s"});
    for (key, value) in more.as_object().into_iter().flatten() {
        let place =
            if ["deadline", "queue", "cache", "batch"].contains(&key.as_str()) { &mut section } else { &mut remote };
        place[key] = value.clone();
    }
    section["remote"] = remote.clone();
    let terms = RemoteTerms {
        section: serde_json::from_value(remote).expect("a section"),
        classifier: serde_json::from_value(section).expect("a section"),
        access: RemoteAccess { fields: HeaderMap::new(), trust: ServerTrust::System },
    };
    RemoteClassifier::new(&Name::new("default").expect("a name"), terms, &Metrics::new())
}

/// A classifier whose contract holds already.
fn known(servers: &[SocketAddr], more: &Value) -> RemoteClassifier {
    let classifier = classifier(servers, more);
    let labels = ["simple", "complex"].map(Arc::from);
    let labels = pointsman_core::scores::HeadLabels { names: labels.into(), levels: None };
    let contract = RemoteContract { version: None, heads: vec![("tier".into(), labels)], input: None };
    classifier.adopt(&contract);
    classifier
}

async fn complex(classifier: &RemoteClassifier, text: &str) -> Result<f32, ClassifierFailure> {
    let scores = soon(classifier.score(text, Instant::now() + PATIENCE)).await?;
    Ok(scores.head("tier").expect("the head").probabilities[1])
}

fn spawned(classifier: &RemoteClassifier, text: &str) -> tokio::task::JoinHandle<Result<f32, ClassifierFailure>> {
    let (classifier, text) = (classifier.clone(), text.to_owned());
    tokio::spawn(async move { complex(&classifier, &text).await })
}

async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_waits_while_a_request_is_open_goes_together() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({"max_concurrent": 1, "batch": {"max_size": 8}}));

    let first = spawned(&classifier, "one");
    let open = server.next().await;
    let others = ["two", "hard", "four"].map(|text| spawned(&classifier, text));
    until(|| classifier.stats().waiting == 3).await;
    open.answer();
    let together = server.next().await;
    let mut texts = together.texts.clone();
    texts.sort();
    together.answer();

    assert_eq!(texts, ["four", "hard", "two"]);
    assert_eq!(first.await.expect("no panic"), Ok(0.1));
    let [two, hard, four] = others;
    assert_eq!(two.await.expect("no panic"), Ok(0.1));
    assert_eq!(hard.await.expect("no panic"), Ok(0.9), "each text gets its own answer");
    assert_eq!(four.await.expect("no panic"), Ok(0.1));
}

#[tokio::test]
async fn a_text_that_comes_again_is_not_asked_again_nor_one_that_comes_meanwhile() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({}));

    let [one, other] = ["same", "same"].map(|text| spawned(&classifier, text));
    let asked = server.next().await;
    asked.answer();
    let answers = [one.await.expect("no panic"), other.await.expect("no panic")];
    let again = classifier.score("same", Instant::now() + PATIENCE).await.expect("scores");

    assert_eq!(answers, [Ok(0.1), Ok(0.1)]);
    assert!(again.is_cached && again.source == ScoreSource::Remote);
    assert!(server.asked.try_recv().is_err(), "nobody was asked twice");
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_deadline_and_the_request_is_cancelled() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({"timeout": "50ms", "deadline": "1s"}));

    let scored = spawned(&classifier, "text");
    let mut open = server.next().await;

    assert_eq!(scored.await.expect("no panic"), Err(ClassifierFailure::Deadline));
    soon(open.reply.closed()).await;
    assert!(
        classifier.trouble().is_some_and(|trouble| trouble.starts_with("deadline: ")),
        "{:?}",
        classifier.trouble()
    );
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_is_cancelled_and_blames_nobody() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({"breaker": {"failures": 1}}));

    let scored = spawned(&classifier, "text");
    let mut open = server.next().await;
    scored.abort();
    soon(open.reply.closed()).await;

    assert_eq!((classifier.down(), classifier.stats().failures), (None, 0));
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({"max_concurrent": 1, "queue": 1}));

    let first = spawned(&classifier, "one");
    let open = server.next().await;
    let second = spawned(&classifier, "two");
    until(|| classifier.stats().waiting == 1).await;
    let third = complex(&classifier, "three").await;
    open.answer();
    server.answer_all();

    assert_eq!(third, Err(ClassifierFailure::QueueFull));
    assert_eq!((first.await.expect("no panic"), second.await.expect("no panic")), (Ok(0.1), Ok(0.1)));
}

#[tokio::test]
async fn a_slow_request_is_sent_a_second_time_and_the_first_answer_wins() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({"hedge": {"budget": 1.0, "quantile": 0.9}}));
    for text in 0..30 {
        let scored = spawned(&classifier, &format!("text {text}"));
        server.next().await.answer();
        // One that was slow by chance may have been sent twice.
        assert_eq!(scored.await.expect("no panic"), Ok(0.1));
        while server.asked.try_recv().is_ok() {}
    }

    let scored = spawned(&classifier, "hard");
    let mut slow = server.next().await;
    let second = server.next().await;
    second.answer();

    assert_eq!(scored.await.expect("no panic"), Ok(0.9));
    soon(slow.reply.closed()).await;
    assert_eq!((slow.texts.as_slice(), classifier.down()), (["hard".to_owned()].as_slice(), None));
}

#[tokio::test]
async fn another_server_is_asked_where_the_first_fails() {
    let refused = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = refused.local_addr().expect("bound");
    drop(refused);
    let server = ScriptedServer::start().await;
    let classifier = known(&[gone, server.address], &json!({"breaker": {"failures": 1, "rest": "1h"}}));
    server.answer_all();

    for text in ["one", "two", "three", "four"] {
        assert_eq!(complex(&classifier, text).await, Ok(0.1));
    }

    assert_eq!(classifier.down(), None, "one of two serves");
    let trouble = classifier.trouble().unwrap_or_default();
    assert!(trouble.contains("left alone after failures: 127.0.0.1:"), "{trouble}");
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone_and_then_tried_again() {
    let mut server = ScriptedServer::start().await;
    let classifier = known(&[server.address], &json!({"breaker": {"failures": 2, "rest": "100ms"}}));
    for text in ["one", "two"] {
        let scored = spawned(&classifier, text);
        server.next().await.refuse();
        assert_eq!(scored.await.expect("no panic"), Err(ClassifierFailure::RemoteRefused));
    }

    assert_eq!(classifier.down(), Some(ClassifierFailure::RemoteResting));
    assert_eq!(complex(&classifier, "three").await, Err(ClassifierFailure::RemoteResting));
    assert!(server.asked.try_recv().is_err(), "it is left alone");
    server.answer_all();
    let mut text = 0;
    soon(async {
        while complex(&classifier, &format!("later {text}")).await.is_err() {
            text += 1;
            tokio::task::yield_now().await;
        }
    })
    .await;

    assert_eq!(classifier.down(), None);
}

#[tokio::test]
async fn an_answer_that_makes_no_heads_is_a_failure_of_the_server() {
    let mut server = ScriptedServer::start().await;
    let heads = json!({"tier": {"labels": ["simple", "medium", "complex"]}});
    let classifier = known(&[server.address], &json!({"heads": heads, "breaker": {"failures": 1, "rest": "1h"}}));

    let scored = spawned(&classifier, "text");
    server.next().await.answer();

    assert_eq!(scored.await.expect("no panic"), Err(ClassifierFailure::RemoteBadAnswer));
    assert_eq!(classifier.down(), Some(ClassifierFailure::RemoteResting));
    let trouble = classifier.trouble().unwrap_or_default();
    assert!(trouble.contains("`medium` is not among what the server names (allowed: simple, complex)"), "{trouble}");
}

#[tokio::test]
async fn a_check_shows_the_heads_and_labels_that_a_server_gives() {
    let server = ScriptedServer::start().await;
    let checked = classifier(&[server.address], &json!({}));
    server.answer_all();

    let contract = soon(checked.check()).await.expect("a contract");

    let heads: Vec<_> = contract.heads().map(|head| (head.name.to_owned(), head.labels.to_vec())).collect();
    assert_eq!(heads, [("tier".to_owned(), ["simple", "complex"].map(Arc::from).to_vec())]);
    assert_eq!(contract.version.as_deref(), Some("3"));
    assert_eq!(checked.down(), Some(ClassifierFailure::RemoteUnreachable), "nothing was adopted");
}

#[tokio::test]
async fn servers_that_differ_and_heads_that_are_not_there_are_flaws_and_a_server_that_is_away_is_none() {
    let (server, mut other) = (ScriptedServer::start().await, ScriptedServer::start().await);
    let refused = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = refused.local_addr().expect("bound");
    drop(refused);
    let (one, two) = (server.address, other.address);
    server.answer_all();
    tokio::spawn(async move {
        let asked = other.next().await;
        let heads = json!({"mood": {"label": "good", "probabilities": {"good": 1.0, "bad": 0.0}}});
        asked.reply.send((StatusCode::OK, json!({"version": "3", "results": [{"heads": heads}]}).to_string())).ok();
    });

    let differ = soon(classifier(&[one, two], &json!({})).check()).await.expect_err("two contracts");
    let heads = json!({"mood": {"labels": ["good", "bad"]}});
    let missing = soon(classifier(&[one], &json!({"heads": heads})).check()).await.expect_err("no such head");
    let away = soon(classifier(&[gone], &json!({})).check()).await.expect_err("nobody");
    let half = soon(classifier(&[gone, one], &json!({})).check()).await;

    assert_eq!(differ.flaw.map(|flaw| flaw.keys), Some(vec!["urls".to_owned()]));
    let flaw = missing.flaw.map(|flaw| flaw.to_string());
    assert_eq!(flaw.as_deref(), Some("heads.mood.output: the server has no output `mood` (allowed: tier)"));
    assert_eq!((away.flaw, away.reason), (None, ClassifierFailure::RemoteUnreachable));
    assert!(half.is_ok(), "{half:?}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_held_to_what_policies_ask() {
    let mut server = ScriptedServer::start().await;
    let classifier = classifier(&[server.address], &json!({"breaker": {"failures": 5, "rest": "1h"}}));
    classifier.require(|contract| {
        let is_there = contract.heads().any(|head| head.name == "mood");
        if is_there { Vec::new() } else { vec!["policies[0]: no head `mood` (allowed: tier)".to_owned()] }
    });

    let scored = spawned(&classifier, "text");
    server.next().await.answer();

    assert_eq!(scored.await.expect("no panic"), Err(ClassifierFailure::RemoteBadAnswer));
    assert_eq!(complex(&classifier, "another").await, Err(ClassifierFailure::RemoteBadAnswer));
    assert!(server.asked.try_recv().is_err(), "it is not asked until it is looked at again");
    let trouble = classifier.trouble().unwrap_or_default();
    assert!(trouble.contains("no head `mood` (allowed: tier)"), "{trouble}");
}

#[tokio::test]
async fn a_server_that_comes_back_with_the_contract_serves() {
    let mut server = ScriptedServer::start().await;
    let classifier = classifier(&[server.address], &json!({}));
    classifier.require(|_| Vec::new());

    let scored = spawned(&classifier, "hard text");
    let probe = server.next().await;
    assert_eq!(probe.texts.len(), 1);
    probe.answer();
    server.next().await.answer();

    assert_eq!(scored.await.expect("no panic"), Ok(0.9));
    assert_eq!((classifier.down(), classifier.trouble()), (None, None));
    assert!(classifier.contract().is_some());
}
