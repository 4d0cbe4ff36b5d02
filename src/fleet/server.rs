//! The real server that the replicas share.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::outcome::ratio;

/// A real Valkey, or Redis where the machine has no Valkey; ends with the value.
pub(super) struct StoreServer {
    folder: TempDir,
    child: Child,
    programs: ServerPrograms,
}

/// The names of a server and its client.
#[derive(Clone, Copy)]
struct ServerPrograms {
    server: &'static str,
    client: &'static str,
}

/// What a server has done since its start. Commands within scripts are counted apart from those of clients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServerUse {
    /// Values that clients asked for.
    pub(super) get: u64,
    /// Values that clients set.
    pub(super) set: u64,
    /// Values that clients replaced.
    pub(super) replace: u64,
    /// Reports on the counters of budgets.
    pub(super) exchange: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Seconds of CPU.
    pub(super) cpu: f64,
}

const VALKEY: ServerPrograms = ServerPrograms { server: "valkey-server", client: "valkey-cli" };
const REDIS: ServerPrograms = ServerPrograms { server: "redis-server", client: "redis-cli" };

impl StoreServer {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let has_valkey = Command::new(VALKEY.server).arg("--version").output().is_ok();
        let programs = if has_valkey { VALKEY } else { REDIS };
        let child = spawn(programs, folder.path());
        Self { folder, child, programs }
    }

    /// Returns the URL of the server's socket.
    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("s").display())
    }

    /// Returns the server's own name and version.
    pub(super) fn version(&self) -> String {
        let info = self.says(&["info", "server"]);
        let of = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim).map(str::to_owned);
        let valkey = of("valkey_version:").map(|version| format!("Valkey {version}"));
        valkey.or_else(|| of("redis_version:").map(|version| format!("Redis {version}"))).unwrap_or_default()
    }

    /// Holds the server, which neither answers nor closes connections from then on.
    pub(super) fn hold(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("the server runs");
    }

    /// Lets a server that was held go on.
    pub(super) fn release(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("the server runs");
    }

    /// Kills the server; what it knew is lost.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill(); // an error means that it has ended by now
        let _ = self.child.wait();
        let _ = fs::remove_file(self.folder.path().join("s")); // it may be gone with the server
    }

    /// Starts the server anew after [`Self::kill`].
    pub(super) fn start_again(&mut self) {
        self.child = spawn(self.programs, self.folder.path());
    }

    /// Returns what the server has done since its start.
    pub(super) fn used(&self) -> ServerUse {
        let info = self.says(&["info", "everything"]);
        let value = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let number = |key: &str| value(key).and_then(|text| text.parse().ok()).unwrap_or_default();
        let seconds = |key: &str| value(key).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let calls = |command: &str| -> u64 {
            let calls = value(&format!("cmdstat_{command}:calls=")).and_then(|text| text.split(',').next());
            calls.and_then(|calls| calls.parse().ok()).unwrap_or_default()
        };
        // The script of budgets is the one that asks for the time; each of the other script looks at a value first.
        let exchange = calls("time");
        let replace = calls("eval").saturating_sub(exchange);
        ServerUse {
            get: calls("get").saturating_sub(replace),
            set: calls("set").saturating_sub(replace),
            replace,
            exchange,
            bytes_in: number("total_net_input_bytes:"),
            bytes_out: number("total_net_output_bytes:"),
            cpu: seconds("used_cpu_user:") + seconds("used_cpu_sys:"),
        }
    }

    /// Returns the sizes of up to so many keys that match, in bytes of the server's memory.
    pub(super) fn sizes(&self, pattern: &str, most: usize) -> Vec<u64> {
        let keys = self.says(&["--scan", "--pattern", pattern]);
        let size = |key: &str| self.says(&["memory", "usage", key, "samples", "0"]).parse().ok();
        keys.lines().take(most).filter_map(size).collect()
    }

    /// Returns how many fields the first keys that match have on average.
    pub(super) fn fields(&self, pattern: &str, most: usize) -> f64 {
        let keys = self.says(&["--scan", "--pattern", pattern]);
        let counts: Vec<u64> =
            keys.lines().take(most).filter_map(|key| self.says(&["hlen", key]).parse().ok()).collect();
        ratio(counts.iter().sum(), counts.len() as u64)
    }

    /// Returns what the server answers to a command.
    pub(super) fn says(&self, command: &[&str]) -> String {
        let mut client = Command::new(self.programs.client);
        let answer = client.arg("-s").arg(self.folder.path().join("s")).args(command).output();
        let answer = answer.expect("the server's client is installed (apt: redis-tools or valkey-tools)").stdout;
        String::from_utf8(answer).expect("text").trim().to_owned()
    }
}

impl ServerUse {
    /// Returns what was done since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            get: self.get.saturating_sub(before.get),
            set: self.set.saturating_sub(before.set),
            replace: self.replace.saturating_sub(before.replace),
            exchange: self.exchange.saturating_sub(before.exchange),
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
            cpu: (self.cpu - before.cpu).max(0.0),
        }
    }

    /// Returns the commands of clients.
    pub(super) const fn commands(self) -> u64 {
        self.get + self.set + self.replace + self.exchange
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(programs: ServerPrograms, folder: &Path) -> Child {
    let mut command = Command::new(programs.server);
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(folder.join("s"));
    command.stdout(Stdio::null()).spawn().expect("a server is installed (apt: redis-server or valkey-server)")
}
