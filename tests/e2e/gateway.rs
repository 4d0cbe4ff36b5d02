//! The binary under test as a child process, and the configuration it is given.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::origin::Origin;
use crate::{DEADLINE, soon};

/// How long the gateway may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running gateway; it ends with the value, and shows its log when the test failed.
pub(crate) struct Gateway {
    child: Child,
    folder: TempDir,
    file: PathBuf,
    log: Arc<Mutex<String>>,
    ended: Receiver<()>,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Where Envoy connects, if it may.
    pub(crate) ext_proc: Option<SocketAddr>,
    /// Where programs ask over gRPC, if the configuration has it.
    pub(crate) grpc: Option<SocketAddr>,
}

/// The configuration of a test: two models at two origins, and rules or a classifier to choose between them.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) small: SocketAddr,
    pub(crate) frontier: SocketAddr,
    /// What the provider of `small` calls it.
    pub(crate) small_name: String,
    pub(crate) default_provider: Option<&'static str>,
    /// Conditions and the models they choose.
    pub(crate) rules: Vec<(&'static str, &'static str)>,
    /// Rules before those, as they are written: `{when: ..., deny: ...}, `.
    pub(crate) first_rules: &'static str,
    pub(crate) bundle: PathBuf,
    pub(crate) deadline: &'static str,
    pub(crate) max_body_bytes: usize,
    pub(crate) first_byte: &'static str,
    /// More of the timeouts, each with a comma before it.
    pub(crate) timeouts: &'static str,
    /// Of the provider of `small`.
    pub(crate) credential: &'static str,
    pub(crate) mode: &'static str,
    /// The data plane's listeners.
    pub(crate) listen: String,
    /// More of `limits`, each with a comma before it.
    pub(crate) limits: &'static str,
    /// The shortest drain of a shutdown.
    pub(crate) drain_min: &'static str,
    /// More of the provider of `frontier`, and sections of their own.
    pub(crate) frontier_extra: &'static str,
    pub(crate) sections: String,
    /// More keys of the provider of `small`, each `key: value`.
    pub(crate) one: Vec<String>,
    /// Its scheme.
    pub(crate) scheme: &'static str,
    /// The models after `small`, as a YAML list.
    pub(crate) fallback: &'static str,
    /// The section `retry`, as a YAML mapping.
    pub(crate) retry: &'static str,
    /// Of the model `small`.
    pub(crate) adapt: &'static str,
    /// One more key of the strategy `tiers`.
    pub(crate) strategy: &'static str,
    /// Another strategy in place of `tiers`, as a YAML mapping on one line.
    pub(crate) whole_strategy: Option<String>,
    /// More keys of the policy, each on a line of its own, and more policies.
    pub(crate) policy: String,
    /// More keys of the classifier, each with a comma before it.
    pub(crate) classifier: String,
}

struct Ready {
    listen: SocketAddr,
    admin: SocketAddr,
    ext_proc: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
}

impl Gateway {
    /// Starts the gateway and waits until it accepts connections.
    pub(crate) async fn start(config: &Config) -> Self {
        Self::start_with(config, &[]).await
    }

    /// Starts a gateway that waits for another's listeners.
    pub(crate) async fn take_over(config: &Config) -> Self {
        Self::launch(config, &["--upgrade"], &[], write_plainly).await
    }

    /// Starts the gateway with environment variables of its own.
    pub(crate) async fn start_with(config: &Config, environment: &[(&str, &str)]) -> Self {
        Self::launch(config, &[], environment, write_plainly).await
    }

    /// Starts a gateway whose configuration `place` writes somewhere below a folder; it returns the path to start with.
    pub(crate) async fn start_placed(config: &Config, place: fn(&Path, &str) -> PathBuf) -> Self {
        Self::launch(config, &[], &[], place).await
    }

    async fn launch(
        config: &Config,
        arguments: &[&str],
        environment: &[(&str, &str)],
        place: fn(&Path, &str) -> PathBuf,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = place(folder.path(), &config.yaml());
        let source = file.to_str().expect("a path of text").to_owned();
        Self::spawn(folder, file, &[arguments, &["-c", &source]].concat(), environment).await
    }

    /// Starts a gateway with these arguments, which say where the configuration comes from.
    pub(crate) async fn serve(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::spawn(folder, PathBuf::new(), arguments, environment).await
    }

