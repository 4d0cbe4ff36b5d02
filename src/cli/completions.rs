//! `pointsman completions`: the command line as a shell completes it.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{CommandLine, print_whole};

/// What `completions` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell that completes.
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "pointsman", &mut script);
    print_whole(&script)
}
