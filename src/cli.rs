//! The command line: one file for each subcommand.
//!
//! Exit codes: 1 when a gate refuses, 3 when an import has findings, else as in sysexits: 64 for bad usage, 65 for bad data, 69 for an address or a
//! library that is not to be had, 78 for a bad configuration. Results go to stdout, everything else to stderr.

mod admin;
mod admin_client;
mod bundle;
mod bundle_folder;
mod check;
mod completions;
mod decide;
mod demo;
mod doctor;
#[cfg(feature = "grpc")]
mod ext_proc;
mod features;
mod gateway;
mod hash_key;
mod import;
mod init;
mod keys;
#[cfg(feature = "lab")]
mod lab;
mod man;
mod models;
mod models_api;
mod notification;
mod process;
mod promote;
mod report;
mod schema;
mod serve;
mod source_arguments;
mod table;

use std::ffi::OsString;
use std::io;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pointsman_telemetry::logging::LogFormat;

/// The exit code of a gate that a change does not pass.
const REFUSED: u8 = 1;
/// The exit code of an import that made a configuration, and found lines that did not carry over.
const FINDINGS: u8 = 3;
/// The exit code for bad usage (`EX_USAGE`).
const USAGE: u8 = 64;
/// The exit code when something needed is not available (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// The exit code for a bad configuration (`EX_CONFIG`).
const CONFIG: u8 = 78;

/// Reads each LLM prompt, judges it in milliseconds, and sends it to the cheapest model that will answer it well.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, about, arg_required_else_help = true)]
struct CommandLine {
    /// How log records are written to stderr; RUST_LOG sets which.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Looks for keys and servers, proposes models by their prices, and writes a commented configuration with tests.
    Init(init::InitArguments),
    /// Proxies requests until SIGTERM; SIGHUP or a changed file reloads, SIGQUIT hands over to `serve --upgrade`.
    Serve(serve::ServeArguments),
    /// Decides for Envoy over its external processing protocol: listens for Envoy, at `admin.address` and for `grpc`, not for
    /// clients; or prints an Envoy's configuration that asks it.
    #[cfg(feature = "grpc")]
    ExtProc(ext_proc::ExtProcArguments),
    /// Checks a configuration with its bundles and keys, and runs its tests; exits with 78 and every problem if it is
    /// bad, with 1 if a test fails.
    Check(check::CheckArguments),
    /// Finds what keeps a gateway from working: ports, keys, clocks, certificates, ONNX Runtime, limits of the system;
    /// exits with 1 if something fails, with 78 if the configuration is bad.
    Doctor(doctor::DoctorArguments),
    /// Lists models with their prices, windows and abilities: the built-in list, or the catalog of a configuration.
    Models(models::ModelsArguments),
    /// Asks the admin plane of a running gateway, or draws a token for it.
    #[command(subcommand)]
    Admin(Box<admin::AdminCommand>),
    /// Shows or verifies a bundle of weights.
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Decides for one prompt and says why, without sending it anywhere.
    Decide(decide::DecideArguments),
    /// Prints the features of prompts: JSON lines with a `prompt` on stdin, one JSON object a line on stdout.
    Features,
    /// Measures a bundle's head on labelled prompts, beside what prompt length would get.
    #[cfg(feature = "lab")]
    Eval(Box<lab::eval::EvalArguments>),
    /// Prints the hash of a client's key, read from stdin, for `clients.<name>.keys`.
    HashKey,
    /// Makes, lists, rotates or revokes client keys in the registry that a configuration names.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Makes a configuration of that of another router or gateway; says of every line that does not carry over why, and
    /// exits with 3 then.
    Import(import::ImportArguments),
    /// Fits heads to labels or outcomes, over the encoder of a bundle, and writes a new bundle.
    #[cfg(feature = "lab")]
    Fit(lab::fit::FitArguments),
    /// Finds a policy's threshold for a share, a cost or a quality, and shows the change as a diff.
    #[cfg(feature = "lab")]
    Calibrate(lab::calibrate::CalibrateArguments),
    /// Shows what another configuration would have done with logged requests; exits with 1 when it moves too much.
    #[cfg(feature = "lab")]
    Replay(lab::replay::ReplayArguments),
    /// Makes prompts ready: asks out of conversations, cleaned, without duplicates, split for training and measuring.
    #[cfg(feature = "lab")]
    Prepare(lab::prepare::PrepareArguments),
    /// Asks models and policies for their answers to prompts, resumable and within a budget.
    #[cfg(feature = "lab")]
    Collect(lab::collect::CollectArguments),
    /// Simulates a policy that learns from feedback, on rows with outcomes of several models.
    #[cfg(feature = "lab")]
    Simulate(lab::simulate::SimulateArguments),
    /// Asks an LLM judge for labels of prompts, offline, resumable and within a budget.
    #[cfg(feature = "lab")]
    Label(lab::label::LabelArguments),
    /// Grades answers: by what their references say, by LLM judges, and by marks of people.
    #[cfg(feature = "lab")]
    Grade(lab::grade::GradeArguments),
    /// Lists records of what the commands of the laboratory did, from `prepare` to `replay`, and sets two side by side.
    #[cfg(feature = "lab")]
    Runs(lab::runs::RunsArguments),
    /// Writes the answers of decision logs as rows, to be graded and compared.
    #[cfg(feature = "lab")]
    Answers(lab::answers::AnswersArguments),
    /// Makes the bundle of a classifier's shadow its own in the configuration file, and shows the change.
    Promote(promote::PromoteArguments),
    /// Shows routing at work with built-in upstreams: no keys, no configuration.
    Demo(demo::DemoArguments),
    /// Prints the JSON Schema of the configuration, for editors.
    Schema,
    /// Prints what a shell needs to complete the command line.
    Completions(completions::CompletionsArguments),
    /// Prints a manual page, or writes those of all commands to a folder.
    Man(man::ManArguments),
}

