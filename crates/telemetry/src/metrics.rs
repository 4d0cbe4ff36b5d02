//! Every metric of Pointsman, each touched through one typed method.
//!
//! [`Metrics`] owns its registry: two proxies in one process do not see each other's numbers. Labels are `&'static
//! str`, configured names or a bundle's own names, so nothing that a client sends can become one, and the number of
//! series is bounded by the configuration. Series whose labels are known beforehand start at zero, so that the first
//! error is an increase that an alert can see.

mod admin;
mod bandits;
mod buckets;
mod budgets;
mod catalogue;
mod config_source;
mod costs;
mod credentials;
mod definitions;
mod edge;
mod escalations;
mod expected;
mod ext_proc;
mod family;
mod files;
mod gen_ai;
mod generations;
mod held;
mod judge;
mod labels;
mod parameters;
mod peers;
mod quality;
mod quotas;
mod remote_classifier;
mod response_cache;
mod rules;
mod series;
mod serving;
mod streaming;
#[cfg(test)]
mod tests;
mod translation;
mod watching;
mod websockets;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge, Histogram, IntCounter, IntGauge, TextEncoder};

use self::admin::AskingFamilies;
pub use self::admin::{AdminRefusal, DecisionQuestion};
use self::bandits::BanditFamilies;
pub use self::bandits::{BanditMetrics, RewardOutcome};
pub use self::catalogue::{MetricDescription, MetricUnit, markdown};
pub use self::config_source::{ConfigSourceMetrics, SourceCheck};
pub use self::costs::AnswerCost;
use self::costs::CostFamilies;
use self::credentials::CredentialFamilies;
pub use self::credentials::{ProviderKeyMetrics, RenewalMetrics};
use self::definitions as define;
pub use self::edge::{EdgeMetrics, RefusedConnection};
use self::escalations::EscalationFamilies;
pub use self::escalations::{CheckCost, CheckedAnswer, EscalationMetrics};
pub use self::ext_proc::{ExtProcMetrics, ExtProcOutcome, ExtProcPhase};
use self::family::{Family, Registry};
pub use self::files::FileWatchMetrics;
use self::gen_ai::GenAiFamilies;
pub use self::gen_ai::{GenAiOperation, gen_ai_attribute, gen_ai_metric};
use self::generations::GenerationFamilies;
use self::held::PolicyStateFamilies;
pub use self::held::{StoreMetrics, TargetMetrics};
use self::judge::JudgeFamilies;
pub use self::judge::JudgeMetrics;
pub use self::labels::{
    AttemptOutcome, BrokenStream, CacheOutcome, ClientOutcome, DecisionStage, DroppedLine, EjectionCause, FeedbackKind,
    FileLook, ReloadOutcome, TokenDirection,
};
use self::parameters::ParameterFamilies;
pub use self::peers::{PeerMetrics, ProviderMetrics};
use self::quality::QualityFamilies;
pub use self::quality::{AnswerSide, AnsweredBy, EstimatedRatio, QualityEstimate, ShadowAnswerMetrics};
use self::remote_classifier::RemoteClassifierFamilies;
pub use self::remote_classifier::{HedgeOutcome, RemoteClassifierMetrics};
pub use self::response_cache::{ResponseCacheMetrics, ResponseCacheOutcome, SavedCost};
pub use self::series::{MetricSeries, SeriesReading};
use self::serving::QueueFamilies;
pub use self::serving::{ClassifierMetrics, ModelInfo};
pub use self::streaming::ChunkGaps;
use self::streaming::StreamFamilies;
use self::translation::TranslationFamilies;
pub use self::watching::{DriftMetrics, ShadowMetrics};
pub use self::websockets::{
    ClosedWebSocket, RefusedWebSocket, UpstreamWebSocket, WebSocketKind, WebSocketMessage, WebSocketMetrics,
};

/// The `policy` label of a request that no policy matched.
pub const NO_POLICY: &str = "none";

/// The `model` label of a request that passed through as it came.
pub const PASSTHROUGH: &str = "passthrough";

