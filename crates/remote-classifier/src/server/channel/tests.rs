//! Connections that do not come about.

use http::HeaderMap;
use pointsman_http_client::ServerTrust;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::server::{RemoteAccess, RemoteServers};

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_of_tls_is_given_up_and_connected_to_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let heads = json!({"tier": {"output": "scores", "labels": ["simple", "complex"]}});
    let section = json!({"protocol": "oip_grpc", "url": url, "model": "tiers", "heads": heads});
    let section: RemoteClassifierConfig = serde_json::from_value(section).expect("a section");
    let access = RemoteAccess { fields: HeaderMap::new(), trust: ServerTrust::System };
    let servers = RemoteServers::new(&section, &access);
    let server = servers.iter().next().expect("a server");

    let mut silent = Vec::new();
    for _ in 0..2 {
        let asked = server.grpc_metadata(&section, Instant::now() + 2 * CONNECT);
        let (asked, accepted) = tokio::join!(asked, timeout(4 * CONNECT, listener.accept()));
        assert_eq!(asked.err().map(|failure| failure.reason), Some(ClassifierFailure::RemoteUnreachable));
        silent.push(accepted.expect("a connection of its own").expect("a connection"));
    }
}
