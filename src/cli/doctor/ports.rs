//! The listeners of a configuration: free, served by the gateway that runs, or taken by another program.

use std::io;
use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;
use http::Method;
use pointsman_core::config::Config;
use serde_json::Value;

use super::finding::DoctorFinding;
use crate::cli::admin_client::{AdminClient, AdminClientError};

/// Looks at the admin listener, at whatever serves there, and at the listeners of clients.
pub(super) async fn look(config: &Config, client: Result<AdminClient, AdminClientError>) -> Vec<DoctorFinding> {
    let admin = config.admin.address;
    let (client, trouble) = match client {
        Ok(client) => (Some(client), None),
        Err(error) => (None, Some(crate::cli::reason(&error))),
    };
    let running = match &client {
        Some(client) => readiness(client).await,
        None => None,
    };
    let mut findings = match &running {
        Some(readiness) => of_running(readiness),
        None if trouble.is_some() => {
            let advice = "mend what is said: without it a gateway that runs is not found";
            vec![DoctorFinding::warn("admin.auth", trouble.unwrap_or_default(), advice)]
        }
        None => vec![free("admin.address", admin)],
    };
    for (place, listener) in config.listen.iter().enumerate() {
        let check = match config.listen.len() {
            1 => "listen.address".to_owned(),
            _ => format!("listen[{place}].address"),
        };
        findings.push(match (&running, bind(listener.address)) {
            (Some(_), Err(error)) if error.kind() == io::ErrorKind::AddrInUse => {
                DoctorFinding::ok(check, format!("{} is served", listener.address))
            }
            (Some(_), Ok(())) if listener.address.port() != 0 => DoctorFinding::fail(
                check,
                format!("nobody listens on {}, and the gateway runs", listener.address),
                "listeners are bound at the start alone: start it again, or see whether it runs with this file",
            ),
            _ => free(&check, listener.address),
        });
    }
    findings
}

/// Says whether an address can be listened on.
fn free(check: &str, address: SocketAddr) -> DoctorFinding {
    match bind(address) {
        Ok(()) => DoctorFinding::ok(check, format!("{address} is free: no gateway runs")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => DoctorFinding::fail(
            check,
            format!("{address} is taken by another program"),
            "stop that program, or choose another address",
        ),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => DoctorFinding::fail(
            check,
            format!("{address} may not be listened on: {error}"),
            "choose a port from 1024 up, or give the process CAP_NET_BIND_SERVICE",
        ),
        Err(error) => {
            DoctorFinding::fail(check, format!("{address}: {error}"), "choose an address that this machine has")
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}

/// Asks the gateway that runs whether it is ready; `None` where no gateway answers.
async fn readiness(client: &AdminClient) -> Option<Value> {
    let answer = client.ask(Method::GET, "/readyz", Bytes::new()).await.ok()?;
    let readiness: Value = serde_json::from_slice(answer.body()).ok()?;
    readiness["generation"].is_u64().then_some(readiness)
}

/// Says how the gateway fares that runs.
fn of_running(readiness: &Value) -> Vec<DoctorFinding> {
    let generation = &readiness["generation"];
    let mut findings = vec![match readiness["ready"].as_bool() {
        Some(true) => DoctorFinding::ok("gateway", format!("runs and is ready, generation {generation}")),
        _ => DoctorFinding::fail(
            "gateway",
            format!("runs and is not ready, generation {generation}"),
            "read its log; /readyz says more",
        ),
    }];
    if readiness.get("classifiers").is_none() {
        let advice = "set POINTSMAN_ADMIN_TOKEN, or give --token-file, to a token with the role `view`";
        findings.push(DoctorFinding::warn("gateway.parts", "strangers are not told how its parts fare", advice));
    }
    let parts = readiness["classifiers"].as_object().into_iter().flatten();
    let parts = parts.map(|(name, state)| (format!("gateway.classifiers.{name}"), state));
    let whole = [("gateway.store".to_owned(), &readiness["store"]), ("gateway.files".to_owned(), &readiness["files"])];
    for (check, state) in parts.chain(whole).filter(|(_, state)| state.is_object()) {
        let phase = state["state"].as_str().unwrap_or_default();
        let detail = state["detail"].as_str().unwrap_or("no reason is given");
        findings.push(match phase {
            "ready" => DoctorFinding::ok(check, "ready"),
            _ => DoctorFinding::warn(
                check,
                format!("{phase}: {detail}"),
                "docs/operations.md says what serves meanwhile",
            ),
        });
    }
    if readiness["last_reload"]["outcome"] == "rejected" {
        let detail = readiness["last_reload"]["detail"].as_str().unwrap_or_default();
        findings.push(DoctorFinding::warn(
            "gateway.reload",
            format!("the last change of the file was refused, the one before serves: {detail}"),
            "mend what is said; `pointsman check` shows all of it",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::FindingGrade;
    use super::*;

    #[test]
    fn a_gateway_that_runs_is_judged_by_what_it_says_of_itself() {
        let findings = of_running(
            &json!({"ready": true, "generation": 3, "classifiers": {"default": {"state": "degraded",
            "detail": "no library"}}, "files": {"state": "ready"}, "last_reload": {"outcome": "rejected", "detail": "x"}}),
        );

        let grades: Vec<_> = findings.iter().map(|finding| (&*finding.check, finding.grade)).collect();
        assert_eq!(
            grades,
            [
                ("gateway", FindingGrade::Ok),
                ("gateway.classifiers.default", FindingGrade::Warn),
                ("gateway.files", FindingGrade::Ok),
                ("gateway.reload", FindingGrade::Warn)
            ]
        );
    }
}