/// The `model` label of a request whose answer was a kept one: no model was asked.
pub const RESPONSE_CACHE: &str = "response_cache";

/// Every metric of one proxy.
pub struct Metrics {
    registry: Registry,
    created: SystemTime,
    request_duration: Family<Histogram, 3>,
    overhead: [Histogram; DecisionStage::ALL.len()],
    decisions: Family<IntCounter, 3>,
    shadow_decisions: Family<IntCounter, 3>,
    rule_decisions: Family<IntCounter, 2>,
    rejections: Family<IntCounter, 1>,
    client_requests: Family<IntCounter, 2>,
    streaming: StreamFamilies,
    tokens: Family<IntCounter, 2>,
    usage_estimated: Family<IntCounter, 1>,
    usage_unknown: Family<IntCounter, 1>,
    costs: CostFamilies,
    attempts: Family<IntCounter, 2>,
    healthy: Family<IntGauge, 2>,
    ejections: Family<IntCounter, 3>,
    in_flight: Family<IntGauge, 1>,
    credentials: CredentialFamilies,
    edge: EdgeMetrics,
    ext_proc: ExtProcMetrics,
    websockets: WebSocketMetrics,
    asking: AskingFamilies,
    judges: JudgeFamilies,
    remote_classifiers: RemoteClassifierFamilies,
    queues: QueueFamilies,
    fallbacks: Family<IntCounter, 3>,
    parameters: ParameterFamilies,
    translations: TranslationFamilies,
    retries_refused: IntCounter,
    degraded: Family<IntCounter, 2>,
    answers: Family<IntCounter, 2>,
    shadow_prompts: Family<IntCounter, 2>,
    shadow_labels: Family<IntCounter, 4>,
    shadow_agreement: Family<Gauge, 2>,
    shadow_cost: Family<Counter, 2>,
    drift_psi: Family<Gauge, 2>,
    drift_prompts: Family<IntGauge, 1>,
    cache: Family<IntCounter, 2>,
    device_info: Family<IntGauge, 2>,
    device_fallbacks: Family<IntCounter, 1>,
    truncated_tokens: Family<Histogram, 1>,
    unfamiliar: Family<IntCounter, 2>,
    scores: Family<Histogram, 3>,
    held: PolicyStateFamilies,
    bandits: BanditFamilies,
    escalations: EscalationFamilies,
    log_lines: IntCounter,
    log_dropped: [IntCounter; DroppedLine::ALL.len()],
    quality: QualityFamilies,
    generations: GenerationFamilies,
    model_info: Family<IntGauge, 3>,
    files: FileWatchMetrics,
    config_source: ConfigSourceMetrics,
    gen_ai: GenAiFamilies,
}

