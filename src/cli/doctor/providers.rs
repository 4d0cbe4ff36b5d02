//! The providers of a configuration: whether they are reached and trusted, whether they take the keys, what time they have,
//! and whether they list the models of the catalog.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use http::{HeaderName, HeaderValue, StatusCode};
use pointsman_http_client::{HttpError, secured};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::certificates;
use super::finding::DoctorFinding;
use crate::cli::models_api::{self, ModelsAnswer, ModelsCall, OfferedModel};
use crate::snapshot::Snapshot;
use crate::upstream::{KeyRing, Provider, UpstreamCredential};

/// The seconds between two clocks that are worth a word, and those at which signatures and tokens are refused.
const CLOCKS: [u64; 2] = [30, 300];

/// A key of a provider, by the words that tell it from others.
struct ShownKey<'p> {
    name: Option<&'p str>,
    field: &'p HeaderName,
    value: &'p HeaderValue,
}

/// A connection that was made, to be closed again.
struct ProbedPeer {
    address: SocketAddr,
    /// The certificate that it showed, in DER.
    certificate: Option<Vec<u8>>,
}

/// Looks at every provider.
pub(super) async fn look(snapshot: &Snapshot, patience: Duration) -> Vec<DoctorFinding> {
    let providers = snapshot.upstreams.providers();
    let found = join_all(providers.map(|provider| one(snapshot, provider, patience))).await;
    found.into_iter().flatten().collect()
}

async fn one(snapshot: &Snapshot, provider: &Provider, patience: Duration) -> Vec<DoctorFinding> {
    let check = |part: &str| format!("providers.{}.{part}", provider.name);
    let mut findings = Vec::new();
    let mut reached = None;
    for peer in provider.peers() {
        match probe(provider, peer.label(), patience).await {
            Ok(probed) => {
                findings.push(DoctorFinding::ok(check("connection"), format!("{} is reached", peer.label())));
                if provider.base.tls {
                    findings.push(certificates::of_leaf(check("certificate"), probed.certificate.as_deref()));
                }
                reached = reached.or(Some(probed.address));
            }
            Err(error) => findings.push(unreached(check("connection"), peer.label(), &error)),
        }
    }
    let Some(address) = reached else { return findings };
    if provider.credential.is_renewed() {
        let word = "a cloud's tokens and signatures are only tried with --send";
        findings.push(DoctorFinding::skipped(check("key"), word));
        return findings;
    }
    let keys = keys(&provider.credential);
    if keys.is_empty() {
        let answer = ask(provider, address, None, patience).await;
        findings.extend(without_key(check("key"), &provider.credential, &answer));
        findings.extend(of_answer(snapshot, provider, &answer));
        return findings;
    }
    for (place, key) in keys.iter().enumerate() {
        let answer = ask(provider, address, Some(key), patience).await;
        findings.push(of_key(key.name.map_or_else(|| check("key"), |name| check(&format!("keys.{name}"))), &answer));
        if place == 0 {
            findings.extend(of_answer(snapshot, provider, &answer));
        }
    }
    findings
}

fn keys(credential: &UpstreamCredential) -> Vec<ShownKey<'_>> {
    let alone = credential.key().map(|(field, value)| ShownKey { name: None, field, value });
    let ring = credential.ring().into_iter().flat_map(KeyRing::keys);
    let ring = ring.map(|key| ShownKey { name: Some(key.name().as_str()), field: key.field(), value: key.value() });
    alone.into_iter().chain(ring).collect()
}

/// Connects to a peer, and takes its certificate.
async fn probe(provider: &Provider, label: &str, patience: Duration) -> Result<ProbedPeer, HttpError> {
    let addresses = timeout(patience, tokio::net::lookup_host(label)).await.map_err(|_| HttpError::ConnectTimeout)?;
    let none = || HttpError::Resolve(std::io::ErrorKind::NotFound.into());
    let address = addresses.map_err(HttpError::Resolve)?.next().ok_or_else(none)?;
    let stream = timeout(patience, TcpStream::connect(address)).await.map_err(|_| HttpError::ConnectTimeout)?;
    let stream = stream.map_err(HttpError::Connect)?;
    let destination = provider.destination(address);
    let Some(terms) = &destination.tls else { return Ok(ProbedPeer { address, certificate: None }) };
    let secure = timeout(patience, secured(stream, terms)).await.map_err(|_| HttpError::ConnectTimeout)??;
    let chain = secure.get_ref().1.peer_certificates();
    let certificate = chain.and_then(<[_]>::first).map(|leaf| leaf.to_vec());
    Ok(ProbedPeer { address, certificate })
}

fn unreached(check: String, label: &str, error: &HttpError) -> DoctorFinding {
    let advice = match error {
        HttpError::Resolve(_) => "look at the host's name in `base_url` or `peers`, and at this machine's DNS",
        HttpError::Untrusted(_) => {
            "let `tls.ca` name the authority of the certificate, `tls.sni` its name; look at the clock too"
        }
        HttpError::Handshake(_) => "look whether the port speaks TLS (`https://` in `base_url`)",
        _ => "look whether the server runs, at the port, and at firewalls between",
    };
    DoctorFinding::fail(check, format!("{label}: {error}"), advice)
}

