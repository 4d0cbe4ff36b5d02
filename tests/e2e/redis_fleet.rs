//! Real Redis servers that work together: a cluster, and a master with a copy that sentinels watch.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

use tempfile::TempDir;

use crate::origin::nobody;
use crate::redis::{certify, launch};
use crate::soon;

/// The slots of a cluster.
const SLOTS: usize = 16384;

/// The time after which servers hold another one for lost, in milliseconds.
const LOST_AFTER: &str = "1000";

/// A running server on a port; it ends with the value.
pub(crate) struct RedisNode {
    pub(crate) address: SocketAddr,
    child: Child,
    /// The password of the administrator.
    password: Option<&'static str>,
    ca: Option<String>,
}

/// A cluster of masters, each with as many copies.
pub(crate) struct RedisCluster {
    /// The masters of the beginning, and behind them their copies in the same order.
    pub(crate) nodes: Vec<RedisNode>,
    masters: usize,
    folder: TempDir,
}

/// A master and its copy, and the sentinels that watch them.
pub(crate) struct WatchedRedis {
    pub(crate) servers: [RedisNode; 2],
    pub(crate) sentinels: Vec<RedisNode>,
    _folder: TempDir,
}

impl RedisNode {
    async fn start(arguments: &[&str], password: Option<&'static str>) -> Self {
        let address = nobody().await;
        let mut command = Command::new("redis-server");
        command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"]).args(arguments);
        Self { address, child: launch(&mut command), password, ca: None }
    }

    /// Starts a server that keeps nothing on disk.
    pub(crate) async fn alone() -> Self {
        Self::start(&[], None).await
    }

    /// Returns what the server says to a command.
    pub(crate) fn says(&self, command: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        if let Some(password) = self.password {
            client.env("REDISCLI_AUTH", password);
        }
        if let Some(ca) = &self.ca {
            client.args(["--tls", "--cacert", ca]);
        }
        let answer = client.args(command).output().expect("redis-cli is installed (apt: redis-tools)");
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    /// Returns what the server says to a command that it takes.
    fn takes(&self, command: &[&str]) {
        let said = self.says(command);
        assert_eq!(said, "OK", "{command:?}");
    }

    /// Returns a number of what the server says of itself, such as how often it sent somebody elsewhere.
    pub(crate) fn count(&self, section: &str, name: &str) -> u64 {
        let text = self.says(&["info", section]);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let digits = line.map(|line| line.trim_start_matches(|c: char| !c.is_ascii_digit()));
        digits.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).unwrap_or_default()
    }

    /// Makes it a copy of another server, and waits until it has all that the other one has.
    pub(crate) async fn copy(&self, master: &Self) {
        self.takes(&["replicaof", "127.0.0.1", &master.address.port().to_string()]);
        self.until_says(&["info", "replication"], "master_link_status:up").await;
    }