impl Metrics {
    /// Creates every metric in a registry of its own.
    #[must_use]
    pub fn new() -> Self {
        let registry = versioned();
        let r = &registry;
        Self {
            request_duration: Family::register(r, define::REQUEST_DURATION),
            overhead: each(r, define::OVERHEAD_TIME, DecisionStage::ALL.map(DecisionStage::as_str)),
            decisions: Family::register(r, define::DECISIONS),
            shadow_decisions: Family::register(r, define::SHADOW_DECISIONS),
            rule_decisions: Family::register(r, define::RULE_DECISIONS),
            rejections: Family::register(r, define::REJECTIONS),
            client_requests: Family::register(r, define::CLIENT_REQUESTS),
            streaming: StreamFamilies::register(r),
            tokens: Family::register(r, define::TOKENS),
            usage_estimated: Family::register(r, define::ESTIMATED),
            usage_unknown: Family::register(r, define::UNKNOWN),
            costs: CostFamilies::register(r),
            attempts: Family::register(r, define::ATTEMPTS),
            healthy: Family::register(r, define::UPSTREAM_HEALTHY),
            ejections: Family::register(r, define::EJECTIONS),
            in_flight: Family::register(r, define::UPSTREAM_IN_FLIGHT),
            credentials: CredentialFamilies::register(r),
            edge: EdgeMetrics::register(r),
            ext_proc: ExtProcMetrics::register(r),
            websockets: WebSocketMetrics::register(r),
            asking: AskingFamilies::register(r),
            judges: JudgeFamilies::register(r),
            remote_classifiers: RemoteClassifierFamilies::register(r),
            queues: QueueFamilies::register(r),
            fallbacks: Family::register(r, define::FALLBACKS),
            parameters: ParameterFamilies::register(r),
            translations: TranslationFamilies::register(r),
            retries_refused: Family::register(r, define::RETRIES_REFUSED).with([]),
            degraded: Family::register(r, define::DEGRADED),
            answers: Family::register(r, define::ANSWERS),
            shadow_prompts: Family::register(r, define::SHADOW_PROMPTS),
            shadow_labels: Family::register(r, define::SHADOW_LABELS),
            shadow_agreement: Family::register(r, define::SHADOW_AGREEMENT),
            shadow_cost: Family::register(r, define::SHADOW_COST),
            drift_psi: Family::register(r, define::DRIFT_PSI),
            drift_prompts: Family::register(r, define::DRIFT_PROMPTS),
            cache: Family::register(r, define::CACHE),
            device_info: Family::register(r, define::DEVICE_INFO),
            device_fallbacks: Family::register(r, define::DEVICE_FALLBACKS),
            truncated_tokens: Family::register(r, define::TRUNCATED_TOKENS),
            unfamiliar: Family::register(r, define::UNFAMILIAR),
            scores: Family::register(r, define::SCORES),
            held: PolicyStateFamilies::register(r),
            bandits: BanditFamilies::register(r),
            escalations: EscalationFamilies::register(r),
            log_lines: Family::register(r, define::LOG_LINES).with([]),
            log_dropped: each(r, define::LOG_DROPPED, DroppedLine::ALL.map(DroppedLine::as_str)),
            quality: QualityFamilies::register(r),
            generations: GenerationFamilies::register(r),
            model_info: Family::register(r, define::MODEL_INFO),
            files: FileWatchMetrics::register(r),
            config_source: ConfigSourceMetrics::register(r),
            gen_ai: GenAiFamilies::register(r),
            created: SystemTime::now(),
            registry,
        }
    }

    /// Returns every metric in Prometheus' text format 0.0.4.
    ///
    /// # Panics
    /// Never: a registry gathers only families with a name and a child.
    #[must_use]
    pub fn render(&self) -> String {
        let families = self.registry.gather();
        TextEncoder::new()
            .encode_to_string(&families)
            .expect("a registry gathers only families with a name and a child")
    }

    /// Returns the moment since which it counts.
    #[must_use]
    pub const fn created(&self) -> SystemTime {
        self.created
    }

    /// Returns what every metric is called, what it says, and which labels and buckets it has, by name.
    #[must_use]
    pub fn catalogue(&self) -> Vec<MetricDescription> {
        self.registry.described()
    }

    /// Counts a request that ended. `status` is absent when the client left before there was one.
    pub fn request_ended(&self, policy: Option<&Name>, model: Option<&Name>, status: Option<u16>, took: Duration) {
        let policy = policy.map_or(NO_POLICY.into(), Into::into);
        let labels = [policy, model_label(model), labels::status_class(status).into()];
        self.request_duration.with(labels).observe(took.as_secs_f64());
    }

    /// Notes how long a request spent in a stage.
    pub fn stage_ended(&self, stage: DecisionStage, took: Duration) {
        self.overhead[stage as usize].observe(took.as_secs_f64());
    }

    /// Counts a decision.
    pub fn decided(&self, policy: &Name, model: &Name, reason: &'static str) {
        self.decisions.with([policy.into(), model.into(), reason.into()]).inc();
    }

    /// Counts what a policy that only watches would have chosen.
    pub fn shadow_decided(&self, policy: &Name, model: &Name, reason: &'static str) {
        self.shadow_decisions.with([policy.into(), model.into(), reason.into()]).inc();
    }

    /// Counts what a policy that only watches would have refused.
    pub fn shadow_denied(&self, policy: &Name, code: &'static str) {
        self.shadow_decisions.with([policy.into(), "".into(), code.into()]).inc();
    }

