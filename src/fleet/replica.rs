//! One replica: a router with its loops, ledgers and pins as a process has it, without sockets for clients.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_core::config::Name;
use pointsman_core::policy::{DecisionDetail, PinUpdate};
use pointsman_core::prompt::Dialect;
use pointsman_telemetry::{Metrics, ReloadOutcome};
use sha2::{Digest, Sha256};

use super::traffic::FleetRequest;
use crate::budgets::{BudgetAmounts, BudgetParty, BudgetRefusal, BudgetReservation};
use crate::reload::Reloader;
use crate::router::{IncomingRequest, JudgeMode, QuotaClaim, QuotaMode, Router, Verdict};
use crate::snapshot::SnapshotBuilder;

/// The model that is strong.
pub(super) const STRONG: &str = "frontier";

const WEAK: &str = "small";

/// The tokens of an answer that is still to come, as the proxy takes them to be before it has seen any.
const USUAL_OUTPUT: u64 = 400;

/// US dollars for a token of the prompt and of the answer.
const PRICES: [(&str, [f64; 2]); 2] = [(STRONG, [2e-6, 8e-6]), (WEAK, [1e-7, 4e-7])];

/// A replica.
pub(super) struct FleetReplica {
    pub(super) router: Arc<Router>,
    reloader: Arc<Reloader>,
    metrics: Arc<Metrics>,
    file: PathBuf,
}

/// A request that a replica has decided.
pub(super) struct ServedRequest {
    pub(super) request: FleetRequest,
    pub(super) end: ServedEnd,
    pub(super) is_strong: bool,
    /// The model that the request's session was held to, and the one that it is held to from now on.
    pub(super) pin: [Option<Name>; 2],
    pub(super) cost: f64,
}

/// What became of a request.
pub(super) enum ServedEnd {
    /// A model is at work on it.
    Answered(Box<OpenAnswer>),
    /// A budget is used up.
    Exceeded,
    /// The store is away, and a budget does not go by less.
    Unavailable,
}

/// What is to be settled once the answer is there.
pub(super) struct OpenAnswer {
    reservation: Option<BudgetReservation>,
    claim: Option<Arc<QuotaClaim>>,
    model: Name,
    amounts: BudgetAmounts,
    cost: f64,
}