async fn ask(
    provider: &Provider,
    address: SocketAddr,
    key: Option<&ShownKey<'_>>,
    patience: Duration,
) -> Result<ModelsAnswer, HttpError> {
    let destination = provider.destination(address);
    let path = models_api::path(&provider.base);
    let key = key.map(|key| (key.field, key.value));
    models_api::ask(ModelsCall { destination: &destination, path: &path, key, patience }).await
}

/// Says whether a key is taken.
fn of_key(check: String, answer: &Result<ModelsAnswer, HttpError>) -> DoctorFinding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let advice = "ask a model with --send; look at the provider's status page";
            return DoctorFinding::warn(check, format!("the models API gives no answer: {error}"), advice);
        }
    };
    let status = answer.status.as_u16();
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => DoctorFinding::fail(
            check,
            format!("the key is refused ({status})"),
            "look at the variable or file that holds it; a key of another account, project or region is refused too",
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            DoctorFinding::warn(check, "the key's limit is reached (429)", "wait, or add keys (`keys`)")
        }
        _ if answer.status.is_success() => DoctorFinding::ok(check, "the key is taken"),
        _ if answer.status.is_server_error() => {
            DoctorFinding::warn(check, format!("the provider fails ({status})"), "look at its status page or its log")
        }
        _ => DoctorFinding::skipped(check, format!("no models API ({status}): --send asks the models themselves")),
    }
}

/// Says what is known of a provider that no key of ours goes to.
fn without_key(
    check: String,
    credential: &UpstreamCredential,
    answer: &Result<ModelsAnswer, HttpError>,
) -> Option<DoctorFinding> {
    if matches!(credential, UpstreamCredential::Passthrough) {
        return Some(DoctorFinding::skipped(check, "each client brings its own"));
    }
    let wants_one = answer.as_ref().is_ok_and(|answer| matches!(answer.status.as_u16(), 401 | 403));
    wants_one.then(|| {
        let advice = "let `credential` name its key: {env: VARIABLE} or {file: PATH}";
        DoctorFinding::fail(check, "the provider wants a key, and gets none", advice)
    })
}

/// Compares the clocks, and the models that the provider lists with the catalog's.
fn of_answer(snapshot: &Snapshot, provider: &Provider, answer: &Result<ModelsAnswer, HttpError>) -> Vec<DoctorFinding> {
    let Ok(answer) = answer else { return Vec::new() };
    let mut findings = Vec::new();
    findings.extend(answer.clock_ahead.map(|ahead| clock(format!("providers.{}.clock", provider.name), ahead)));
    if answer.models.is_empty() {
        return findings;
    }
    let own = snapshot.upstreams.models().filter(|deployment| deployment.provider.name == provider.name);
    let missing: Vec<String> = own
        .filter(|deployment| !lists(&answer.models, &deployment.upstream_name))
        .map(|deployment| format!("`{}`", deployment.upstream_name))
        .collect();
    let check = format!("providers.{}.models", provider.name);
    findings.push(if missing.is_empty() {
        DoctorFinding::ok(check, format!("{} are listed, the catalog's among them", answer.models.len()))
    } else {
        let advice =
            "mend `name` in `models`, or ask the provider to let the key use it; aliases work without being listed";
        DoctorFinding::warn(check, format!("{} are listed, not {}", answer.models.len(), missing.join(", ")), advice)
    });
    findings
}

/// Returns whether a provider lists a model: by its name, or by a longer one with a day or a tag behind.
fn lists(models: &[OfferedModel], name: &str) -> bool {
    models.iter().any(|model| {
        let rest = model.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']) || is_day(rest))
    })
}

/// Returns whether what stands behind a name is a day, such as `-2026-03-17` or `-20260317`.
fn is_day(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.starts_with('-') && digits == 8 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

fn clock(check: String, ahead: i64) -> DoctorFinding {
    let apart = ahead.unsigned_abs();
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let finding = format!("this machine's clock is {apart} s {side} the provider's");
    let advice = "set the clock by NTP (chrony, systemd-timesyncd)";
    match apart {
        _ if apart > CLOCKS[1] => DoctorFinding::fail(check, finding, advice),
        _ if apart > CLOCKS[0] => DoctorFinding::warn(check, finding, advice),
        _ => DoctorFinding::ok(check, format!("{apart} s apart")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::FindingGrade;
    use super::*;

    #[test]
    fn clocks_that_are_apart_are_a_warning_and_then_a_failure() {
        let grade = |ahead| clock("c".to_owned(), ahead).grade;

        assert_eq!(
            [0, 29, -31, 301].map(grade),
            [FindingGrade::Ok, FindingGrade::Ok, FindingGrade::Warn, FindingGrade::Fail]
        );
        assert!(clock("c".to_owned(), -400).finding.contains("400 s ahead of the provider's"));
    }

    #[test]
    fn a_model_is_listed_by_its_name_with_or_without_a_day_or_a_tag() {
        let model = |name: &str| OfferedModel { name: name.to_owned(), context: None, owner: None };
        let models = ["gpt-x-2026-03-17", "claude-y-20260317", "llama:8b", "plain"].map(model);

        for name in ["gpt-x", "claude-y", "llama", "llama:8b", "plain"] {
            assert!(lists(&models, name), "{name}");
        }
        for name in ["gpt", "plai", "other"] {
            assert!(!lists(&models, name), "{name}");
        }
    }
}
