//! A cluster: every command goes to the server that has its slot, over a connection of our own to each.
//!
//! The client library has a cluster client. We route ourselves because every connection must be bounded in what it
//! takes from a server, fail at once while its server is away, and leave the others alone: with the library's client a
//! command for a lost server waits for its retries. The library reckons slots and reads redirects.
//!
//! The table of slots comes from `CLUSTER SLOTS` of any server. It is read again when a server redirects, a connection
//! breaks, or some time has passed. A redirect changes it at once, so that a moved slot costs one command a round trip
//! more.

mod node;
mod slots;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::cluster_routing::Slot;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use self::node::ClusterNode;
use self::slots::{ClusterShard, NodeAddress, SlotTable};
use super::command::{CopyChoice, StoreCall, StoreCommand, UNHURRIED};
use super::connection::{QueryFailure, QueryTerms, ServerDuty, StoreConnection, StoreServer};
use super::health::StoreHealth;
use super::servers::ClusterSeeds;

/// The longest that a table of slots is gone by unasked.
const REFRESH: Duration = Duration::from_secs(10);

/// The pauses between two readings of the table while a part of the cluster is away: at first, and at most.
const HURRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// The servers that one command is sent to, at most.
const MOST_HOPS: usize = 6;

/// The pause before a script whose keys are on their way is sent again.
const ON_THEIR_WAY: Duration = Duration::from_millis(2);

/// Answers of the usual size that a table of slots may be as long as: 1 MiB.
const TABLE_SIZE: usize = 16;

/// The names of servers that a problem lists.
const MOST_NAMED: usize = 3;

/// The servers of a cluster and who has which slots.
struct ClusterRouter {
    seeds: ClusterSeeds,
    patience: Duration,
    health: Arc<StoreHealth>,
    table: RefCell<SlotTable>,
    nodes: RefCell<HashMap<(NodeAddress, ServerDuty), Rc<ClusterNode>>>,
    /// The copies of the own zone that answer reads of a master elsewhere, by master.
    near: RefCell<HashMap<NodeAddress, NodeAddress>>,
    /// Asks for a new table.
    stale: Notify,
    /// Readings of the table so far; tells which server is asked next.
    readings: Cell<usize>,
    own: Weak<Self>,
}

/// Does what callers ask for until no caller is left.
pub(super) async fn serve(
    seeds: ClusterSeeds,
    mut queue: mpsc::Receiver<StoreCommand>,
    health: Arc<StoreHealth>,
    patience: Duration,
) {
    let router = Rc::new_cyclic(|own| ClusterRouter {
        seeds,
        patience,
        health,
        table: RefCell::default(),
        nodes: RefCell::default(),
        near: RefCell::default(),
        stale: Notify::new(),
        readings: Cell::new(0),
        own: own.clone(),
    });
    let upkeep = spawn_local(keep_table(Rc::clone(&router)));
    // Each on its own, so that they share round trips; the queue and their time bound how many there are.
    while let Some(command) = queue.recv().await {
        spawn_local(execute(command, Rc::clone(&router)));
    }
    upkeep.abort();
}

/// Reads the table of slots whenever that may help.
async fn keep_table(router: Rc<ClusterRouter>) {
    let mut hurry = HURRY[0];
    loop {
        match router.read_table().await {
            Ok(table) => router.go_by(table).await,
            Err(why) if router.table.borrow().shards().is_empty() => router.health.down(&why),
            Err(_) => {} // the servers of the last table say what is wrong
        }
        router.note_health();
        if router.is_whole() {
            hurry = HURRY[0];
            tokio::select! {
                () = router.stale.notified() => sleep(HURRY[0]).await,
                () = sleep(REFRESH) => {}
            }
        } else {
            sleep(hurry).await;
            hurry = (hurry * 2).min(HURRY[1]);
        }
    }
}

async fn execute(command: StoreCommand, router: Rc<ClusterRouter>) {
    let call = command.into_call(router.patience);
    let Some(slot) = call.slot else { return router.look().await };
    let answered = router.answer(&call, slot).await;
    let (answer, link) = answered.map_or((None, None), |(answer, link)| (Some(answer), Some(link)));
    if let (Err(error), Some(link)) = (call.end(answer, &router.health), link) {
        link.fail(&error.to_string());
    }
}

