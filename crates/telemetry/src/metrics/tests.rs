//! What an operator scrapes.

mod golden;
mod removal;

use self::golden::GOLDEN;
use super::*;

fn name(text: &str) -> Name {
    Name::new(text).expect("a valid name")
}

fn touch_source(metrics: &Metrics) {
    metrics.config_source().checked(SourceCheck::Changed);
    metrics.files().looked(FileLook::Interval);
    metrics.files().changed(FileLook::Event);
    metrics.config_source().reached(SystemTime::now());
    metrics.config_source().serves("git", &"0a1b".into());
}

/// Touches every metric once.
fn touched() -> Metrics {
    let metrics = Metrics::new();
    let (policy, model, classifier) = (name("auto"), name("small"), name("default"));
    metrics.request_ended(Some(&policy), Some(&model), Some(200), Duration::from_millis(20));
    metrics.decided(&policy, &model, "tier");
    metrics.shadow_decided(&policy, &model, "tier");
    metrics.rule_decided(&policy, 0);
    metrics.rejected("invalid_json");
    metrics.first_byte_arrived(Some(&model), Duration::from_millis(10));
    metrics.chunk_gaps(Some(&model), None).note(Duration::from_millis(10));
    metrics.first_token_arrived(Some(&model), Duration::from_millis(12));
    touch_operations(&metrics);
    metrics.streamed(Some(&model), 50.0);
    metrics.tokens_used(Some(&model), TokenDirection::Input, 10);
    metrics.usage_estimated(Some(&model));
    metrics.usage_unknown(Some(&model));
    metrics.paid(AnswerCost {
        model: Some(&model),
        client: Some(&name("team")),
        policy: Some((&policy, 0.5)),
        dollars: 0.25,
        judges: 0.0,
    });
    metrics.stream_broke(Some(&model), BrokenStream::Cut);
    metrics.attempt_ended(&name("openai"), AttemptOutcome::Success);
    metrics.fell_back(&model, &name("frontier"), "status_429");
    metrics.parameter_adapted(&model, "max_tokens");
    metrics.parameter_refused(&model);
    metrics.translated(["messages", "chat"]);
    metrics.translation_lost(["messages", "chat"], "top_k", "dropped");
    metrics.retry_refused();
    metrics.log_written(1);
    metrics.log_dropped(DroppedLine::QueueFull, 1);
    touch_quality(&metrics);
    touch_source(&metrics);
    metrics.degraded(&classifier, "deadline");
    metrics.answered(&classifier, "encoder");
    metrics.unfamiliar(&classifier, "ko");
    metrics.shadow(&classifier).compared(&"tier".into(), &"simple".into(), &"complex".into(), 0.0);
    metrics.drift(&classifier).begin();
    metrics.drift(&classifier).psi(&"score.tier".into(), 0.01);
    metrics.scored(&classifier, &"tier".into(), &"simple".into(), 0.8);
    metrics.set_models(&[ModelInfo {
        classifier: classifier.clone(),
        version: "1".into(),
        sha256: "ab".into(),
        device: "cpu".into(),
    }]);
    metrics.held(&policy, "new");
    touch_clients(&metrics);
    metrics.state_named("response", "known");
    metrics.target(&policy).froze();
    metrics.store().available(true);
    let _ = metrics.classifier(&classifier);
    metrics.judge(&policy).answered(Duration::from_millis(300));
    metrics.set_config(&"ef".into());
    let _ = metrics.provider(&name("openai"));
    let _ = metrics.peer(&name("openai"), &"10.0.0.7:80".into());
    let _ = metrics.provider_key(&name("openai"), &name("second"));
    metrics
}

/// Touches what is counted by client.
fn touch_clients(metrics: &Metrics) {
    let policy = name("auto");
    metrics.client_request_ended(&name("team"), ClientOutcome::Success);
    metrics.budget_hit(&name("daily"), "refused");
    metrics.budget_used(&name("daily"), &name("team"), 0.5);
    metrics.client_keys("active", 1);
    metrics.client_keys_unread();
    metrics.quota_hit(&policy, &name("strong"), ["client", "moved"]);
    metrics.client_answered(&name("team"), &policy);
    metrics.client_answered_strong(&name("team"), &policy);
}

/// Touches the metrics of OpenTelemetry's conventions.
fn touch_operations(metrics: &Metrics) {
    let operation = GenAiOperation { operation: "chat", provider: "openai".into(), model: "gpt-5".into() };
    metrics.operation_ended(&operation, Duration::from_millis(20), Some("rate_limited"));
    metrics.operation_used(&operation, 10, 5);
    metrics.operation_streamed(&operation, Duration::from_millis(12));
    metrics.chunk_gaps(None, Some(&operation)).note(Duration::from_millis(10));
}

