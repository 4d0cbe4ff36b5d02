//! The comparison's own load and upstream; each command prints one line of JSON (the upstream: its port).
//!
//! `wrk` closes the loop: it asks again when an answer came. What it cannot do is here: requests that arrive whether or not
//! earlier ones were answered (`rate`), streams whose events carry the time at which they were sent (`streams`), and the
//! upstream that sends them (`upstream`). Everything is on the loopback of one machine, with one clock.

mod client;
mod clock;
mod open_loop;
mod streams;
mod summary;
mod upstream;

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// A command and its options.
#[derive(Parser)]
#[command(about)]
enum Command {
    /// Sends requests at random moments, so many a second on average, and prints their latencies
    Rate(open_loop::Options),
    /// Reads streamed answers and prints how late their events were
    Streams(streams::Options),
    /// Answers chat completions, and prints the port that it listens on
    Upstream(upstream::Options),
}

/// Why a command ended without its figures.
type Failure = Box<dyn std::error::Error>;

/// Runs a load, whose tasks all stay on this thread, and prints what came of it.
async fn print_outcome<T: Serialize>(load: impl Future<Output = Result<T, Failure>>) -> Result<(), Failure> {
    let outcome = LocalSet::new().run_until(load).await?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Rate(options) => runtime.block_on(print_outcome(open_loop::drive(options))),
        Command::Streams(options) => runtime.block_on(print_outcome(streams::drive(options))),
        Command::Upstream(options) => runtime.block_on(upstream::run(options)),
    }
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::FAILURE
        }
    }
}