impl FleetReplica {
    /// Starts a replica with a folder of its own.
    pub(super) fn start(folder: &Path, config: &str) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let file = folder.join("pointsman.yaml");
        fs::write(&file, config).expect("a file");
        let metrics = Arc::new(Metrics::new());
        let builder = SnapshotBuilder::new(&file, Arc::clone(&metrics));
        let prepared = builder.prepare().unwrap_or_else(|problems| panic!("{problems}"));
        let snapshot = builder.build(prepared, None).unwrap_or_else(|error| panic!("{error}"));
        let router = Arc::new(Router::new(snapshot, Arc::clone(&metrics)));
        let reloader = Arc::new(Reloader::new(builder, Arc::clone(&router), Arc::clone(&metrics)));
        let shared = Arc::clone(&router);
        tokio::spawn(async move { shared.share().await });
        Self { router, reloader, metrics, file }
    }

    /// Changes the file and has it read as a signal would.
    pub(super) async fn reload(&self, config: &str) {
        fs::write(&self.file, config).expect("a file");
        let result = Arc::clone(&self.reloader).reload_in_background("sighup").await.expect("the process goes on");
        assert_eq!(result.outcome, ReloadOutcome::Applied, "{result:?}");
    }

    /// Returns whether the store is away, as far as the replica knows.
    pub(super) fn misses_store(&self) -> bool {
        self.router.snapshot().store.as_ref().is_some_and(|store| store.trouble().is_some())
    }

    /// Returns how many commands the store did not do.
    pub(super) fn failed_commands(&self) -> u64 {
        let text = self.metrics.render();
        let failed = text.lines().filter(|line| line.starts_with("pointsman_store_errors_total"));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count =
            |line: &str| line.rsplit(' ').next().and_then(|count| count.parse().ok()).map(|count: f64| count as u64);
        failed.filter_map(count).sum()
    }

    /// Does with a request what the proxy does before it asks a model, in the same order.
    pub(super) async fn serve(&self, request: FleetRequest, now: u64) -> ServedRequest {
        let snapshot = self.router.snapshot();
        let session = request.session.map(|session| format!("s{session}"));
        let header = |name: &str| match (name, &session) {
            ("x-pointsman-session", Some(session)) => Some(Cow::Owned(session.clone())),
            _ => None,
        };
        let prompt = snapshot.read(Dialect::ChatCompletions, &request.body).expect("a request");
        let client = snapshot.clients.named(&format!("c{}", request.client)).map(|client| &**client);
        let incoming = IncomingRequest {
            path: "/v1/chat/completions",
            header: &header,
            client,
            key: None,
            prompt: &prompt,
            body: &request.body,
            state: None,
            at: None,
            judging: JudgeMode::Ask,
            quotas: QuotaMode::Take,
            detail: DecisionDetail::Decision,
        };
        let Verdict::Route(routing) = self.router.route(&snapshot, &incoming).await else {
            panic!("a policy is for every request");
        };
        self.router.count_signals(&snapshot, &routing);
        let (model, [input, output]) = (routing.decision.model.clone(), request.tokens);
        let held = routing.decision.pin.as_ref().and_then(|trace| trace.model.clone());
        let kept = match routing.decision.keep {
            PinUpdate::Home => Some(model.clone()),
            PinUpdate::Last | PinUpdate::Nothing => held.clone(),
        };
        let estimate = BudgetAmounts::of(price(&model, input, USUAL_OUTPUT), input + USUAL_OUTPUT, 1);
        let party = BudgetParty { client, key: None, session: Some(Router::conversation(&incoming)) };
        let reserved = self.router.budgets().reserve(party, estimate, now, snapshot.store.as_ref()).await;
        let (is_strong, cost) = (&*model == STRONG, price(&model, input, output));
        let end = match reserved {
            Ok(reservation) => {
                self.router.count(&snapshot, &routing);
                let (claim, amounts) = (routing.claim.clone(), BudgetAmounts::of(cost, input + output, 1));
                ServedEnd::Answered(Box::new(OpenAnswer { reservation, claim, model, amounts, cost }))
            }
            Err(BudgetRefusal::Exceeded(_)) => ServedEnd::Exceeded,
            Err(BudgetRefusal::Unavailable(_)) => ServedEnd::Unavailable,
        };
        drop(prompt);
        ServedRequest { request, end, is_strong, pin: [held, kept], cost }
    }
}

impl OpenAnswer {
    /// Settles what was reserved, as the proxy does when an answer has ended.
    pub(super) fn settle(self) {
        if let Some(claim) = self.claim {
            claim.settle(Some(&self.model), Some(self.cost));
        }
        if let Some(reservation) = self.reservation {
            reservation.settle(self.amounts);
        }
    }
}

/// Writes a version of the bundle of the tests: the same head at another temperature, which draws its probabilities
/// together.
pub(super) fn write_bundle(folder: &Path, temperature: u32) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lexical");
    fs::create_dir_all(folder).expect("a folder");
    for file in ["model.onnx", "tokenizer.json", "heads.safetensors", "features.json"] {
        fs::copy(fixture.join(file), folder.join(file)).expect("a file of the bundle");
    }
    let golden = fs::read(fixture.join("golden.json")).expect("golden inputs");
    let mut inputs: serde_json::Value = serde_json::from_slice(&golden).expect("JSON");
    for input in inputs.as_array_mut().expect("a list") {
        let scores = input["scores"]["tier_lexical"].as_array_mut().expect("scores");
        let power = 1.0 / f64::from(temperature);
        let roots: Vec<f64> = scores.iter().map(|score| score.as_f64().expect("a number").powf(power)).collect();
        let sum: f64 = roots.iter().sum();
        *scores = roots.iter().map(|root| (root / sum).into()).collect();
    }
    let next = serde_json::to_vec(&inputs).expect("JSON");
    let manifest = fs::read_to_string(fixture.join("bundle.yaml")).expect("a manifest");
    let manifest = manifest
        .replace(&hash(&golden), &hash(&next))
        .replace("version: \"1.0.0\"", &format!("version: \"{temperature}.0.0\""))
        .replace("temperature: 1}", &format!("temperature: {temperature}}}"));
    fs::write(folder.join("golden.json"), next).expect("a file");
    fs::write(folder.join("bundle.yaml"), manifest).expect("a file");
}

/// Returns the SHA-256 as files spell it.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
fn price(model: &str, input: u64, output: u64) -> f64 {
    let (_, [of_input, of_output]) = PRICES.iter().find(|(name, _)| *name == model).expect("a price");
    input as f64 * of_input + output as f64 * of_output
}