impl ClusterRouter {
    /// Sends a command to the server that has its slot, and on to where that one sends it.
    async fn answer(&self, call: &StoreCall, slot: Slot) -> Option<(Value, Rc<StoreConnection>)> {
        let end = Instant::now() + call.patience;
        let (mut address, mut duty) = self.place(slot, call.copy)?;
        let mut is_asking = false;
        for _ in 0..MOST_HOPS {
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            let Some(link) = self.node(&address, duty).link_soon(left).await else {
                self.stale.notify_one();
                return None;
            };
            let terms = QueryTerms { is_asking, ..QueryTerms::within(left) };
            is_asking = false;
            let elsewhere = match link.query(&call.words, &terms).await {
                Ok(answer) => {
                    self.note(call, &address, Ok(()));
                    return Some((answer, link));
                }
                Err(QueryFailure::Moved { slot, address: to }) => {
                    let to = NodeAddress::read(&to, &address.host)?;
                    self.table.borrow_mut().note_move(slot, to.clone());
                    self.stale.notify_one();
                    to
                }
                Err(QueryFailure::Ask { address: to }) => {
                    is_asking = true;
                    NodeAddress::read(&to, &address.host)?
                }
                Err(QueryFailure::Again) => {
                    is_asking = terms.is_asking;
                    sleep(ON_THEIR_WAY).await;
                    address.clone()
                }
                Err(QueryFailure::Unfit) => {
                    self.stale.notify_one();
                    self.master_of(slot).filter(|_| duty == ServerDuty::Copy)?
                }
                Err(QueryFailure::Refused(why)) => {
                    self.note(call, &address, Err(&why));
                    return None;
                }
                Err(QueryFailure::Missed) => return None,
            };
            // A copy that sends on has lost its master; whoever it names is one.
            (address, duty) = (elsewhere, ServerDuty::Any);
        }
        None
    }

    fn note(&self, call: &StoreCall, address: &NodeAddress, answer: Result<(), &str>) {
        if let Some(operation) = call.operation() {
            self.health.answered(address, operation, answer);
        }
    }

    /// Returns the server that a command for a slot goes to first.
    fn place(&self, slot: Slot, copy: CopyChoice) -> Option<(NodeAddress, ServerDuty)> {
        let master = self.master_of(slot)?;
        let near = self.near.borrow().get(&master).filter(|_| copy == CopyChoice::Near).cloned();
        let near = near.filter(|near| self.link(near, ServerDuty::Copy).is_some());
        Some(near.map_or_else(|| (master, ServerDuty::Any), |near| (near, ServerDuty::Copy)))
    }

    fn master_of(&self, slot: Slot) -> Option<NodeAddress> {
        self.table.borrow().shard(slot).map(|shard| shard.master.clone())
    }

    /// Returns the server at an address; begins to connect to one that is new.
    fn node(&self, address: &NodeAddress, duty: ServerDuty) -> Rc<ClusterNode> {
        let mut nodes = self.nodes.borrow_mut();
        let node = nodes.entry((address.clone(), duty)).or_insert_with(|| {
            let server = self.seed().at(&address.host, address.port);
            let router = Weak::clone(&self.own);
            let note_change = move || {
                if let Some(router) = router.upgrade() {
                    router.note_health();
                    router.stale.notify_one();
                }
            };
            Rc::new(ClusterNode::start(server, duty, self.patience, note_change))
        });
        Rc::clone(node)
    }

    fn link(&self, address: &NodeAddress, duty: ServerDuty) -> Option<Rc<StoreConnection>> {
        self.nodes.borrow().get(&(address.clone(), duty))?.link()
    }

    /// Returns a server whose terms are those of all.
    fn seed(&self) -> &StoreServer {
        let (server, _) = &self.seeds.servers[0]; // at least one
        server
    }

    /// Asks every server for a sign of life.
    async fn look(&self) {
        let nodes: Vec<_> = self.nodes.borrow().values().filter_map(|node| node.link()).collect();
        let words = redis::cmd("PING");
        let terms = QueryTerms::within(UNHURRIED);
        futures::future::join_all(nodes.iter().map(|link| link.query(&words, &terms))).await;
    }

    /// Reads the table from a server that is connected, each time another one, or from one of the first addresses.
    async fn read_table(&self) -> Result<SlotTable, String> {
        let turn = self.readings.replace(self.readings.get().wrapping_add(1));
        let mut connected: Vec<_> =
            self.nodes.borrow().iter().filter_map(|((at, _), node)| Some((at.clone(), node.link()?))).collect();
        connected.sort_by(|(one, _), (other, _)| one.cmp(other));
        let count = connected.len().max(1);
        connected.rotate_left(turn % count);
        let mut why = "has no address".to_owned();
        for (address, link) in connected {
            match table_of(&link, &address.host).await {
                Ok(table) => return Ok(table),
                Err(trouble) => why = format!("{address}: {trouble}"),
            }
        }
        for (server, _) in &self.seeds.servers {
            let Some((host, port)) = server.place() else { continue };
            let table = match server.connect(self.patience, ServerDuty::Any).await {
                Ok(link) => table_of(&link, host).await,
                Err(trouble) => Err(trouble),
            };
            match table {
                Ok(table) => return Ok(table),
                Err(trouble) => why = format!("{host}:{port}: {trouble}"),
            }
        }
        Err(why)
    }

