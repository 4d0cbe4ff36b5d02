//! What operators see: every metric, the access line, the audit line, the decision log, traces, and how log records are written.
//!
//! The crate uses the pure core and the HTTP client, which sends spans and metrics to collectors; any crate with effects may use it. It refuses
//! to carry what clients send: metric labels are `&'static str` or names that the operator gave, the access line has no
//! query string, and no record of another crate below `info` is written, because those print request headers with their
//! keys.

pub mod access_log;
pub mod audit_log;
#[cfg(feature = "otlp")]
mod collector;
pub mod decision_log;
pub mod logging;
pub mod metrics;
pub mod metrics_export;
pub mod traces;

pub use access_log::AccessLine;
pub use audit_log::{AuditLine, AuditOutcome};
pub use decision_log::{DecisionLog, DecisionLogEntry, LoggedText, RedactedText, RequestSample};
pub use metrics::{
    AdminRefusal, AnswerSide, AnsweredBy, AttemptOutcome, BrokenStream, CacheOutcome, CheckedAnswer, ChunkGaps,
    ClassifierMetrics, ClosedWebSocket, ConfigSourceMetrics, DecisionQuestion, DecisionStage, DroppedLine, EdgeMetrics,
    EjectionCause, EscalationMetrics, EstimatedRatio, ExtProcMetrics, ExtProcOutcome, ExtProcPhase, FeedbackKind,
    FileLook, FileWatchMetrics, HedgeOutcome, JudgeMetrics, Metrics, ModelInfo, PeerMetrics, ProviderKeyMetrics,
    ProviderMetrics, QualityEstimate, RefusedConnection, RefusedWebSocket, ReloadOutcome, RemoteClassifierMetrics,
    RenewalMetrics, ShadowAnswerMetrics, SourceCheck, TokenDirection, UpstreamWebSocket, WebSocketKind,
    WebSocketMessage, WebSocketMetrics,
};
pub use metrics_export::{MetricsExporter, MetricsExporterError};
pub use traces::{RequestTrace, Tracer, TracerError};
