//! The routes of the admin plane with what each asks of its caller: one table, which the guard reads.
//!
//! A route that is not in the table is for the highest role alone, and a test holds the table against the router: who
//! adds a route says here who may use it, and whether it changes something.

use pointsman_core::config::AdminRole;

/// A route and its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AdminRoute {
    /// The method; `GET` stands for `HEAD` too.
    pub(super) method: &'static str,
    /// The path's pattern, as the router has it.
    pub(super) path: &'static str,
    pub(super) access: RouteAccess,
    /// The change that the route makes, as audit lines name it; `None` where it changes nothing.
    pub(super) change: Option<&'static str>,
}

/// The callers of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RouteAccess {
    /// Everybody: probes, which tell strangers little, and pages that are the same in every process.
    Open,
    /// Everybody where `admin.auth.metrics` is `open`, else those with the role `view`.
    Metrics,
    /// Callers with this role, or more.
    Role(AdminRole),
}

/// Every route.
pub(super) const TABLE: [AdminRoute; 51] = [
    open("/"),
    open("/health"),
    open("/healthz"),
    open("/readyz"),
    open("/docs"),
    open("/openapi.json"),
    open("/console"),
    open("/console/"),
    open("/console/{file}"),
    AdminRoute { method: "GET", path: "/metrics", access: RouteAccess::Metrics, change: None },
    view("/generation"),
    view("/config"),
    view("/kill-switch"),
    view("/v1/whoami"),
    view("/v1/keys"),
    view("/v1/budgets"),
    view("/api/overview"),
    view("/api/decisions"),
    view("/api/decisions/{number}"),
    view("/api/policies"),
    view("/api/classifiers"),
    view("/api/upstreams"),
    view("/api/generations"),
    view("/api/generations/{number}"),
    view("/api/configuration"),
    view("/api/configuration/versions/{id}"),
    decide("/v1/decide"),
    decide("/predict"),
    decide("/predict/batch"),
    decide("/v1/classify"),
    decide("/v1/decisions"),
    open("/v2/health/live"),
    open("/v2/health/ready"),
    learn("/v2"),
    learn("/v2/models/{model}"),
    learn("/v2/models/{model}/ready"),
    learn("/v2/models/{model}/versions/{version}"),
    learn("/v2/models/{model}/versions/{version}/ready"),
    decide("/v2/models/{model}/infer"),
    decide("/v2/models/{model}/versions/{version}/infer"),
    decide("/api/playground"),
    change("POST", "/v1/feedback", AdminRole::Operate, "feedback"),
    change("POST", "/reload", AdminRole::Operate, "reload"),
    change("POST", "/rollback", AdminRole::Operate, "rollback"),
    change("PUT", "/kill-switch", AdminRole::Operate, "kill_switch"),
    change("POST", "/bandits/reset", AdminRole::Operate, "bandit_reset"),
    change("POST", "/v1/keys", AdminRole::Operate, "key_made"),
    change("POST", "/v1/keys/{id}/rotate", AdminRole::Operate, "key_rotated"),
    change("DELETE", "/v1/keys/{id}", AdminRole::Operate, "key_revoked"),
    change("PUT", "/api/configuration", AdminRole::Edit, "configuration"),
    AdminRoute {
        method: "POST",
        path: "/api/configuration/check",
        access: RouteAccess::Role(AdminRole::Edit),
        change: None,
    },
];

/// Returns the row of a method and a path's pattern.
pub(super) fn find(method: &str, path: &str) -> Option<&'static AdminRoute> {
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|route| route.method == method && route.path == path)
}

const fn open(path: &'static str) -> AdminRoute {
    AdminRoute { method: "GET", path, access: RouteAccess::Open, change: None }
}

const fn view(path: &'static str) -> AdminRoute {
    AdminRoute { method: "GET", path, access: RouteAccess::Role(AdminRole::View), change: None }
}

const fn decide(path: &'static str) -> AdminRoute {
    AdminRoute { method: "POST", path, access: RouteAccess::Role(AdminRole::Decide), change: None }
}

/// A route that tells what may be asked.
const fn learn(path: &'static str) -> AdminRoute {
    AdminRoute { method: "GET", path, access: RouteAccess::Role(AdminRole::Decide), change: None }
}

const fn change(method: &'static str, path: &'static str, role: AdminRole, name: &'static str) -> AdminRoute {
    AdminRoute { method, path, access: RouteAccess::Role(role), change: Some(name) }
}
