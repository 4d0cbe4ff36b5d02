//! The codes of rejections: each with its name and its status, said once.

use http::StatusCode;
use pointsman_core::policy::Denial;

use super::Rejection;

/// nginx's status for a client that left; shows in metrics only.
const CLIENT_CLOSED_REQUEST: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => unreachable!(),
};

/// Lists the codes: first one for each variant of [`Rejection`] that has a code of its own, then those that only
/// policies answer with.
macro_rules! codes {
    (
        rejections: { $($rejection:ident = $name:literal, $status:expr;)* }
        policies: { $($denial:ident = $denial_name:literal, $denial_status:expr;)* }
    ) => {
        /// The stable code that an answer, the metrics, the access line and the decision log carry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum RejectionCode { $($rejection,)* $($denial,)* }

        impl RejectionCode {
            /// Every code, for the metrics to register up front.
            pub(crate) const ALL: &[Self] = &[$(Self::$rejection,)* $(Self::$denial,)*];

            /// Returns the code as clients and metrics know it.
            #[must_use]
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$rejection => $name,)* $(Self::$denial => $denial_name,)* }
            }

            /// Returns the status of an answer with the code; a policy may set another one.
            #[must_use]
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$rejection => $status,)* $(Self::$denial => $denial_status,)* }
            }
        }

        impl Rejection {
            /// Returns the stable code that the answer, the metrics and the access line carry.
            #[must_use]
            pub(crate) const fn code(&self) -> RejectionCode {
                match self {
                    $(Self::$rejection { .. } => RejectionCode::$rejection,)*
                    Self::Denied { code, .. } => *code,
                }
            }
        }
    };
}

codes! {
    rejections: {
        InvalidJson = "invalid_json", StatusCode::BAD_REQUEST;
        InvalidBody = "invalid_body", StatusCode::BAD_REQUEST;
        ModelMissing = "model_missing", StatusCode::BAD_REQUEST;
        ModelNotAString = "model_not_a_string", StatusCode::BAD_REQUEST;
        ModelTwice = "model_twice", StatusCode::BAD_REQUEST;
        TooManyElements = "too_many_elements", StatusCode::BAD_REQUEST;
        TooDeep = "too_deep", StatusCode::BAD_REQUEST;
        KeyInAnotherCase = "key_in_another_case", StatusCode::BAD_REQUEST;
        AmbiguousModel = "ambiguous_model", StatusCode::BAD_REQUEST;
        BodyTooLarge = "body_too_large", StatusCode::PAYLOAD_TOO_LARGE;
        ModelNotFound = "model_not_found", StatusCode::NOT_FOUND;
        UpstreamUnreachable = "upstream_unreachable", StatusCode::BAD_GATEWAY;
        UpstreamTimeout = "upstream_timeout", StatusCode::GATEWAY_TIMEOUT;
        UpstreamError = "upstream_error", StatusCode::BAD_GATEWAY;
        UpstreamRefused = "upstream_refused", StatusCode::BAD_GATEWAY;
        ProviderBusy = "provider_busy", StatusCode::SERVICE_UNAVAILABLE;
        InvalidFraming = "invalid_framing", StatusCode::BAD_REQUEST;
        RequestTimeout = "request_timeout", StatusCode::REQUEST_TIMEOUT;
        UnsupportedEncoding = "unsupported_encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE;
        InvalidEncoding = "invalid_encoding", StatusCode::BAD_REQUEST;
        UnsupportedMediaType = "unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE;
        PathClimbs = "path_climbs", StatusCode::BAD_REQUEST;
        PathNotFound = "path_not_found", StatusCode::NOT_FOUND;
        ModelNotRouted = "model_not_routed", StatusCode::BAD_REQUEST;
        UpgradeRequired = "upgrade_required", StatusCode::UPGRADE_REQUIRED;
        InvalidHandshake = "invalid_handshake", StatusCode::BAD_REQUEST;
        TooManyWebSockets = "too_many_websockets", StatusCode::TOO_MANY_REQUESTS;
        InvalidFeedback = "invalid_feedback", StatusCode::BAD_REQUEST;
        InvalidQuestion = "invalid_request", StatusCode::BAD_REQUEST;
        ClassifierNotFound = "classifier_not_found", StatusCode::NOT_FOUND;
        ClassifierUnavailable = "classifier_unavailable", StatusCode::SERVICE_UNAVAILABLE;
        ClassifierVersionNotFound = "classifier_version_not_found", StatusCode::NOT_FOUND;
        NotReady = "not_ready", StatusCode::SERVICE_UNAVAILABLE;
        DeadlineExceeded = "deadline_exceeded", StatusCode::GATEWAY_TIMEOUT;
        FeedbackDisabled = "feedback_disabled", StatusCode::NOT_FOUND;
        ClientGone = "client_gone", CLIENT_CLOSED_REQUEST;
        Untranslatable = "untranslatable", StatusCode::BAD_REQUEST;
        ContextLength = "context_length_exceeded", StatusCode::BAD_REQUEST;
        NotCached = "not_cached", StatusCode::GATEWAY_TIMEOUT;
        Internal = "internal", StatusCode::INTERNAL_SERVER_ERROR;
        InvalidApiKey = "invalid_api_key", StatusCode::UNAUTHORIZED;
        CrossSite = "cross_site", StatusCode::FORBIDDEN;
        NotAllowed = "not_allowed", StatusCode::FORBIDDEN;
        RateLimited = "rate_limit_exceeded", StatusCode::TOO_MANY_REQUESTS;
        QuotaExceeded = "quota_exceeded", StatusCode::TOO_MANY_REQUESTS;
        BudgetUnavailable = "budget_unavailable", StatusCode::SERVICE_UNAVAILABLE;
        Overloaded = "overloaded", StatusCode::SERVICE_UNAVAILABLE;
        ShuttingDown = "shutting_down", StatusCode::SERVICE_UNAVAILABLE;
        HeaderTooLarge = "header_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    }
    policies: {
        DeniedByPolicy = "denied_by_policy", StatusCode::FORBIDDEN;
        NoModelFits = "no_model_fits", StatusCode::BAD_REQUEST;
        ModelNotAllowed = "model_not_allowed", StatusCode::FORBIDDEN;
        OverrideNotAllowed = "override_not_allowed", StatusCode::FORBIDDEN;
    }
}

impl RejectionCode {
    /// Returns the code of a policy's refusal.
    #[must_use]
    pub(crate) fn of_denial(denial: &Denial) -> Self {
        let known = Self::ALL.iter().find(|code| code.as_str() == denial.code);
        known.copied().unwrap_or(Self::DeniedByPolicy)
    }
}
