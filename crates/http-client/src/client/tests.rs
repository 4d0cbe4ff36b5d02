use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::destination::{HttpVersion, TlsTerms};
use crate::tls::{CertificateAuthorities, ServerTrust};

const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(5), read: Duration::from_secs(5), max_bytes: 64 };

fn ask(path: &str) -> Request<Bytes> {
    Request::post(path).header(header::ACCEPT, "text/plain").body(Bytes::from_static(b"ask")).expect("a request")
}

/// Answers with the request's version, host, path and body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| head.uri.authority().map(ToString::to_string)).unwrap_or_default();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let text = format!("{:?} {host} {} {}", head.version, head.uri.path(), String::from_utf8_lossy(&body));
    Ok(Response::new(Full::from(text)))
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let server = auto::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), service_fn(echo)).await); // clients leave
}

/// A server without TLS, and the count of its connections.
async fn plain() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (address, count) = (listener.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream));
        }
    });
    (address, count)
}

/// A server that follows a script of raw answers, one a connection, and closes it then.
async fn raw(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
        std::future::pending::<()>().await;
    });
    address
}

/// A server for `localhost` that offers these protocols, and its certificate.
async fn secure(protocols: &'static [&'static str]) -> (SocketAddr, CertificateAuthorities) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key);
    let mut config = config.expect("a key of its certificate");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream));
            }
        }
    });
    (address, CertificateAuthorities::from_der([identity.cert.der().as_ref()]).expect("a certificate"))
}

fn over_tls(address: SocketAddr, trust: ServerTrust, version: HttpVersion) -> Destination {
    let tls = Some(TlsTerms { server_name: "localhost".to_owned(), trust, identity: None });
    Destination {
        authority: "api.example:7".parse().expect("an authority"),
        tls,
        version,
        ..Destination::plain(address)
    }
}

async fn text(client: &HttpClient, destination: &Destination) -> Result<String, HttpError> {
    let answer = client.send(destination, ask("https://elsewhere.example/v1/x?y=1"), LIMITS).await?;
    Ok(String::from_utf8_lossy(answer.body()).into_owned())
}

#[tokio::test]
async fn a_request_goes_to_the_destination_whatever_host_its_uri_names() {
    let (address, _) = plain().await;

    let http1 = text(&HttpClient::closing(), &Destination::plain(address)).await;
    let http2 = Destination { version: HttpVersion::Http2, ..Destination::plain(address) };
    let http2 = text(&HttpClient::closing(), &http2).await;

    assert_eq!(http1.expect("an answer"), format!("HTTP/1.1 {address} /v1/x ask"));
    assert_eq!(http2.expect("an answer"), format!("HTTP/2.0 {address} /v1/x ask"));
}