    /// Waits until the server says so.
    pub(crate) async fn until_says(&self, command: &[&str], part: &str) {
        soon(part, async {
            while !self.says(command).contains(part) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Ends the server at once.
    pub(crate) fn die(&mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("our own child");
    }
}

impl Drop for RedisNode {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error means that it has ended by now
        let _ = self.child.wait();
    }
}

impl RedisCluster {
    /// Starts a cluster of so many masters, each of which has so many copies.
    pub(crate) async fn start(masters: usize, copies: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut nodes = Vec::new();
        for _ in 0..masters * (1 + copies) {
            nodes.push(Self::node(folder.path(), &[], None).await);
        }
        let cluster = Self { nodes, masters, folder };
        cluster.join().await;
        cluster
    }

    /// Starts a cluster of one master behind TLS, whose commands a user `app` may give with the password `app-pass`.
    pub(crate) async fn behind_tls() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        certify(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        let address = nobody().await;
        let port = address.port().to_string();
        let mut arguments = vec!["--tls-port", &port, "--tls-auth-clients", "no", "--tls-cluster", "yes"];
        arguments.extend(["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &cert]);
        arguments.extend(["--requirepass", "admin-pass", "--user", "app", "on", ">app-pass", "~pointsman:*"]);
        arguments.extend(["+@all", "-@dangerous"]);
        let mut node = Self::node(folder.path(), &arguments, Some("admin-pass")).await;
        (node.address, node.ca) = (address, Some(cert));
        let cluster = Self { nodes: vec![node], masters: 1, folder };
        cluster.join().await;
        cluster
    }

    async fn node(folder: &Path, arguments: &[&str], password: Option<&'static str>) -> RedisNode {
        let bus = nobody().await.port().to_string();
        let (folder, file) = (folder.display().to_string(), format!("nodes-{bus}.conf"));
        let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-config-file", &file];
        all.extend(["--dir", &folder, "--cluster-node-timeout", LOST_AFTER, "--cluster-require-full-coverage", "no"]);
        all.extend(["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]);
        all.extend(["--cluster-replica-validity-factor", "0"]);
        RedisNode::start(&[&all, arguments].concat(), password).await
    }

    async fn join(&self) {
        let masters = &self.nodes[..self.masters];
        for (at, node) in self.nodes.iter().enumerate() {
            node.takes(&["cluster", "set-config-epoch", &(at + 1).to_string()]);
        }
        for (at, master) in masters.iter().enumerate() {
            let [first, end] = [at, at + 1].map(|at| at * SLOTS / self.masters);
            master.takes(&["cluster", "addslotsrange", &first.to_string(), &(end - 1).to_string()]);
        }
        let first = self.nodes[0].says(&["cluster", "nodes"]);
        let bus =
            first.split('@').nth(1).and_then(|rest| rest.split([',', ' ']).next()).expect("its own line").to_owned();
        for node in &self.nodes[1..] {
            node.takes(&["cluster", "meet", "127.0.0.1", &self.nodes[0].address.port().to_string(), &bus]);
        }
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            node.until_says(&["cluster", "info"], &known).await;
        }
        for (at, copy) in self.nodes.iter().enumerate().skip(self.masters) {
            copy.takes(&["cluster", "replicate", &self.id(at % self.masters)]);
        }
        for copy in &self.nodes[self.masters..] {
            copy.until_says(&["info", "replication"], "master_link_status:up").await;
        }
        for node in &self.nodes {
            node.until_says(&["cluster", "info"], "cluster_state:ok").await;
            // A copy is listed once something has come to it over its link.
            for copy in &self.nodes[self.masters..] {
                let port = copy.address.port().to_string();
                let is_listed = || node.says(&["cluster", "slots"]).lines().any(|line| line == port);
                soon("a copy in the table", async {
                    while !is_listed() {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
            }
        }
    }

    /// Returns a master of the beginning that has the slot of a key, by its position.
    pub(crate) fn master_of(&self, key: &str) -> usize {
        let slot: usize = self.nodes[0].says(&["cluster", "keyslot", key]).parse().expect("a slot");
        (0..self.masters).find(|at| slot < (at + 1) * SLOTS / self.masters).expect("a master")
    }

    /// Begins to move the slot of a key from one server to another: what is not there yet is asked of the other one.
    pub(crate) fn begin_move(&self, key: &str, from: usize, to: usize) {
        let slot = self.nodes[from].says(&["cluster", "keyslot", key]);
        self.nodes[to].takes(&["cluster", "setslot", &slot, "importing", &self.id(from)]);
        self.nodes[from].takes(&["cluster", "setslot", &slot, "migrating", &self.id(to)]);
    }

    /// Moves all keys of the slot of a key.
    pub(crate) fn move_keys(&self, key: &str, from: usize, to: usize) {
        let slot = self.nodes[from].says(&["cluster", "keyslot", key]);
        let port = self.nodes[to].address.port().to_string();
        for key in self.nodes[from].says(&["cluster", "getkeysinslot", &slot, "1000"]).lines() {
            self.nodes[from].takes(&["migrate", "127.0.0.1", &port, key, "0", "5000"]);
        }
    }

    /// Ends the move of the slot of a key: the server that had it sends clients on for good.
    pub(crate) fn end_move(&self, key: &str, from: usize, to: usize) {
        let (slot, id) = (self.nodes[from].says(&["cluster", "keyslot", key]), self.id(to));
        for at in [to, from] {
            self.nodes[at].takes(&["cluster", "setslot", &slot, "node", &id]);
        }
    }

    /// Returns the certificate of a cluster behind TLS.
    pub(crate) fn ca(&self) -> String {
        self.folder.path().join("cert.pem").display().to_string()
    }

    fn id(&self, at: usize) -> String {
        self.nodes[at].says(&["cluster", "myid"])
    }
}

impl WatchedRedis {
    /// Starts a master with the password `server-pass` for a user `app`, its copy, and three sentinels with the password
    /// `sentinel-pass` that call the master `main`.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().display().to_string();
        let arguments = "--requirepass admin-pass --masterauth admin-pass --repl-diskless-sync-delay 0 \
             --user app on >server-pass ~pointsman:* +@all -@dangerous +role --dir";
        let arguments: Vec<&str> = arguments.split(' ').chain([path.as_str()]).collect();
        let mut servers = Vec::new();
        for _ in 0..2 {
            servers.push(RedisNode::start(&arguments, Some("admin-pass")).await);
        }
        let servers: [RedisNode; 2] = servers.try_into().unwrap_or_else(|_| panic!("two"));
        servers[1].copy(&servers[0]).await;
        let mut sentinels = Vec::new();
        for number in 0..3 {
            sentinels.push(Self::sentinel(folder.path(), number, servers[0].address).await);
        }
        for sentinel in &sentinels {
            sentinel.until_says(&["sentinel", "master", "main"], "num-other-sentinels\n2").await;
            sentinel.until_says(&["sentinel", "master", "main"], "num-slaves\n1").await;
        }
        Self { servers, sentinels, _folder: folder }
    }

    async fn sentinel(folder: &Path, number: usize, master: SocketAddr) -> RedisNode {
        let address = nobody().await;
        let file = folder.join(format!("sentinel-{number}.conf"));
        let lines = [
            format!("port {}\nbind 127.0.0.1\ndir {}", address.port(), folder.display()),
            "requirepass sentinel-pass\nsentinel sentinel-pass sentinel-pass".to_owned(),
            format!("sentinel monitor main 127.0.0.1 {} 2", master.port()),
            format!("sentinel down-after-milliseconds main {LOST_AFTER}"),
            "sentinel failover-timeout main 3000\nsentinel auth-pass main admin-pass".to_owned(),
        ];
        std::fs::write(&file, lines.join("\n")).expect("a writable folder");
        let child = launch(Command::new("redis-server").arg(&file).arg("--sentinel"));
        RedisNode { address, child, password: Some("sentinel-pass"), ca: None }
    }
}
