//! Streamed answers: when the first event comes, and how long each event takes from the upstream's hand to the client's.
//!
//! The upstream writes the time of the shared clock into each event (`t=`, twenty digits), so a delay is that of one event, and
//! no event is compared with another one's time.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::BodyExt as _;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::{Connections, Destination};
use crate::summary::Quantiles;
use crate::upstream::{Pace, STAMP, STAMP_DIGITS};
use crate::{Failure, clock};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    to: Destination,
    /// Streams that are read at a time, each over a connection of its own
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// Streams of each of these connections
    #[arg(long, default_value_t = 4)]
    each: usize,
    /// Streams of each connection before those, which do not count
    #[arg(long, default_value_t = 1)]
    warm_up: usize,
    #[command(flatten)]
    pace: Pace,
    /// The longest that a stream may take
    #[arg(long, default_value_t = 60.0)]
    patience: f64,
}

/// What streams came to.
#[derive(Default, Serialize)]
pub struct Outcome {
    streams: usize,
    /// Streams that ended early, or without `[DONE]`.
    broken: usize,
    events: usize,
    /// Reads that brought events: fewer than events where some came together.
    reads: usize,
    /// From the first request that counts to the end of the last answer.
    seconds: f64,
    first_event_us: Quantiles,
    event_delay_us: Quantiles,
    /// From a request to the end of its answer.
    whole_us: Quantiles,
}

/// What one stream came to, in nanoseconds.
#[derive(Default)]
struct Seen {
    asked: u64,
    ended: u64,
    first: Option<u64>,
    delays: Vec<u64>,
    reads: usize,
    is_done: bool,
}

impl Seen {
    /// Takes the stamps out of what was read so far; leaves what may be the beginning of one.
    fn take(&mut self, pending: &mut Vec<u8>, now: u64) {
        let before = self.delays.len();
        let mut from = 0;
        for at in memchr::memmem::find_iter(pending, STAMP) {
            let end = at + STAMP.len() + STAMP_DIGITS;
            let Some(digits) = pending.get(at + STAMP.len()..end) else { break };
            from = end;
            if let Some(sent) = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok()) {
                self.delays.push(now.saturating_sub(sent));
            }
        }
        self.is_done |= memchr::memmem::find(pending, b"[DONE]").is_some();
        let longest = STAMP.len() + STAMP_DIGITS; // longer than `[DONE]`
        pending.drain(..from.max(pending.len().saturating_sub(longest)));
        self.reads += usize::from(self.delays.len() > before);
    }
}

async fn read_stream(connections: &Connections, to: &Destination, body: Bytes) -> Result<Seen, Failure> {
    let mut connection = connections.take().await?;
    let mut seen = Seen { asked: clock::now(), ..Seen::default() };
    let answer = connection.send(to.request(body)?).await?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status()).into());
    }
    let (mut answer, mut pending) = (answer.into_body(), Vec::new());
    while let Some(frame) = answer.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let now = clock::now();
        pending.extend_from_slice(&data);
        seen.take(&mut pending, now);
        if !seen.delays.is_empty() {
            seen.first.get_or_insert(now - seen.asked);
        }
    }
    seen.ended = clock::now();
    connection.give_back();
    Ok(seen)
}

/// Reads the streams; the future is to be run in a `LocalSet`.
pub async fn drive(options: Options) -> Result<Outcome, Failure> {
    let body = Bytes::from(serde_json::to_vec(&serde_json::json!({
        "model": options.to.model,
        "stream": true,
        "messages": [{"role": "user", "content": format!("Tell me a story. {}", options.pace)}],
    }))?);
    let mut open = JoinSet::new();
    for _ in 0..options.at_once {
        let (to, body, all, warm_up) =
            (options.to.clone(), body.clone(), options.warm_up + options.each, options.warm_up);
        let patience = Duration::from_secs_f64(options.patience);
        open.spawn_local(async move {
            let connections = Connections::new(to.clone());
            let mut seen = Vec::new();
            for _ in 0..all {
                let read = tokio::time::timeout(patience, read_stream(&connections, &to, body.clone()));
                seen.push(read.await.unwrap_or_else(|_| Err("too slow".into())).unwrap_or_default());
            }
            seen.split_off(warm_up)
        });
    }
    Ok(outcome_of(open.join_all().await.into_iter().flatten().collect(), options.pace))
}

fn outcome_of(streams: Vec<Seen>, pace: Pace) -> Outcome {
    let mut outcome = Outcome { streams: streams.len(), ..Outcome::default() };
    let whole: Vec<&Seen> = streams.iter().filter(|seen| seen.ended > 0).collect();
    if let (Some(from), Some(to)) =
        (whole.iter().map(|seen| seen.asked).min(), whole.iter().map(|seen| seen.ended).max())
    {
        outcome.seconds = Duration::from_nanos(to - from).as_secs_f64();
    }
    outcome.whole_us = Quantiles::of(whole.iter().map(|seen| seen.ended - seen.asked).collect());
    let (mut firsts, mut delays) = (Vec::new(), Vec::new());
    for seen in streams {
        outcome.broken += usize::from(!seen.is_done || seen.delays.len() != pace.events);
        outcome.events += seen.delays.len();
        outcome.reads += seen.reads;
        firsts.extend(seen.first);
        delays.extend(seen.delays);
    }
    outcome.first_event_us = Quantiles::of(firsts);
    outcome.event_delay_us = Quantiles::of(delays);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(pieces: &[&str]) -> Seen {
        let (mut seen, mut pending) = (Seen::default(), Vec::new());
        for piece in pieces {
            pending.extend_from_slice(piece.as_bytes());
            seen.take(&mut pending, 1000);
        }
        seen
    }

    #[test]
    fn each_stamp_is_taken_once_wherever_a_read_ends() {
        let whole = "data: t=00000000000000000400;\n\ndata: t=00000000000000000900;\n\ndata: [DONE]\n\n";
        for cut in 0..whole.len() {
            let seen = read_in(&[&whole[..cut], &whole[cut..]]);
            assert_eq!(seen.delays, [600, 100], "cut at {cut}");
            assert!(seen.is_done, "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_without_its_end_or_with_too_few_events_is_broken() {
        let done = Seen { delays: vec![5; 2], is_done: true, asked: 10, ended: 2_000_000_010, ..Seen::default() };
        let short = Seen { delays: vec![5], is_done: true, asked: 10, ended: 20, ..Seen::default() };
        let outcome = outcome_of(vec![done, short, Seen::default()], Pace { events: 2, every_us: 1, after_us: 0 });
        assert_eq!((outcome.streams, outcome.broken, outcome.events, outcome.whole_us.count), (3, 2, 3, 2));
        assert!((outcome.seconds - 2.0).abs() < 1e-6, "{}", outcome.seconds);
    }

    #[test]
    fn events_that_come_together_are_one_read() {
        assert_eq!(read_in(&["t=00000000000000000400;t=00000000000000000500;"]).reads, 1);
        assert_eq!(read_in(&["t=00000000000000000400;", "t=00000000000000000500;", "\n"]).reads, 2);
    }
}
