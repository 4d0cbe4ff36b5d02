//! What a body is by its headers: compressed JSON is read and goes on plain, anything else than JSON is not read at all.

use std::io::Write;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;

async fn post(gateway: &Gateway, framing: Framing, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let mut connection = Connection::open(gateway.listen, framing).await;
    let request = headers
        .iter()
        .fold(connection.request(Method::POST, CHAT), |request, (name, value)| request.header(*name, *value));
    let request = request.body(framing.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

fn encoded(body: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let level = flate2::Compression::default();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), level);
    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 3, 20);
    gzip.write_all(body).expect("memory takes all");
    deflate.write_all(body).expect("memory takes all");
    brotli.write_all(body).expect("memory takes all");
    [
        ("gzip", gzip.finish().expect("memory takes all")),
        ("deflate", deflate.finish().expect("memory takes all")),
        ("br", brotli.into_inner()),
        ("zstd", zstd::encode_all(body, 1).expect("memory takes all")),
    ]
}

#[tokio::test]
async fn a_compressed_body_is_read_and_goes_on_plain() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let text: String = (0..50_000).map(|number| format!("{number} ")).collect();

    for framing in Framing::ALL {
        for (encoding, body) in encoded(question("auto", &text).as_bytes()) {
            let reply = post(&gateway, framing, &[("content-encoding", encoding)], body).await;

            let request = small.next().await;
            let expected = question("small-1", &text);
            assert_eq!(reply.status, StatusCode::OK, "{encoding}, {framing:?}: {:?}", reply.body);
            assert!(request.body == expected, "{encoding}, {framing:?}: the body differs");
            assert_eq!(request.header("content-encoding"), None);
            assert_eq!(request.header("content-length"), Some(&*expected.len().to_string()));
        }
    }
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_large_one_is_refused() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { max_body_bytes: 100_000, ..Config::new(&small, &frontier) }).await;

    for (encoding, body) in encoded(question("auto", &"x".repeat(10 << 20)).as_bytes()) {
        assert!(body.len() < 100_000, "{encoding}");
        let reply = post(&gateway, Framing::Length, &[("content-encoding", encoding)], body).await;

        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{encoding}");
        assert_eq!(reply.error_code(), "body_too_large", "{encoding}");
    }
    assert!(small.take().is_none());
}

#[tokio::test]
async fn an_encoding_that_is_stacked_unknown_or_wrong_is_refused() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for (encoding, status, code) in [
        ("gzip, br", StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding"),
        ("compress", StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding"),
        ("gzip", StatusCode::BAD_REQUEST, "invalid_encoding"),
        ("zstd", StatusCode::BAD_REQUEST, "invalid_encoding"),
    ] {
        let reply = post(&gateway, Framing::Length, &[("content-encoding", encoding)], question("auto", "hi")).await;

        assert_eq!((reply.status, reply.error_code()), (status, code.into()), "{encoding}");
    }
}

#[tokio::test]
async fn on_a_dialect_s_path_a_body_is_json_by_what_it_is_and_nothing_else_passes() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let with_default = Config { default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let (open, closed) = (Gateway::start(&with_default).await, Gateway::start(&Config::new(&small, &frontier)).await);
    let types = ["multipart/form-data; boundary=x", "text/plain", "application/octet-stream"];

    for content_type in types {
        for gateway in [&open, &closed] {
            let headers = [("content-type", content_type)];
            let read = post(gateway, Framing::Chunked, &headers, format!(" \n{}", question("auto", "hi"))).await;
            assert_eq!((read.status, small.next().await.model()), (StatusCode::OK, "small-1".to_owned()));

            for body in ["--x\r\n{\"model\":\"auto\"}", "\u{feff}{\"model\":\"auto\"}", ""] {
                let refused = post(gateway, Framing::Length, &headers, body).await;
                assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {body}");
                assert_eq!(refused.error_code(), "unsupported_media_type");
            }
        }
    }
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn json_by_another_name_is_read() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for headers in [&[][..], &[("content-type", "application/json; charset=utf-8")], &[("content-type", "a/b+json")]] {
        let reply = post(&gateway, Framing::Length, headers, question("auto", "hi")).await;

        assert_eq!((reply.status, small.next().await.model()), (StatusCode::OK, "small-1".to_owned()));
    }
}
