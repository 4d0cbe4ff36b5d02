//! Turns the definitions in `proto/` into Rust, without a `protoc`: its compiler is a library. Keeps what it read for
//! reflection.

use prost::Message as _;

const DEFINITIONS: [&str; 2] = ["inference/grpc_predict_v2.proto", "pointsman/classify/v1/classify.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let described = protox::compile(DEFINITIONS, ["proto"])?;
    let descriptors = std::path::Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, described.encode_to_vec())?;
    let configured = tonic_prost_build::configure().bytes(".").codec_path("crate::codec::BoundedCodec");
    configured.compile_fds(described)?;
    Ok(())
}
