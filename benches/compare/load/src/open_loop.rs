//! The open loop: requests arrive as a Poisson process, whether or not earlier ones were answered.
//!
//! A latency counts from the moment at which the request was to be sent, so a proxy that stalls delays every request that falls
//! into the stall, as it would its users'. Moments come from a seed: each proxy gets the same ones.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::BodyExt as _;
use serde::Serialize;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinSet;

use crate::client::{Connections, Destination};
use crate::summary::Quantiles;
use crate::{Failure, clock};

const NONCE: &[u8] = b"NONCE00000";
const MODEL: &[u8] = b"__MODEL__";
/// Requests that are due and not sent yet; beyond them the generator has long been too slow, and says so.
const DUE: usize = 1 << 16;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    to: Destination,
    /// A file of request bodies, one JSON object a line, with `__MODEL__` and `NONCE00000` to be replaced
    #[arg(long)]
    bodies: PathBuf,
    /// Requests a second on average
    #[arg(long)]
    rate: f64,
    /// How long requests arrive
    #[arg(long)]
    seconds: f64,
    /// How long answers are waited for after the last request
    #[arg(long, default_value_t = 5.0)]
    patience: f64,
    /// The seed of the moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What became of the requests of a run.
#[derive(Default, Serialize)]
pub struct Outcome {
    sent: usize,
    ok: usize,
    bad_status: usize,
    failed: usize,
    unanswered: usize,
    latency_us: Quantiles,
    /// How late requests were sent: a generator that cannot keep up shows here.
    late_us: Quantiles,
}

/// A body in three parts: the middle one is replaced in each request, so that no two are equal.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    fn new(line: &str, model: &str) -> Result<Self, Failure> {
        let placeholder = String::from_utf8_lossy(MODEL);
        let text = line.replace(placeholder.as_ref(), model).into_bytes();
        let at = memchr::memmem::find(&text, NONCE).ok_or("a body without NONCE00000")?;
        Ok(Self { before: text[..at].to_vec(), after: text[at + NONCE.len()..].to_vec() })
    }

    fn fill(&self, number: usize) -> Bytes {
        let mut body = self.before.clone();
        body.extend_from_slice(format!("{number:010}").as_bytes());
        body.extend_from_slice(&self.after);
        body.into()
    }
}

/// The gaps of a Poisson process.
struct Gaps {
    state: u64,
    mean: f64,
}

impl Gaps {
    fn new(seed: u64, rate: f64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, mean: 1.0 / rate }
    }

    /// Returns the seconds until the next request: exponentially distributed, by xorshift64*.
    #[expect(clippy::cast_precision_loss, reason = "a float has as many bits as are wanted of the number")]
    fn next(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        let uniform = (bits as f64 + 1.0) / 9_007_199_254_740_993.0; // 2^53 + 1: above 0 and below 1
        -uniform.ln() * self.mean
    }
}

/// Sends the moments, in nanoseconds of the clock, at which requests are due, each when it is there.
#[expect(clippy::disallowed_methods, reason = "the thread does nothing but wait for the next moment")]
fn pace(mut gaps: Gaps, seconds: f64, due: &Sender<u64>) {
    let start = clock::now();
    let mut at = gaps.next();
    while at < seconds {
        let moment = start + nanoseconds(at);
        thread::sleep(Duration::from_nanos(moment.saturating_sub(clock::now())));
        if due.blocking_send(moment).is_err() {
            return;
        }
        at += gaps.next();
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run are positive and few")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// What became of one request.
#[derive(Clone, Copy)]
enum Fate {
    Answered { latency: u64 },
    BadStatus,
    Failed,
}

async fn ask(connections: Connections, to: Rc<Destination>, body: Bytes, due: u64) -> Fate {
    let asked = async {
        let mut connection = connections.take().await?;
        let answer = connection.send(to.request(body)?).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        connection.give_back();
        Ok::<_, Failure>(status)
    };
    match asked.await {
        Ok(status) if status.is_success() => Fate::Answered { latency: clock::now() - due },
        Ok(_) => Fate::BadStatus,
        Err(_) => Fate::Failed,
    }
}

/// Sends the requests; the future is to be run in a `LocalSet`.
pub async fn drive(options: Options) -> Result<Outcome, Failure> {
    let text = fs::read_to_string(&options.bodies)?;
    let bodies: Vec<Template> =
        text.lines().map(|line| Template::new(line, &options.to.model)).collect::<Result<_, _>>()?;
    if bodies.is_empty() {
        return Err("no bodies".into());
    }
    let (send_due, mut due) = mpsc::channel(DUE);
    let (gaps, seconds) = (Gaps::new(options.seed, options.rate), options.seconds);
    let pacer = thread::spawn(move || pace(gaps, seconds, &send_due));
    let (to, connections) = (Rc::new(options.to.clone()), Connections::new(options.to));
    let mut outcome = Outcome::default();
    let (mut late, mut latencies, mut open) = (Vec::new(), Vec::new(), JoinSet::new());
    let first = usize::try_from(clock::now() % 1_000_000_000).expect("nine digits fit");
    while let Some(moment) = due.recv().await {
        late.push(clock::now().saturating_sub(moment));
        let body = bodies[outcome.sent % bodies.len()].fill(first + outcome.sent);
        open.spawn_local(ask(connections.clone(), Rc::clone(&to), body, moment));
        outcome.sent += 1;
        while let Some(ended) = open.try_join_next() {
            outcome.count(ended?, &mut latencies);
        }
    }
    pacer.join().map_err(|_| "the pacer ended early")?;
    let end = tokio::time::Instant::now() + Duration::from_secs_f64(options.patience);
    while let Ok(Some(ended)) = tokio::time::timeout_at(end, open.join_next()).await {
        outcome.count(ended?, &mut latencies);
    }
    outcome.unanswered = open.len();
    outcome.latency_us = Quantiles::of(latencies);
    outcome.late_us = Quantiles::of(late);
    Ok(outcome)
}

impl Outcome {
    fn count(&mut self, fate: Fate, latencies: &mut Vec<u64>) {
        match fate {
            Fate::Answered { latency } => {
                self.ok += 1;
                latencies.push(latency);
            }
            Fate::BadStatus => self.bad_status += 1,
            Fate::Failed => self.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_exponential_with_the_mean_of_the_rate() {
        let mut gaps = Gaps::new(7, 200.0);
        let drawn: Vec<f64> = (0..100_000).map(|_| gaps.next()).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let beyond = drawn.iter().filter(|&&gap| gap > 0.005).count();
        assert!((mean - 0.005).abs() < 1e-4, "{mean}");
        assert!((36_000..37_600).contains(&beyond), "a share of 1/e is above the mean: {beyond}");
    }

    #[test]
    fn one_seed_gives_the_same_moments_and_another_does_not() {
        let three = |seed| {
            let mut gaps = Gaps::new(seed, 10.0);
            [gaps.next(), gaps.next(), gaps.next()].map(f64::to_bits)
        };
        assert_eq!(three(1), three(1));
        assert_ne!(three(1), three(2));
    }

    #[test]
    fn a_filled_body_has_the_model_and_its_own_number() {
        let template = Template::new(r#"{"model":"__MODEL__","prompt":"hi [NONCE00000]"}"#, "auto").expect("a body");
        assert_eq!(template.fill(42), Bytes::from(r#"{"model":"auto","prompt":"hi [0000000042]"}"#));
        assert!(Template::new("{}", "auto").is_err());
    }
}