/// Touches what is thought of answers, what clouds are asked for, and who asks without sending.
fn touch_quality(metrics: &Metrics) {
    let (policy, model) = (name("auto"), name("small"));
    metrics.admin_refused(AdminRefusal::WrongToken);
    metrics.remote_classifier(&name("default")).answered(Duration::from_millis(3));
    metrics.question_ended(DecisionQuestion::Decide, Some(200));
    metrics.ext_proc().decided(Duration::from_millis(1));
    metrics.feedback_given(FeedbackKind::Rating, Some(1.0), None);
    let estimate = EstimatedRatio { mean: 0.5, low: 0.25, high: 0.75 };
    metrics.set_quality(&policy, Some(&model), AnswerSide::Served, QualityEstimate { ratio: estimate, ratings: 8.0 });
    metrics.set_quality_held(&policy, estimate);
    metrics.shadow_answers(&policy, &model, &["answered"]).paid(0.5, None);
    let cache = metrics.response_cache(&policy);
    cache.saved(SavedCost { dollars: 0.5, baseline: 1.0, judges: 0.0 }, None);
    cache.holds(1, 100);
    let _ = metrics.renewal(&name("vertex"));
    metrics.bandit(&policy, std::slice::from_ref(&model)).believes("simple", &model, 0.9);
    metrics.escalation(&policy, ["refusal"]).escalated("refusal");
}

#[test]
fn the_names_types_units_and_labels_are_those_that_dashboards_rely_on() {
    let lines: Vec<_> = Metrics::new().catalogue().iter().map(MetricDescription::line).collect();

    assert_eq!(lines, GOLDEN);
}

#[test]
fn every_metric_shows_what_it_is_said_to_once_it_was_touched() {
    let metrics = touched();
    let text = metrics.render();

    for MetricDescription { name, kind, labels, .. } in metrics.catalogue() {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
        let sample = text.lines().find(|line| line.starts_with(name)).expect("a sample of every family");
        let mut shown: Vec<_> = keys(sample).filter(|key| *key != "le").collect();
        let mut labels = labels.clone();
        shown.sort_unstable();
        labels.sort_unstable();
        assert_eq!(shown, labels, "{sample}");
    }
}

/// Returns the names of a sample's labels.
fn keys(sample: &str) -> impl Iterator<Item = &str> {
    let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
    labels.split(',').filter_map(|pair| Some(pair.split_once('=')?.0))
}

#[test]
fn series_with_known_labels_start_at_zero() {
    let metrics = Metrics::new();

    metrics.expect_rejections(&["invalid_json"]);
    metrics.expect_provider(&name("openai"));
    metrics.expect_model(&name("small"));
    metrics.expect_classifier(&name("default"), &["deadline"]);

    let text = metrics.render();
    for series in [
        r#"pointsman_overhead_seconds_count{stage="intake"} 0"#,
        r#"pointsman_overhead_seconds_count{stage="rewrite"} 0"#,
        r#"pointsman_rejections_total{code="invalid_json"} 0"#,
        r#"pointsman_upstream_attempts_total{outcome="cancelled",provider="openai"} 0"#,
        r#"pointsman_classifier_degraded_total{classifier="default",reason="deadline"} 0"#,
        r#"pointsman_classifier_queue_depth{classifier="default"} 0"#,
        r#"pointsman_config_reloads_total{outcome="rejected"} 0"#,
        r#"pointsman_tokens_total{direction="reasoning",model="small"} 0"#,
        r#"pointsman_broken_streams_total{cause="unfinished",model="small"} 0"#,
        r#"pointsman_usage_estimated_total{model="small"} 0"#,
        r#"pointsman_cost_usd_total{model="small"} 0"#,
    ] {
        assert!(text.contains(series), "no `{series}` in\n{text}");
    }
}

#[test]
fn a_stage_and_an_outcome_are_counted_as_themselves() {
    let metrics = Metrics::new();

    for (index, stage) in (1..).zip(DecisionStage::ALL) {
        (0..index).for_each(|_| metrics.stage_ended(stage, Duration::from_micros(7)));
    }
    for (index, outcome) in (1..).zip(ReloadOutcome::ALL) {
        (0..index).for_each(|_| metrics.reloaded(outcome, 1, SystemTime::UNIX_EPOCH));
    }

    let text = metrics.render();
    for (index, stage) in (1..).zip(DecisionStage::ALL) {
        assert!(text.contains(&format!("pointsman_overhead_seconds_count{{stage=\"{}\"}} {index}\n", stage.as_str())));
    }
    for (index, outcome) in (1..).zip(ReloadOutcome::ALL) {
        let series = format!("pointsman_config_reloads_total{{outcome=\"{}\"}} {index}\n", outcome.as_str());
        assert!(text.contains(&series), "no `{series}` in\n{text}");
    }
}

#[test]
fn a_request_that_no_policy_matched_is_counted_as_passed_through() {
    let metrics = Metrics::new();

    metrics.request_ended(None, None, None, Duration::from_secs(1));

    let series = r#"pointsman_request_duration_seconds_count{model="passthrough",policy="none",status_class="none"} 1"#;
    assert!(metrics.render().contains(series));
}

