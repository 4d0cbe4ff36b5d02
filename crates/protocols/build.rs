//! Turns the definitions in `proto/` into Rust, without a `protoc`: its compiler is a library.

const DEFINITIONS: [&str; 2] = ["inference/grpc_predict_v2.proto", "pointsman/classify/v1/classify.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let described = protox::compile(DEFINITIONS, ["proto"])?;
    let descriptors = std::path::Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin");
    tonic_prost_build::configure().bytes(".").file_descriptor_set_path(descriptors).compile_fds(described)?;
    Ok(())
}
