//! TLS listeners: both protocols by ALPN, several listeners, and certificates that change under open connections.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{CHAT, Connection, Framing, Raw, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::soon;

/// Writes a new certificate for `localhost` into `folder` and returns it.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("a writable folder");
    fs::write(folder.join("cert.pem"), made.cert.pem()).expect("a writable folder");
    made.cert.der().clone()
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    soon("a TLS handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

fn post() -> Request<Full<bytes::Bytes>> {
    let request = Request::post(format!("https://localhost{CHAT}")).header("host", "localhost");
    request.body(Full::new(question("auto", "hello").into())).expect("a valid request")
}

fn listen(folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    let tls = format!("{{cert: {}, key: {}}}", file("cert.pem"), file("key.pem"));
    format!("[{{address: 127.0.0.1:0, tls: {tls}}}, {{address: 127.0.0.2:0}}]")
}

#[tokio::test]
async fn http_1_and_http_2_are_chosen_by_alpn() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let certificate = certify(folder.path());
    let gateway = Gateway::start(&Config { listen: listen(folder.path()), ..Config::new(&small, &small) }).await;

    let stream = connect(gateway.listen, &certificate, b"h2").await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut h2, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("h2");
    tokio::spawn(connection);
    let by_h2 = soon("an answer", h2.send_request(post())).await.expect("an answer");

    let stream = connect(gateway.listen, &certificate, b"http/1.1").await.expect("a handshake");
    let (mut h1, connection) = http1::handshake(TokioIo::new(stream)).await.expect("h1");
    tokio::spawn(connection);
    let by_h1 = soon("an answer", h1.send_request(post())).await.expect("an answer");

    assert_eq!([by_h2.status(), by_h1.status()], [StatusCode::OK; 2]);
    assert_eq!(small.next().await.header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn a_new_certificate_counts_for_new_connections_and_open_ones_stay() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let first = certify(folder.path());
    let gateway = Gateway::start(&Config { listen: listen(folder.path()), ..Config::new(&small, &small) }).await;
    let stream = connect(gateway.listen, &first, b"http/1.1").await.expect("a handshake");
    let (mut open, connection) = http1::handshake(TokioIo::new(stream)).await.expect("h1");
    tokio::spawn(connection);
    let answer = soon("an answer", open.send_request(post())).await.expect("an answer");
    answer.into_body().collect().await.expect("a whole body");

    let second = certify(folder.path());
    soon("the new certificate", async { while connect(gateway.listen, &second, b"http/1.1").await.is_err() {} }).await;

    assert!(connect(gateway.listen, &first, b"http/1.1").await.is_err(), "the old certificate is gone");
    open.ready().await.expect("the old connection is open");
    assert_eq!(soon("an answer", open.send_request(post())).await.expect("an answer").status(), StatusCode::OK);
    fs::write(folder.path().join("cert.pem"), "broken").expect("a writable folder");
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    assert!(connect(gateway.listen, &second, b"http/1.1").await.is_ok(), "the last good certificate stays");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_without_what_was_rolled_back() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    certify(folder.path());
    let mut config = Config { listen: listen(folder.path()), ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;
    config.small_name = "small-2".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let back = admin.post(Framing::Length, "/rollback", String::new()).await;

    let renewed = certify(folder.path());
    let stream = async {
        loop {
            if let Ok(stream) = connect(gateway.listen, &renewed, b"http/1.1").await {
                return stream;
            }
        }
    };
    let stream = soon("the new certificate", stream).await;
    let (mut http, connection) = http1::handshake(TokioIo::new(stream)).await.expect("h1");
    tokio::spawn(connection);
    let answer = soon("an answer", http.send_request(post())).await.expect("an answer");
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();

    assert_eq!(back.status, StatusCode::OK);
    assert!(String::from_utf8_lossy(&body).contains("small-1"), "{body:?}");
}

#[tokio::test]
async fn certificates_are_followed_through_a_link_that_is_swapped_and_swapped_again() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let made = |name: &str| {
        let version = folder.path().join(name);
        fs::create_dir(&version).expect("a writable folder");
        certify(&version)
    };
    let current = folder.path().join("live/current");
    let swap = |name: &str| {
        let next = folder.path().join("next");
        symlink(Path::new("..").join(name), &next).expect("a writable folder");
        fs::rename(&next, &current).expect("a writable folder");
    };
    fs::create_dir(folder.path().join("live")).expect("a writable folder");
    made("v1");
    swap("v1");
    let gateway = Gateway::start(&Config { listen: listen(&current), ..Config::new(&small, &small) }).await;

    for name in ["v2", "v3"] {
        let newest = made(name);
        swap(name);
        soon(name, async { while connect(gateway.listen, &newest, b"http/1.1").await.is_err() {} }).await;
    }
}

#[tokio::test]
async fn a_listener_without_tls_serves_beside_one_with_it() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    certify(folder.path());
    let list = listen(folder.path());
    // The ready line names the first listener: here the one in the clear.
    let (tls, plain) = list.trim_matches(['[', ']']).rsplit_once(", ").expect("two listeners");
    let gateway = Gateway::start(&Config { listen: format!("[{plain}, {tls}]"), ..Config::new(&small, &small) }).await;

    assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_handshake_that_fails_or_takes_too_long_is_counted_and_ends() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    certify(folder.path());
    let config = Config { listen: listen(folder.path()), limits: ", header: 300ms", ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;

    for said in ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "", "\x16\x03\x01"] {
        let mut client = Raw::open(gateway.listen).await;
        client.write(said).await;
        soon("the end of the connection", client.closed()).await;
    }

    until_metric(&gateway, r#"pointsman_downstream_connections_refused_total{reason="tls_handshake"} 3"#).await;
    until_metric(&gateway, r#"pointsman_downstream_connections_refused_total{reason="header_timeout"} 0"#).await;
}
