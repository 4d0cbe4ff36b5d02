//! The listeners that speak gRPC as sockets: within TLS, and handed to the next process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fs, io};

use hyper_util::rt::TokioIo;
use pointsman_protocols::classify::ClassifyResponse;
use pointsman_protocols::classify::classify_service_client::ClassifyServiceClient;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

use crate::gateway::{Config, Gateway};
use crate::grpc_calls::{classify, config, texts};
use crate::origin::Origin;
use crate::roles::{Authority, client_tls};
use crate::soon;

const ENVOY: &str = "ext_proc: {address: 127.0.0.1:0, tls: {cert: cert.pem, key: key.pem}}\n";
const TLS: &str = "grpc: {address: 127.0.0.1:0, tls: {cert: cert.pem, key: key.pem, client_ca: ca.pem}}\n";

/// The way of a channel to its server, within TLS.
struct TlsWay {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Service<http::Uri> for TlsWay {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let (address, tls) = (self.address, TlsConnector::from(Arc::clone(&self.tls)));
        Box::pin(async move {
            let name = ServerName::try_from("127.0.0.1").expect("an address");
            Ok(TokioIo::new(tls.connect(name, TcpStream::connect(address).await?).await?))
        })
    }
}

/// The configuration of a listener that asks for certificates, with what [`issue`] writes beside it.
fn certified(folder: &Path, yaml: &str) -> PathBuf {
    issue(folder);
    let file = folder.join("pointsman.yaml");
    fs::write(&file, yaml.replace("grpc: {address: 127.0.0.1:0}\n", TLS)).expect("a writable folder");
    file
}

/// Makes an authority, and certificates of it for the listener and for a client, which are returned.
fn issue(folder: &Path) -> (String, String) {
    let authority = Authority::new("CA");
    let (cert, key) = authority.certify("gateway", "127.0.0.1");
    let (own, own_key) = authority.certify("app", "app.example");
    let files =
        [("ca.pem", &authority.pem), ("cert.pem", &cert), ("key.pem", &key), ("app.pem", &own), ("app.key", &own_key)];
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("a writable folder");
    }
    (own, own_key)
}

/// The way to a listener whose certificate the authority in the gateway's folder vouches for.
fn way(gateway: &Gateway, address: SocketAddr, own: Option<&(String, String)>) -> TlsWay {
    let authority = fs::read_to_string(gateway.folder().join("ca.pem")).expect("it was written");
    let mut tls = client_tls(&authority, own);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    TlsWay { address, tls: Arc::new(tls) }
}

async fn classify_within_tls(
    gateway: &Gateway,
    own: Option<&(String, String)>,
) -> Result<ClassifyResponse, Box<dyn std::error::Error>> {
    let address = gateway.grpc.expect("the ready line names it");
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let channel: Channel = soon("a connection", endpoint.connect_with_connector(way(gateway, address, own))).await?;
    let answer = soon("an answer", ClassifyServiceClient::new(channel).classify(texts(&["Prove it."]))).await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn a_listener_with_authorities_answers_who_shows_a_certificate_and_nobody_else() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start_placed(&config(&small, &frontier, ""), certified).await;
    let read = |name: &str| fs::read_to_string(gateway.folder().join(name)).expect("it was written");
    let own = (read("app.pem"), read("app.key"));
    let stranger = Authority::new("another CA").certify("app", "app.example");

    let answer = classify_within_tls(&gateway, Some(&own)).await.expect("an answer");
    assert_eq!(answer.results.len(), 1);
    for unknown in [None, Some(&stranger)] {
        classify_within_tls(&gateway, unknown).await.expect_err("no certificate that the authority vouches for");
    }
    let open = classify(&gateway, texts(&["Prove it."])).await;
    open.expect_err("what is not encrypted is not read");
}

#[tokio::test]
async fn renewed_certificates_and_authorities_count_for_new_connections() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start_placed(&config(&small, &frontier, ENVOY), certified).await;
    let envoy = gateway.ext_proc.expect("the ready line names it");
    let shakes_hands = async || way(&gateway, envoy, None).call(http::Uri::default()).await.is_ok();
    let former = ["app.pem", "app.key"].map(|name| fs::read_to_string(gateway.folder().join(name)).expect("written"));
    let former = former.into();
    classify_within_tls(&gateway, Some(&former)).await.expect("an answer");
    assert!(shakes_hands().await, "{}", gateway.log());

    let own = issue(gateway.folder());
    soon("the new certificate", async { while classify_within_tls(&gateway, Some(&own)).await.is_err() {} }).await;
    soon("the new certificate for Envoy", async { while !shakes_hands().await {} }).await;

    classify_within_tls(&gateway, Some(&former)).await.expect_err("its authority is gone");
}

/// Returns the number of the socket that listens at a port of 127.0.0.1, as the kernel lists it.
#[cfg(target_os = "linux")]
fn inode(address: SocketAddr) -> String {
    let local = format!("0100007F:{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux lists its sockets");
    let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    // Local address, peer, state (0A: listening), ... and the number in the tenth column.
    let mut listening = rows.filter(|row| row.len() > 9 && row[1] == local && row[3] == "0A");
    listening.next().unwrap_or_else(|| panic!("nobody listens at {address}"))[9].to_owned()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_upgrade_hands_their_sockets_over() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sections = |ext_proc: &str| {
        format!(
            "upgrade: {{socket: {}}}\next_proc: {{address: {ext_proc}}}\n",
            folder.path().join("upgrade.sock").display()
        )
    };
    let before = config(&small, &frontier, &sections("127.0.0.1:0"));
    let old = Gateway::start(&before).await;
    let (grpc, envoy) = (old.grpc.expect("a listener"), old.ext_proc.expect("a listener"));
    let sockets = [grpc, envoy].map(inode);

    let after = config(&small, &frontier, &sections(&envoy.to_string()));
    let after = Config {
        listen: format!("{{address: {}, decisions: true}}", old.listen),
        sections: after.sections.replace("grpc: {address: 127.0.0.1:0}", &format!("grpc: {{address: {grpc}}}")),
        ..after
    };
    let starting = tokio::spawn(async move { Gateway::take_over(&after).await });
    old.signal(Signal::QUIT);
    let new = soon("the new process", starting).await.expect("no panic");
    assert_eq!(old.ended().await.0.code(), Some(0));

    assert_eq!((new.grpc, new.ext_proc), (Some(grpc), Some(envoy)));
    assert_eq!([grpc, envoy].map(inode), sockets, "the same sockets: what waits in them is accepted");
    assert_eq!(classify(&new, texts(&["Prove it."])).await.expect("an answer").results.len(), 1);
}