    async fn spawn(folder: TempDir, file: PathBuf, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (output, input) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.arg("serve").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.envs(environment.iter().copied());
        command.stdout(input.try_clone().expect("a second handle")).stderr(input);
        let child = command.spawn().expect("the binary starts");
        drop(command); // its ends of the pipe, so that the log ends with the child

        let log = Arc::new(Mutex::new(String::new()));
        let (ready_sender, ready) = oneshot::channel();
        let (ended_sender, ended) = sync_channel(1);
        let reader = Reader { log: Arc::clone(&log), ready: Some(ready_sender), ended: ended_sender };
        thread::spawn(move || reader.read(output));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        // Complete before the wait, so that a failure to start shows the log and leaves no process.
        let mut gateway =
            Self { child, folder, file, log, ended, listen: nowhere, admin: nowhere, ext_proc: None, grpc: None };
        let ready = soon("the ready line", ready).await.expect("the gateway ended before it was ready");
        (gateway.listen, gateway.admin) = (ready.listen, ready.admin);
        (gateway.ext_proc, gateway.grpc) = (ready.ext_proc, ready.grpc);
        gateway
    }

    /// Replaces the configuration file in one step, as editors and orchestrators do.
    pub(crate) fn write(&self, yaml: &str) {
        let next = self.folder.path().join("next.yaml");
        fs::write(&next, yaml).expect("a writable folder");
        fs::rename(next, self.file()).expect("a writable folder");
    }

    /// Returns the configuration file's path.
    pub(crate) fn file(&self) -> PathBuf {
        self.file.clone()
    }

    /// Returns the folder that the configuration was placed in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the gateway runs");
    }

    /// Returns a line of the process's memory in bytes, such as `RssAnon`.
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux, and the gateway runs");
        let value =
            status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).expect("a line of memory");
        value.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") * 1024
    }

    /// Returns the names of the gateway's threads.
    pub(crate) fn thread_names(&self) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux, and the gateway runs");
        let name = |thread: std::io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("comm")).ok();
        threads.filter_map(name).map(|name| name.trim_end().to_owned()).collect()
    }

    /// Returns whether the gateway has a file open.
    pub(crate) fn has_open(&self, file: &Path) -> bool {
        let open = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("Linux, and the gateway runs");
        open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| target == file)
    }

    /// Asks the gateway to end and returns how it did.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
        }
        if self.ended.recv_timeout(GRACE).is_err() {
            let _ = self.child.kill(); // an error means that it has ended by now
        }
        self.child.wait().expect("our own child")
    }

    /// Waits for the gateway to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.ended.recv_timeout(DEADLINE).expect("the gateway ends");
        self.child.wait().expect("our own child")
    }

    /// Waits for it to end by itself, off the threads that its clients run on; returns how it did, and all that it logged.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        #[expect(clippy::disallowed_methods, reason = "a test may block a thread of its own")]
        let ended = tokio::task::spawn_blocking(move || (self.wait(), self.log()));
        ended.await.expect("no panic")
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the reader does not panic").clone()
    }

    /// Waits until the log has these words: an answer comes before its lines.
    pub(crate) async fn until_logged(&self, words: &str) {
        self.until_logged_times(words, 1).await;
    }

    pub(crate) async fn until_logged_times(&self, words: &str, times: usize) {
        soon(words, async {
            while self.log().matches(words).count() < times {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A graceful end has its own test. Here the test's runtime stands still, and with it the clients that a drain
        // would wait for.
        let _ = self.child.kill(); // an error means that it has ended by now
        self.stop();
        if thread::panicking() {
            eprintln!("--- log of the gateway\n{}---", self.log());
        }
    }
}

fn write_plainly(folder: &Path, yaml: &str) -> PathBuf {
    let file = folder.join("pointsman.yaml");
    fs::write(&file, yaml).expect("a writable folder");
    file
}

/// Reads the log of a gateway until it ends.
struct Reader {
    log: Arc<Mutex<String>>,
    ready: Option<oneshot::Sender<Ready>>,
    ended: SyncSender<()>,
}

impl Reader {
    fn read(mut self, output: PipeReader) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(ready) = Ready::parse(&line).and_then(|ready| Some((self.ready.take()?, ready))) {
                let _ = ready.0.send(ready.1); // nobody waits when the test has failed already
            }
            writeln!(self.log.lock().expect("no test panics with the lock"), "{line}").expect("writing to a string");
        }
        let _ = self.ended.send(());
    }
}