    /// Counts a request that Pointsman itself answered with an error.
    pub fn rejected(&self, code: &'static str) {
        self.rejections.with([code.into()]).inc();
    }

    /// Counts a request that came with a client's key.
    pub fn client_request_ended(&self, client: &Name, outcome: ClientOutcome) {
        self.client_requests.with([client.into(), outcome.as_str().into()]).inc();
    }

    /// Counts tokens of an answered request.
    pub fn tokens_used(&self, model: Option<&Name>, direction: TokenDirection, tokens: u64) {
        self.tokens.with([model_label(model), direction.as_str().into()]).inc_by(tokens);
    }

    /// Counts an answer whose tokens were estimated.
    pub fn usage_estimated(&self, model: Option<&Name>) {
        self.usage_estimated.with([model_label(model)]).inc();
    }

    /// Counts an answer whose tokens nobody knows.
    pub fn usage_unknown(&self, model: Option<&Name>) {
        self.usage_unknown.with([model_label(model)]).inc();
    }

    /// Counts one request to a provider.
    pub fn attempt_ended(&self, provider: &Name, outcome: AttemptOutcome) {
        self.attempts.with([provider.into(), outcome.as_str().into()]).inc();
    }

    /// Counts a request that went on to another model.
    pub fn fell_back(&self, from: &Name, to: &Name, cause: &'static str) {
        self.fallbacks.with([from.into(), to.into(), cause.into()]).inc();
    }

    /// Counts a failed attempt that the retry budget did not let be tried again.
    pub fn retry_refused(&self) {
        self.retries_refused.inc();
    }

    /// Counts scores by the rung of the degrade ladder that gave them.
    pub fn answered(&self, classifier: &Name, source: &'static str) {
        self.answers.with([classifier.into(), source.into()]).inc();
    }

    /// Counts a prompt that lies beyond a classifier's training; `language` is a code, or empty where it is not known.
    pub fn unfamiliar(&self, classifier: &Name, language: &'static str) {
        let language = if language.is_empty() { "unknown" } else { language };
        self.unfamiliar.with([classifier.into(), language.into()]).inc();
    }

    /// Counts a prompt that a classifier's encoder should have answered and did not.
    pub fn degraded(&self, classifier: &Name, reason: &'static str) {
        self.degraded.with([classifier.into(), reason.into()]).inc();
    }

    /// Notes the probability that a classifier's head gave one of its labels.
    pub fn scored(&self, classifier: &Name, head: &Arc<str>, label: &Arc<str>, probability: f32) {
        self.scores.with([classifier.into(), head.into(), label.into()]).observe(f64::from(probability));
    }

    /// Counts lines that the decision log has written.
    pub fn log_written(&self, lines: u64) {
        self.log_lines.inc_by(lines);
    }

    /// Counts lines that the decision log lost.
    pub fn log_dropped(&self, cause: DroppedLine, lines: u64) {
        self.log_dropped[cause as usize].inc_by(lines);
    }

    /// Returns the metrics of the source of the configuration.
    #[must_use]
    pub const fn config_source(&self) -> &ConfigSourceMetrics {
        &self.config_source
    }

    /// Returns the metrics of the watch on files.
    #[must_use]
    pub const fn files(&self) -> &FileWatchMetrics {
        &self.files
    }
}

/// Registers a metric with a child for each of its label's values.
fn each<M: family::MetricKind, const N: usize>(
    registry: &Registry,
    definition: family::MetricDefinition<1>,
    values: [&'static str; N],
) -> [M; N] {
    let family = Family::register(registry, definition);
    values.map(|value| family.with([value.into()]))
}

fn model_label(model: Option<&Name>) -> family::LabelValue {
    model.map_or(PASSTHROUGH.into(), Into::into)
}

/// Returns a registry that shows which version of Pointsman runs.
fn versioned() -> Registry {
    let registry = Registry::default();
    let build_info: Family<IntGauge, 1> = Family::register(&registry, define::BUILD_INFO);
    build_info.with([env!("CARGO_PKG_VERSION").into()]).set(1);
    registry
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
