//! `pointsman man`: manual pages, of the whole program and of each command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::{CommandLine, UNAVAILABLE, USAGE, fail, print_whole};

/// What `man` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct ManArguments {
    /// The command whose page is printed; by default that of the whole program.
    command: Option<String>,
    /// Writes the pages of the program and of every command to this folder, which is made where it is missing.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum ManError {
    #[error("there is no command `{name}` (allowed: {})", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("cannot write the page")]
    Write(#[from] io::Error),
}

pub(super) fn run(arguments: &ManArguments) -> ExitCode {
    let written = match &arguments.out {
        Some(folder) => write_all(folder).map(|()| Vec::new()),
        None => page(arguments.command.as_deref()),
    };
    match written {
        Ok(page) => print_whole(&page),
        Err(error @ ManError::Unknown { .. }) => fail(&error, USAGE),
        Err(error) => fail(&error, UNAVAILABLE),
    }
}

/// Returns the program with the names that its commands have on their pages.
fn program() -> Command {
    let mut program = CommandLine::command().disable_help_subcommand(true);
    program.build();
    program
}

fn page(name: Option<&str>) -> Result<Vec<u8>, ManError> {
    let program = program();
    let command = match name {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| ManError::Unknown {
            name: name.to_owned(),
            known: program.get_subcommands().map(|command| command.get_name().to_owned()).collect(),
        })?,
    };
    rendered(command)
}

/// Returns a page, whose foot names the program and its version: commands have no version of their own.
fn man(command: Command) -> Man {
    Man::new(command).source(concat!("pointsman ", env!("CARGO_PKG_VERSION")))
}

fn rendered(command: Command) -> Result<Vec<u8>, ManError> {
    let mut page = Vec::new();
    man(command).render(&mut page)?;
    Ok(page)
}

fn write_all(folder: &Path) -> Result<(), ManError> {
    fs::create_dir_all(folder)?;
    write_with_commands(program(), folder)
}

fn write_with_commands(command: Command, folder: &Path) -> Result<(), ManError> {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write_with_commands(inner.clone(), folder)?;
    }
    man(command).generate_to(folder)?;
    Ok(())
}
