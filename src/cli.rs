//! The command line: one file for each subcommand.
//!
//! Exit codes: 1 when a gate refuses, else as in sysexits: 64 for bad usage, 65 for bad data, 69 for an address or a library
//! that is not to be had, 78 for a bad configuration. Results go to stdout, everything else to stderr.

mod bundle;
mod check;
mod decide;
mod demo;
mod features;
mod gateway;
mod hash_key;
#[cfg(feature = "lab")]
mod lab;
mod promote;
mod report;
mod serve;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pointsman_telemetry::logging::Format;

/// The exit code of a gate that a change does not pass.
const REFUSED: u8 = 1;
/// The exit code for bad usage (`EX_USAGE`).
const USAGE: u8 = 64;
/// The exit code when something needed is not available (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The exit code for a bad configuration (`EX_CONFIG`).
const CONFIG: u8 = 78;

/// Reads each LLM prompt, judges it in milliseconds, and sends it to the cheapest model that will answer it well.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, about, arg_required_else_help = true)]
struct Arguments {
    /// How log records are written to stderr; RUST_LOG sets which.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    log_format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Proxies requests until SIGTERM; SIGHUP or a changed file reloads, SIGQUIT hands over to `serve --upgrade`.
    Serve(serve::Arguments),
    /// Checks a configuration with its bundles and keys, and runs its tests; exits with 78 and every problem if it is bad, with 1
    /// if a test fails.
    Check(check::Arguments),
    /// Shows or verifies a bundle of weights.
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Decides for one prompt and says why, without sending it anywhere.
    Decide(decide::Arguments),
    /// Prints the features of prompts: JSON lines with a `prompt` on stdin, one JSON object a line on stdout.
    Features,
    /// Measures a bundle's head on labelled prompts, beside what prompt length would get.
    #[cfg(feature = "lab")]
    Eval(lab::eval::Arguments),
    /// Prints the hash of a client's key, read from stdin, for `clients.<name>.keys`.
    HashKey,
    /// Fits heads to labels or outcomes, over the encoder of a bundle, and writes a new bundle.
    #[cfg(feature = "lab")]
    Fit(lab::fit::Arguments),
    /// Finds a policy's threshold for a share, a cost or a quality, and shows the change as a diff.
    #[cfg(feature = "lab")]
    Calibrate(lab::calibrate::Arguments),
    /// Shows what another configuration would have done with logged requests; exits with 1 when it moves too much.
    #[cfg(feature = "lab")]
    Replay(lab::replay::Arguments),
    /// Asks an LLM judge for labels of prompts, offline, resumable and within a budget.
    #[cfg(feature = "lab")]
    Label(lab::label::Arguments),
    /// Makes the bundle of a classifier's shadow its own in the configuration file, and shows the change.
    Promote(promote::Arguments),
    /// Shows routing at work with built-in upstreams: no keys, no configuration.
    Demo(demo::Arguments),
}

/// The configuration to use.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the command that `arguments` ask for and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print(); // nowhere left to say so
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Serve(command) => serve::run(&command, arguments.log_format),
        Command::Check(command) => check::run(&command),
        Command::Bundle(command) => bundle::run(&command),
        Command::Decide(command) => decide::run(&command),
        Command::Features => features::run(),
        #[cfg(feature = "lab")]
        Command::Eval(command) => lab::eval::run(&command),
        Command::HashKey => hash_key::run(),
        #[cfg(feature = "lab")]
        Command::Fit(command) => lab::fit::run(&command),
        #[cfg(feature = "lab")]
        Command::Calibrate(command) => lab::calibrate::run(&command),
        #[cfg(feature = "lab")]
        Command::Replay(command) => lab::replay::run(&command),
        #[cfg(feature = "lab")]
        Command::Label(command) => lab::label::run(&command),
        Command::Promote(command) => promote::run(&command),
        Command::Demo(command) => demo::run(&command),
    }
}

/// Prints an error and its causes to stderr and returns `code`.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    eprintln!("pointsman: {text}");
    code.into()
}
