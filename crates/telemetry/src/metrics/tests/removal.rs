//! What has left the configuration leaves the metrics.

use super::*;

#[test]
fn a_peer_that_left_the_configuration_is_no_longer_shown() {
    let metrics = Metrics::new();
    let (provider, stays, goes) = (name("vllm"), Arc::<str>::from("10.0.0.7:80"), Arc::<str>::from("10.0.0.8:80"));
    metrics.peer(&provider, &stays).usable(true);
    metrics.peer(&provider, &goes).ejected(EjectionCause::TrialFailed);
    metrics.provider(&provider).began();

    metrics.set_peers(&[(&provider, &stays)]);

    let text = metrics.render();
    assert!(text.contains(r#"pointsman_upstream_healthy{peer="10.0.0.7:80",provider="vllm"} 1"#));
    assert!(text.contains(r#"ejections_total{cause="health_check",peer="10.0.0.7:80",provider="vllm"} 0"#));
    assert!(text.contains(r#"pointsman_upstream_in_flight{provider="vllm"} 1"#));
    assert!(!text.contains("10.0.0.8"));
}

#[test]
fn a_key_or_a_credential_that_left_the_configuration_is_no_longer_shown() {
    let metrics = Metrics::new();
    let [provider, stays, goes] = ["openai", "first", "second"].map(name);
    metrics.provider_key(&provider, &stays).used();
    metrics.provider_key(&provider, &goes).rests(true);
    metrics.renewal(&provider).failed();

    metrics.set_credentials(&[(&provider, &stays)], &[]);

    let text = metrics.render();
    assert!(text.contains(r#"pointsman_provider_key_requests_total{key="first",provider="openai"} 1"#));
    assert!(!text.contains(r#"key="second""#) && !text.contains("pointsman_credential_renewals_total{"));
}