impl Ready {
    /// Reads `ready listen=127.0.0.1:41234 admin=127.0.0.1:41235 grpc=127.0.0.1:41236 generation=1`.
    fn parse(line: &str) -> Option<Self> {
        let fields = line.strip_prefix("ready ")?;
        let address = |name: &str| fields.split(' ').find_map(|field| field.strip_prefix(name)?.parse().ok());
        let ext_proc = address("ext_proc=");
        let listen = address("listen=").or(ext_proc)?;
        Some(Self { listen, admin: address("admin=")?, ext_proc, grpc: address("grpc=") })
    }
}

impl Config {
    /// Sends every request of policy `auto` to `small`, by a rule; its classifier does not exist.
    pub(crate) fn new(small: &Origin, frontier: &Origin) -> Self {
        Self {
            small: small.address(),
            frontier: frontier.address(),
            small_name: "small-1".to_owned(),
            default_provider: None,
            rules: vec![("true", "small")],
            first_rules: "",
            bundle: "no-such-bundle".into(),
            deadline: "5s",
            max_body_bytes: 32 << 20,
            first_byte: "30s",
            timeouts: "",
            credential: "none",
            mode: "route",
            listen: "{address: 127.0.0.1:0}".to_owned(),
            limits: "",
            drain_min: "0s",
            frontier_extra: "",
            sections: String::new(),
            one: Vec::new(),
            scheme: "http",
            fallback: "[]",
            retry: "{}",
            adapt: "{}",
            strategy: "",
            whole_strategy: None,
            policy: String::new(),
            classifier: String::new(),
        }
    }

    /// As [`Config::new`], with the committed bundle deciding instead of a rule.
    pub(crate) fn classifying(small: &Origin, frontier: &Origin) -> Self {
        Self { rules: Vec::new(), bundle: bundle(), ..Self::new(small, frontier) }
    }

    pub(crate) fn yaml(&self) -> String {
        let Self {
            small,
            frontier,
            small_name,
            bundle,
            deadline,
            max_body_bytes,
            first_byte,
            timeouts,
            credential,
            mode,
            adapt,
            ..
        } = self;
        let Self { listen, limits, drain_min, frontier_extra, sections, strategy, classifier, policy, .. } = self;
        let tiers = format!(
            "{{kind: tiers, classifier: default, tiers: {{simple: small, medium: frontier, complex: frontier}},
      otherwise: frontier{}{strategy}}}",
            if strategy.is_empty() { "" } else { ", " }
        );
        let strategy = self.whole_strategy.as_ref().unwrap_or(&tiers);
        let (fallback, retry, scheme) = (self.fallback, self.retry, self.scheme);
        let default_provider =
            self.default_provider.map(|name| format!("default_provider: {name}")).unwrap_or_default();
        let rules = self.rules.iter().map(|(when, model)| format!("{{when: '{when}', use: {model}}}"));
        let rules = self.first_rules.to_owned() + &rules.collect::<Vec<_>>().join(", ");
        let is_none = bundle.as_os_str().is_empty();
        let bundle = if is_none { String::new() } else { format!("bundle: {}, ", bundle.display()) };
        let one: String = self.one.iter().map(|line| format!("    {line}\n")).collect();
        format!(
            "\
version: 1
listen: {listen}
admin: {{address: 127.0.0.1:0}}
limits: {{max_body_bytes: {max_body_bytes}, drain_min: {drain_min}{limits}}}
retry: {retry}
{default_provider}
providers:
  one:
    base_url: {scheme}://{small}/v1
{one}    credential: {credential}
    timeouts: {{first_byte: {first_byte}, whole: {first_byte}{timeouts}}}
  two:
    base_url: http://{frontier}/prefix/v1
    {frontier_extra}
{sections}
models:
  small: {{provider: one, name: {small_name}, price: {{input: 0.1, output: 0.2}}, context: 10000000, supports: [tools], adapt: {adapt}}}
  frontier: {{provider: two, name: frontier-1, price: {{input: 2.0, output: 8.0}}, context: 100000000}}
classifiers:
  default: {{{bundle}deadline: {deadline}{classifier}}}
policies:
  - name: auto
    match: {{model: [auto]}}
    mode: {mode}
    rules: [{rules}]
    fallback: {fallback}
    strategy: {strategy}
{policy}"
        )
    }
}

/// Returns the folder of the committed bundle.
pub(crate) fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pointsman-mini")
}
