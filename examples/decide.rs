//! Which model is to answer a request, without a proxy: `cargo run --example decide -- config/quickstart.yaml "a prompt"`.

use std::env;

use pointsman::Router;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "config/quickstart.yaml".into());
    let prompt = arguments.next().unwrap_or_else(|| "What is the capital of France?".into());

    let router = Router::open(&file)?;
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]}).to_string();
    let decision = router.decide(body.as_bytes()).await?;

    println!("{} ({}, {})", decision.model, decision.policy, decision.reason.as_str());
    Ok(())
}
