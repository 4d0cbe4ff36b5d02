//! `pointsman admin`: the admin plane of a running gateway from the command line, and tokens for it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pointsman_core::config::{AdminRole, Config, Name};
use serde_json::Value;

use super::admin_client::{AdminClient, AdminClientError, AdminCredential};
use super::{CONFIG, REFUSED, UNAVAILABLE, fail};
use crate::clients::hash_key;

/// The random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// What `admin` can do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AdminCommand {
    /// Draws a token, prints it once, and the line that goes under `admin.auth.tokens`. Nothing is written or sent.
    Token(TokenArguments),
    /// Shows who the gateway takes the caller for, and what the caller may do.
    Whoami(AskArguments),
    /// Makes the gateway read its configuration and bundles again.
    Reload(AskArguments),
    /// Makes the gateway serve again what served before the last change.
    Rollback(AskArguments),
}

/// The caller that a token is for.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArguments {
    /// The caller's name, as audit lines say it.
    #[arg(value_name = "NAME", value_parser = Name::new)]
    name: Name,
    /// The caller's role: view, decide, operate or edit; each may do what those before it may.
    #[arg(value_name = "ROLE", value_parser = role)]
    role: AdminRole,
}

/// The gateway to ask, and the credential to show.
#[derive(Debug, clap::Args)]
pub(super) struct AskArguments {
    /// The configuration file of the gateway: says where its admin plane is.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    credential: AdminCredential,
    /// The longest wait for the connection and for the answer, such as 30s.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    patience: Duration,
}

pub(super) fn run(command: &AdminCommand) -> ExitCode {
    match command {
        AdminCommand::Token(arguments) => token(arguments),
        AdminCommand::Whoami(arguments) => ask(arguments, Method::GET, "/v1/whoami"),
        AdminCommand::Reload(arguments) => ask(arguments, Method::POST, "/reload"),
        AdminCommand::Rollback(arguments) => ask(arguments, Method::POST, "/rollback"),
    }
}

fn token(arguments: &TokenArguments) -> ExitCode {
    let Some(token) = drawn() else {
        eprintln!("pointsman: the system gives no random bytes");
        return UNAVAILABLE.into();
    };
    eprintln!("The token, which is shown once and goes into POINTSMAN_ADMIN_TOKEN or a file for --token-file:");
    println!("{token}");
    eprintln!("Under `admin.auth.tokens` of the configuration:");
    let TokenArguments { name, role } = arguments;
    println!("- {{name: {name}, sha256: {}, role: {role}}}", hash_key(token.as_bytes()));
    ExitCode::SUCCESS
}

/// Draws a token of the system's random bytes.
fn drawn() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).ok()?;
    Some(bytes.iter().fold("pa-".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

fn role(text: &str) -> Result<AdminRole, String> {
    let known = AdminRole::ALL.map(AdminRole::as_str).join(", ");
    let found = AdminRole::ALL.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| format!("there is no such role (allowed: {known})"))
}

fn ask(arguments: &AskArguments, method: Method, path: &str) -> ExitCode {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return CONFIG.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, UNAVAILABLE),
    };
    match runtime.block_on(answer(arguments, &config, method, path)) {
        Ok((true, body)) => {
            println!("{body}");
            ExitCode::SUCCESS
        }
        Ok((false, message)) => {
            eprintln!("pointsman: {message}");
            REFUSED.into()
        }
        Err(error) => fail(&error, UNAVAILABLE),
    }
}

/// Returns whether the gateway did it, and what it says.
async fn answer(
    arguments: &AskArguments,
    config: &Config,
    method: Method,
    path: &str,
) -> Result<(bool, String), AdminClientError> {
    let base_dir = arguments.config.parent().unwrap_or(Path::new(""));
    let client = AdminClient::new(&config.admin, base_dir, &arguments.credential, arguments.patience)?;
    let answer = client.ask(method, path, Bytes::new()).await?;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    if answer.status().is_success() {
        return Ok((true, text));
    }
    let read: Value = serde_json::from_str(&text).unwrap_or_default();
    let message = read["error"]["message"].as_str().map_or_else(|| answer.status().to_string(), str::to_owned);
    Ok((false, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_drawn_is_long_and_never_the_same() {
        let (one, other) = (drawn().expect("a token"), drawn().expect("a token"));

        assert_eq!(one.len(), "pa-".len() + 2 * TOKEN_BYTES);
        assert_ne!(one, other);
    }

    #[test]
    fn a_role_that_is_not_there_is_answered_with_those_that_are() {
        assert_eq!(role("operate"), Ok(AdminRole::Operate));
        assert_eq!(role("root"), Err("there is no such role (allowed: view, decide, operate, edit)".to_owned()));
    }
}
