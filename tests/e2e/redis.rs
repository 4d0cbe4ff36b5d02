//! A real Redis server, on a Unix socket of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A running server; it ends with the value.
pub(crate) struct Redis {
    folder: TempDir,
    child: Child,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = launch(&folder.path().join("redis.sock"));
        Self { folder, child }
    }

    /// Returns the section `store` of a configuration that shares through it.
    pub(crate) fn section(&self, timeout: &str) -> String {
        format!("store: {{redis: {{url: 'unix://{}', timeout: {timeout}}}}}\n", self.socket().display())
    }

    /// Ends the server and forgets all that it held.
    pub(crate) fn die(&mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("our own child");
    }

    /// Starts it anew where it was.
    pub(crate) fn come_back(&mut self) {
        let _ = std::fs::remove_file(self.socket()); // a server that was killed leaves it
        self.child = launch(&self.socket());
    }

    /// Makes it hang: connections are accepted, and nothing is answered.
    pub(crate) fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error means that it has ended by now
        let _ = self.child.wait();
    }
}

fn launch(socket: &std::path::Path) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(socket);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed (apt: redis-server)");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let is_ready = |line: &String| line.contains("eady to accept connections");
    assert!(lines.by_ref().map_while(Result::ok).any(|line| is_ready(&line)), "the server starts");
    // What else it says goes nowhere, and must not stop it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}
