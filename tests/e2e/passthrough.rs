//! What no policy is for passes to the default provider untouched.

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::client::{CHAT, Connection, Framing, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};

#[tokio::test]
async fn a_model_that_no_policy_matches_passes_byte_for_byte() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;
    let body = "{ \"model\" :\t\"gpt\\u002d4.1\", \"n\": 1.0e0, \"x\": 1, \"x\": 2, \"messages\": []}\n";

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.post(framing, CHAT, body).await;

        let request = frontier.next().await;
        assert_eq!(reply.status, StatusCode::OK, "{framing:?}: {:?}", reply.body);
        assert_eq!(request.body, body, "{framing:?}");
        assert_eq!(request.path, "/prefix/v1/chat/completions");
        assert_eq!(reply.header("x-pointsman-model"), None, "nothing was decided");
    }
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_policy_that_is_off_lets_its_requests_pass() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { mode: "off", default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(frontier.next().await.body, question("auto", "hello"));
}

#[tokio::test]
async fn other_paths_pass_with_their_query_and_headers() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::GET, "/v1/batches?limit=2&after=a%20b").header("x-client", "kept");

    let reply = connection.send(request.body(Default::default()).expect("a valid request")).await.expect("an answer");

    let request = frontier.next().await;
    assert_eq!(Reply::read(reply).await.status, StatusCode::OK);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/prefix/v1/batches?limit=2&after=a%20b"));
    assert_eq!(request.header("x-client"), Some("kept"));
    assert_eq!(request.header("host"), Some(frontier.address().to_string().as_str()));
}

#[tokio::test]
async fn a_body_on_another_path_passes_at_any_size_however_it_travels() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        for size in [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 5 << 20] {
            let body = Bytes::from_iter((0..=u8::MAX).cycle().take(size));
            let reply = connection.post(framing, "/v1/files", body.clone()).await;

            let request = frontier.next().await;
            assert_eq!(reply.status, StatusCode::OK, "{framing:?}, {size} bytes: {:?}", reply.body);
            assert!(request.body == body, "{framing:?}: {size} bytes changed");
        }
    }
}

#[tokio::test]
async fn an_answer_passes_as_it_is() {
    let headers = vec![("content-type", "text/plain"), ("openai-processing-ms", "12"), ("x-anything", "kept")];
    let small = Origin::start().await;
    let frontier = Origin::answering([Answer::Reply(StatusCode::ACCEPTED, headers.clone(), "as it is".into())]).await;
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    let reply = get(gateway.listen, "/v1/anything").await;

    assert_eq!((reply.status, &*reply.body), (StatusCode::ACCEPTED, b"as it is".as_slice()));
    for (name, value) in headers {
        assert_eq!(reply.header(name), Some(value));
    }
}

#[tokio::test]
async fn what_was_passed_on_unread_is_not_sent_again_in_part() {
    let busy = || Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), "busy".into());
    let peers = [Origin::answering([busy(), busy()]).await, Origin::answering([busy(), busy()]).await];
    let addresses = format!("peers: ['{}', '{}']", peers[0].address(), peers[1].address());
    let config = Config { default_provider: Some("one"), one: vec![addresses], ..Config::new(&peers[0], &peers[0]) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;

    let reply = connection.post(Framing::Length, "/v1/files", vec![b'x'; 200 << 10]).await;

    assert_eq!((reply.status, &*reply.body), (StatusCode::SERVICE_UNAVAILABLE, b"busy".as_slice()));
    let asked = peers.iter().filter(|peer| peer.take().is_some()).count();
    assert_eq!(asked, 1, "the other peer would get no body, or half of it");
}

#[tokio::test]
async fn a_redirect_within_the_provider_leads_back_here() {
    let small = Origin::start().await;
    let frontier = Origin::start().await;
    let own: &'static str = format!("http://{}/prefix/v1/files/7", frontier.address()).leak();
    let moved = |to| Answer::Reply(StatusCode::FOUND, vec![("location", to)], Bytes::new());
    frontier.script(moved(own));
    frontier.script(moved("https://store.example/7"));
    let gateway = Gateway::start(&Config { default_provider: Some("two"), ..Config::new(&small, &frontier) }).await;

    let [within, elsewhere] = [get(gateway.listen, "/v1/a").await, get(gateway.listen, "/v1/b").await];

    assert_eq!(within.header("location"), Some("/v1/files/7"));
    assert_eq!(elsewhere.header("location"), Some("https://store.example/7"));
}