    /// Goes by a table: connects to the servers that have a part in it, and leaves the others.
    async fn go_by(&self, table: SlotTable) {
        let near = self.near_copies(&table).await;
        let masters = table.masters().into_iter().map(|master| (master.clone(), ServerDuty::Any));
        let copies = near.values().map(|copy| (copy.clone(), ServerDuty::Copy));
        let wanted: HashSet<_> = masters.chain(copies).collect();
        self.nodes.borrow_mut().retain(|key, _| wanted.contains(key));
        let servers: HashSet<String> = wanted.iter().map(|(address, _)| address.to_string()).collect();
        self.health.forget_refusals(|(server, _)| servers.contains(server));
        self.near.replace(near);
        self.table.replace(table);
        for (address, duty) in &wanted {
            self.node(address, *duty);
        }
    }

    /// Chooses a copy in the own zone for each master that is elsewhere.
    async fn near_copies(&self, table: &SlotTable) -> HashMap<NodeAddress, NodeAddress> {
        let Some(own) = &self.seeds.zone else { return HashMap::new() };
        let mut here = HashSet::new();
        for (server, zone) in &self.seeds.servers {
            let Some((host, port)) = server.place().filter(|_| zone.as_ref() == Some(own)) else { continue };
            here.insert(NodeAddress { host: host.to_owned(), port });
            // A cluster may call its servers by number, and the configuration by name.
            let found = tokio::time::timeout(UNHURRIED, tokio::net::lookup_host((host, port))).await;
            let found = found.ok().and_then(Result::ok).into_iter().flatten();
            here.extend(found.map(|found| NodeAddress { host: found.ip().to_string(), port: found.port() }));
        }
        let choice = |shard: &ClusterShard| {
            let copies: Vec<_> = shard.copies.iter().filter(|copy| here.contains(copy)).collect();
            let process = usize::try_from(std::process::id()).unwrap_or_default();
            let copy = copies.get(process.checked_rem(copies.len())?)?; // processes share the copies out
            (!here.contains(&shard.master)).then(|| (shard.master.clone(), (*copy).clone()))
        };
        table.shards().iter().filter_map(choice).collect()
    }

    /// Returns whether every slot has a master that is connected.
    fn is_whole(&self) -> bool {
        let table = self.table.borrow();
        let mut masters = table.masters().into_iter();
        table.without_master() == 0 && masters.all(|master| self.link(master, ServerDuty::Any).is_some())
    }

    /// Says whether the store answers, and which part of it does not.
    fn note_health(&self) {
        let table = self.table.borrow();
        let nodes = self.nodes.borrow();
        let masters = table.masters();
        let node_of = |master: &NodeAddress| nodes.get(&(master.clone(), ServerDuty::Any));
        let connected =
            masters.iter().filter(|master| node_of(master).is_some_and(|node| node.link().is_some())).count();
        let troubles: Vec<_> =
            masters.iter().filter_map(|master| Some(format!("{master}: {}", node_of(master)?.trouble()?))).collect();
        if connected > 0 && self.health.trouble().is_some() {
            self.health.up();
        } else if connected == 0 && troubles.len() == masters.len() {
            if let Some(why) = troubles.first() {
                self.health.down(why);
            }
            return;
        }
        self.health.falls_short(shortfall(&troubles, masters.len(), table.without_master()));
    }
}

/// Says which part of a cluster does not answer.
fn shortfall(troubles: &[String], masters: usize, without_master: usize) -> Option<String> {
    let mut parts = Vec::new();
    if !troubles.is_empty() {
        let named = troubles[..troubles.len().min(MOST_NAMED)].join(", ");
        parts.push(format!("{} of {masters} masters ({named})", troubles.len()));
    }
    if without_master > 0 {
        parts.push(format!("{without_master} slots without a master"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Asks a server for the table.
async fn table_of(link: &StoreConnection, host: &str) -> Result<SlotTable, String> {
    let words = redis::cmd("CLUSTER").arg("SLOTS").take();
    let terms = QueryTerms { size: TABLE_SIZE, ..QueryTerms::within(UNHURRIED) };
    match link.query(&words, &terms).await {
        Ok(answer) => SlotTable::read(&answer, host).ok_or_else(|| "knows no slots".to_owned()),
        Err(QueryFailure::Refused(why)) => Err(why),
        Err(_) => Err("does not say who has which slots; is it part of a cluster?".to_owned()),
    }
}
