//! A real Redis server, on a Unix socket of its own or behind TLS.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::origin::nobody;

/// A running server; it ends with the value.
pub(crate) struct Redis {
    folder: TempDir,
    child: Child,
}

/// A running server behind TLS, whose certificate it signed itself; it ends with the value.
pub(crate) struct RedisTls {
    server: Redis,
    address: SocketAddr,
}

impl RedisTls {
    /// Starts a server on an address that was free a moment ago.
    pub(crate) async fn start() -> Self {
        let (folder, address) = (tempfile::tempdir().expect("a temporary folder"), nobody().await);
        certify(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--tls-port", &address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--tls-auth-clients", "no", "--tls-cert-file", &file("cert.pem")]);
        command.args(["--tls-key-file", &file("key.pem"), "--tls-ca-cert-file", &file("cert.pem")]);
        let child = launch(&mut command);
        Self { server: Redis { folder, child }, address }
    }

    /// Returns the section `store` of a configuration that trusts it, or whom the file `ca` holds.
    pub(crate) fn section(&self, ca: Option<&Path>) -> String {
        let own = self.server.folder.path().join("cert.pem");
        let ca = ca.unwrap_or(&own).display();
        format!("store: {{redis: {{url: 'rediss://{}', tls: {{ca: {ca}}}, timeout: 1s}}}}\n", self.address)
    }
}

/// Every command that a server is sent.
pub(crate) struct Overheard {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// Writes a new certificate for `127.0.0.1` into `folder`, `cert.pem` and `key.pem`.
pub(crate) fn certify(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("a writable folder");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("a writable folder");
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = launch(&mut on_socket(&folder.path().join("redis.sock")));
        Self { folder, child }
    }

    /// Starts a server that wants a password, and the URL that holds it.
    pub(crate) fn with_password(password: &str) -> (Self, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = on_socket(&folder.path().join("redis.sock"));
        let server = Self { child: launch(command.args(["--requirepass", password])), folder };
        let url = format!("unix://{}?pass={password}", server.socket().display());
        (server, url)
    }

    /// Listens to every command that it is sent from now on.
    pub(crate) fn overheard(&self, password: &str) -> Overheard {
        let mut command = Command::new("redis-cli");
        command.arg("-s").arg(self.socket()).env("REDISCLI_AUTH", password).arg("monitor");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("redis-cli is installed (apt: redis-tools)");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        lines.read_line(&mut ready).expect("a line");
        assert_eq!(ready.trim(), "OK");
        Overheard { child, lines }
    }

    /// Returns the section `store` of a configuration that shares through it.
    pub(crate) fn section(&self, timeout: &str) -> String {
        format!("store: {{redis: {{url: 'unix://{}', timeout: {timeout}}}}}\n", self.socket().display())
    }

    /// Returns what the server says to a command.
    pub(crate) fn says(&self, command: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        let answer = client.arg("-s").arg(self.socket()).args(command).output();
        let answer = answer.expect("redis-cli is installed (apt: redis-tools)");
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    /// Ends the server and forgets all that it held.
    pub(crate) fn die(&mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("our own child");
    }

    /// Starts it anew where it was.
    pub(crate) fn come_back(&mut self) {
        let _ = std::fs::remove_file(self.socket()); // a server that was killed leaves it
        self.child = launch(&mut on_socket(&self.socket()));
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

impl Overheard {
    /// Returns all commands since it began; they end with the server.
    pub(crate) fn until_the_end_of(mut self, mut server: Redis) -> String {
        server.die();
        let mut text = String::new();
        self.lines.read_to_string(&mut text).expect("text");
        let _ = self.child.wait(); // it ends with its server
        text
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error means that it has ended by now
        let _ = self.child.wait();
    }
}

fn on_socket(socket: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--unixsocket"]).arg(socket);
    command
}

/// Starts a server that keeps nothing on disk, and waits until it serves.
pub(crate) fn launch(command: &mut Command) -> Child {
    if !command.get_args().any(|argument| argument == "--sentinel") {
        command.args(["--save", "", "--appendonly", "no"]);
        // A copy writes what it is sent to a file, once.
        command.args(["--rdb-del-sync-files", "yes"]).current_dir(std::env::temp_dir());
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed (apt: redis-server)");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let is_ready = |line: &String| line.contains("eady to accept connections") || line.contains("Sentinel ID is");
    assert!(lines.by_ref().map_while(Result::ok).any(|line| is_ready(&line)), "the server starts");
    // What else it says goes nowhere, and must not stop it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}