#[tokio::test]
async fn connections_are_kept_only_by_a_client_that_keeps_them_and_for_equal_destinations() {
    for (version, client, expected) in [
        (HttpVersion::Http1, HttpClient::closing(), [1, 2, 3]),
        (HttpVersion::Http1, HttpClient::keeping(Duration::from_secs(50)), [1, 1, 2]),
        (HttpVersion::Http2, HttpClient::keeping(Duration::from_secs(50)), [1, 1, 2]),
    ] {
        let (address, connections) = plain().await;
        let one = Destination { version, ..Destination::plain(address) };
        let other = Destination { authority: "other.example".parse().expect("an authority"), ..one.clone() };

        let mut counted = Vec::new();
        for destination in [&one, &one, &other] {
            text(&client, destination).await.expect("an answer");
            counted.push(connections.load(Ordering::Relaxed));
        }

        assert_eq!(counted, expected, "{version:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_answer() {
    // Neither answer says that its connection closes.
    let address =
        raw(&["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb"]);
    let (client, destination) = (HttpClient::keeping(Duration::from_secs(50)), Destination::plain(address.await));

    let answers = [text(&client, &destination).await, text(&client, &destination).await];

    assert_eq!(answers.map(|answer| answer.expect("an answer")), ["a", "b"]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_broken_off_or_none_is_an_error_of_its_kind() {
    const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 65\r\n\r\n\
                        01234567890123456789012345678901234567890123456789012345678901234";
    let client = HttpClient::closing();
    let destination = Destination::plain(raw(&[LONG, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na", ""]).await);
    // Taken and given back: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = Destination::plain(listener.local_addr().expect("bound"));
    drop(listener);

    assert!(matches!(text(&client, &destination).await, Err(HttpError::TooLong)));
    assert!(matches!(text(&client, &destination).await, Err(HttpError::Broken(_))));
    assert!(matches!(text(&client, &destination).await, Err(HttpError::Broken(_))));
    assert!(matches!(text(&client, &gone).await, Err(HttpError::Connect(_))));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_costs_the_patience_and_no_more() {
    // The kernel accepts the connection, nobody reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");

    let answered = text(&HttpClient::closing(), &Destination::plain(address)).await;
    let secure = over_tls(address, ServerTrust::Unverified, HttpVersion::Http1);
    let handshake = text(&HttpClient::closing(), &secure).await;

    assert!(matches!(answered, Err(HttpError::ReadTimeout)), "{answered:?}");
    assert!(matches!(handshake, Err(HttpError::ConnectTimeout)), "{handshake:?}");
}

#[tokio::test]
async fn a_server_is_trusted_by_the_operator_s_authority_or_when_nobody_asks() {
    let (address, authorities) = secure(&["h2", "http/1.1"]).await;
    let (_, others) = secure(&[]).await;
    let client = HttpClient::closing();
    let over = |trust| over_tls(address, trust, HttpVersion::Negotiated);

    let trusted = text(&client, &over(ServerTrust::Authorities(authorities.clone()))).await;
    let unverified = text(&client, &over(ServerTrust::Unverified)).await;

    assert_eq!(trusted.expect("an answer"), "HTTP/2.0 api.example:7 /v1/x ask");
    assert_eq!(unverified.expect("an answer"), "HTTP/2.0 api.example:7 /v1/x ask");
    for trust in [ServerTrust::System, ServerTrust::Authorities(others)] {
        let refused = text(&client, &over(trust)).await;
        assert!(matches!(refused, Err(HttpError::Untrusted(_))), "{refused:?}");
    }
    let mut misnamed = over(ServerTrust::Authorities(authorities));
    misnamed.tls.as_mut().expect("TLS").server_name = "other.example".to_owned();
    assert!(matches!(text(&client, &misnamed).await, Err(HttpError::Untrusted(_))));
}

#[tokio::test]
async fn the_version_is_the_best_that_both_sides_speak() {
    let client = HttpClient::closing();
    for (offered, wanted, spoken) in [
        (&["h2", "http/1.1"][..], HttpVersion::Http1, Some("HTTP/1.1")),
        (&["h2", "http/1.1"], HttpVersion::Http2, Some("HTTP/2.0")),
        (&["http/1.1"], HttpVersion::Negotiated, Some("HTTP/1.1")),
        (&[], HttpVersion::Negotiated, Some("HTTP/1.1")),
        (&[], HttpVersion::Http2, None),
    ] {
        let (address, authorities) = secure(offered).await;
        let destination = over_tls(address, ServerTrust::Authorities(authorities), wanted);

        match (text(&client, &destination).await, spoken) {
            (Ok(text), Some(spoken)) => assert!(text.starts_with(spoken), "{text}"),
            (Err(HttpError::NoHttp2), None) => {}
            (other, _) => panic!("{offered:?}, {wanted:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_status_is_read_without_its_body() {
    const ENDLESS: &str = "HTTP/1.1 418 I'm a teapot\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n";
    let destination = Destination::plain(raw(&[ENDLESS]).await);

    let status = HttpClient::closing().status(&destination, ask("/health"), LIMITS).await;

    assert_eq!(status.expect("a status"), StatusCode::IM_A_TEAPOT);
}