#[test]
fn a_rejected_reload_leaves_the_generation_and_the_time_of_the_last_success() {
    let metrics = Metrics::new();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    metrics.started(1, at(100));
    metrics.reloaded(ReloadOutcome::Applied, 2, at(200));

    metrics.reloaded(ReloadOutcome::Rejected, 2, at(300));

    let text = metrics.render();
    assert!(text.contains("\npointsman_config_last_reload_successful 0\n"));
    assert!(text.contains("\npointsman_config_last_reload_success_timestamp_seconds 200\n"));
    assert!(text.contains("\npointsman_generation 2\n"));
}

#[test]
fn a_swapped_bundle_replaces_what_is_said_about_the_old_one() {
    let metrics = touched();
    let next =
        ModelInfo { classifier: name("default"), version: "2".into(), sha256: "cd".into(), device: "cpu".into() };

    metrics.set_models(&[next]);

    let text = metrics.render();
    assert!(text.contains(r#"pointsman_model_info{classifier="default",sha256="cd",version="2"} 1"#));
    assert!(!text.contains(r#"version="1""#));
    assert!(text.contains(r#"pointsman_classifier_queue_depth{classifier="default"} 0"#));
}

#[test]
fn a_classifier_s_metrics_follow_a_prompt_through_its_queue() {
    let metrics = Metrics::new();
    let worker = metrics.classifier(&name("default")).priced(36.0);

    worker.queued();
    worker.queued();
    worker.dequeued(Duration::from_micros(15));
    worker.ran(1, Duration::from_millis(4));
    worker.truncated(0);
    worker.padded(0.25);

    let text = metrics.render();
    for series in [
        r#"pointsman_classifier_queue_depth{classifier="default"} 1"#,
        r#"pointsman_classifier_queue_wait_seconds_bucket{classifier="default",le="0.00001"} 0"#,
        r#"pointsman_classifier_queue_wait_seconds_bucket{classifier="default",le="0.00002"} 1"#,
        r#"pointsman_classifier_run_seconds_bucket{classifier="default",le="0.005"} 1"#,
        r#"pointsman_classifier_cost_usd_total{classifier="default"} 0.00004"#,
        r#"pointsman_classifier_batch_size_bucket{classifier="default",le="1"} 1"#,
        r#"pointsman_classifier_truncated_tokens_bucket{classifier="default",le="0"} 1"#,
        r#"pointsman_classifier_padding_ratio_bucket{classifier="default",le="0.2"} 0"#,
        r#"pointsman_classifier_padding_ratio_bucket{classifier="default",le="0.3"} 1"#,
    ] {
        assert!(text.contains(series), "no `{series}` in\n{text}");
    }
}

#[test]
fn two_proxies_in_one_process_count_apart() {
    let (one, other) = (Metrics::new(), Metrics::new());

    one.rejected("invalid_json");

    assert!(one.render().contains("invalid_json"));
    assert!(!other.render().contains("invalid_json"));
}

#[test]
fn tokens_and_dollars_add_up() {
    let metrics = Metrics::new();
    let (policy, model) = (name("auto"), name("small"));

    for (index, direction) in (1..).zip(TokenDirection::ALL) {
        metrics.tokens_used(Some(&model), direction, index);
    }
    metrics.tokens_used(None, TokenDirection::Input, 7);
    let team = name("team");
    metrics.expect_client_costs(&team, [&model].into_iter());
    let policy_cost = Some((&policy, 1.5));
    let cost =
        AnswerCost { model: Some(&model), client: Some(&team), policy: policy_cost, dollars: 0.25, judges: 0.25 };
    metrics.paid(cost);
    metrics.paid(AnswerCost { client: None, ..cost });
    metrics.paid(AnswerCost { model: None, policy: None, ..cost });

    let text = metrics.render();
    for series in [
        r#"pointsman_tokens_total{direction="input",model="small"} 1"#,
        r#"pointsman_tokens_total{direction="output",model="small"} 2"#,
        r#"pointsman_tokens_total{direction="cached",model="small"} 3"#,
        r#"pointsman_tokens_total{direction="cache_write",model="small"} 4"#,
        r#"pointsman_tokens_total{direction="reasoning",model="small"} 5"#,
        r#"pointsman_tokens_total{direction="input",model="passthrough"} 7"#,
        r#"pointsman_cost_usd_total{model="small"} 0.5"#,
        r#"pointsman_baseline_cost_usd_total{policy="auto"} 3"#,
        r#"pointsman_policy_cost_usd_total{model="small",policy="auto"} 0.5"#,
        r#"pointsman_client_cost_usd_total{client="team",model="small"} 0.25"#,
        r#"pointsman_client_net_savings_usd{client="team"} 1"#,
        r#"pointsman_client_cost_usd_total{client="team",model="passthrough"} 0.25"#,
    ] {
        assert!(text.contains(series), "no `{series}` in\n{text}");
    }
}