/// Reads an amount of US dollars.
fn dollars(text: &str) -> Result<f64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| format!("`{text}` is no amount of US dollars (allowed: 0 or more, such as 2.5)"))
}

/// The configuration to use.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", value_parser = config_file)]
    config: PathBuf,
}

/// Reads the path of a configuration file, which is no URL: what is fetched is served and checked, and nothing else.
fn config_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match source_arguments::url_text(&path) {
        Some(_) => Err("a URL is for `serve`, `ext-proc` and `check` (allowed: a file)".to_owned()),
        None => Ok(path),
    }
}

/// Runs the command that `arguments` ask for and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    process::set_up();
    let arguments = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print(); // nowhere left to say so
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        CliCommand::Init(command) => init::run(&command),
        CliCommand::Serve(command) => serve::run(&command, arguments.log_format),
        #[cfg(feature = "grpc")]
        CliCommand::ExtProc(command) => ext_proc::run(&command, arguments.log_format),
        CliCommand::Check(command) => check::run(&command),
        CliCommand::Doctor(command) => doctor::run(&command),
        CliCommand::Models(command) => models::run(&command),
        CliCommand::Admin(command) => admin::run(&command),
        CliCommand::Bundle(command) => bundle::run(&command),
        CliCommand::Decide(command) => decide::run(&command),
        CliCommand::Features => features::run(),
        #[cfg(feature = "lab")]
        CliCommand::Eval(command) => lab::eval::run(&command),
        CliCommand::HashKey => hash_key::run(),
        CliCommand::Keys(command) => keys::run(&command, arguments.log_format),
        CliCommand::Import(command) => import::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Fit(command) => lab::fit::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Calibrate(command) => lab::calibrate::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Replay(command) => lab::replay::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Simulate(command) => lab::simulate::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Label(command) => lab::label::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Grade(command) => lab::grade::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Collect(command) => lab::collect::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Prepare(command) => lab::prepare::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Runs(command) => lab::runs::run(&command),
        #[cfg(feature = "lab")]
        CliCommand::Answers(command) => lab::answers::run(&command),
        CliCommand::Promote(command) => promote::run(&command),
        CliCommand::Demo(command) => demo::run(&command),
        CliCommand::Schema => schema::run(),
        CliCommand::Completions(command) => completions::run(&command),
        CliCommand::Man(command) => man::run(&command),
    }
}

/// Prints a whole text to stdout. A reader that has left, as `head` does, is no error.
fn print_whole(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error, UNAVAILABLE),
        _ => ExitCode::SUCCESS,
    }
}

/// Prints an error and its causes to stderr and returns `code`.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("pointsman: {}", reason(error));
    code.into()
}

/// Returns an error and its causes as one text. What an error already says of its cause is not said again.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
