//! The servers of a cluster by slot, as one of them tells it.

use std::collections::{BTreeSet, HashMap};

use redis::Value;
use redis::cluster_routing::Slot;

/// The slots of a cluster.
pub(super) const SLOTS: u16 = 16384;

/// The most servers of a cluster that are remembered; Redis advises against more.
const MOST_SERVERS: usize = 1000;

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeAddress {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A master and the servers that copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClusterShard {
    pub(super) master: NodeAddress,
    pub(super) copies: Vec<NodeAddress>,
}

/// The shard of every slot.
#[derive(Debug, Default)]
pub(super) struct SlotTable {
    shards: Vec<ClusterShard>,
    positions: HashMap<Slot, usize>,
}

impl NodeAddress {
    /// Reads `HOST:PORT` as redirects have it; a host that is left out is that of the server which redirects.
    pub(super) fn read(text: &str, answering_host: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { answering_host } else { host };
        if host == "?" {
            return None;
        }
        Some(Self { host: host.to_owned(), port: port.parse().ok().filter(|port| *port > 0)? })
    }

    /// Reads an entry of `CLUSTER SLOTS`, whose host may be left out as well.
    fn of_entry(entry: &Value, answering_host: &str) -> Option<Self> {
        let Value::Array(fields) = entry else { return None };
        let [host, Value::Int(port), ..] = fields.as_slice() else { return None };
        let host = match host {
            Value::Nil => answering_host,
            Value::BulkString(host) => std::str::from_utf8(host).ok()?,
            Value::SimpleString(host) => host,
            _ => return None,
        };
        let host = if host.is_empty() { answering_host } else { host };
        let port = u16::try_from(*port).ok().filter(|port| *port > 0)?;
        (host != "?").then(|| Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl SlotTable {
    /// Reads the answer to `CLUSTER SLOTS`; `None` where it names no server. What it says wrong is left out.
    pub(super) fn read(answer: &Value, answering_host: &str) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut table = Self::default();
        for range in ranges {
            let Value::Array(words) = range else { continue };
            let [Value::Int(first), Value::Int(last), master, copies @ ..] = words.as_slice() else { continue };
            let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) else { continue };
            let Some(master) = NodeAddress::of_entry(master, answering_host) else { continue };
            let copies = copies.iter().filter_map(|copy| NodeAddress::of_entry(copy, answering_host)).collect();
            let Some(position) = table.position_of(ClusterShard { master, copies }) else { continue };
            let slots = (first..=last.min(SLOTS - 1)).filter_map(Slot::new);
            table.positions.extend(slots.map(|slot| (slot, position)));
        }
        (!table.positions.is_empty()).then_some(table)
    }

    /// Returns the shard of a slot.
    pub(super) fn shard(&self, slot: Slot) -> Option<&ClusterShard> {
        self.shards.get(*self.positions.get(&slot)?)
    }

    /// Returns the masters that have slots.
    pub(super) fn masters(&self) -> BTreeSet<&NodeAddress> {
        let used: BTreeSet<usize> = self.positions.values().copied().collect();
        used.into_iter().map(|position| &self.shards[position].master).collect()
    }

    /// Returns the shards that have slots.
    pub(super) fn shards(&self) -> &[ClusterShard] {
        &self.shards
    }

    /// Returns how many slots no server has.
    pub(super) fn without_master(&self) -> usize {
        usize::from(SLOTS) - self.positions.len()
    }

    /// Notes that another master has a slot.
    pub(super) fn note_move(&mut self, slot: Slot, master: NodeAddress) {
        if let Some(position) = self.position_of(ClusterShard { master, copies: Vec::new() }) {
            self.positions.insert(slot, position);
        }
    }

    /// Returns the position of the shard with the same master, which is added where there is none yet.
    fn position_of(&mut self, shard: ClusterShard) -> Option<usize> {
        if let Some(position) = self.shards.iter().position(|known| known.master == shard.master) {
            return Some(position);
        }
        let servers: usize = self.shards.iter().map(|shard| 1 + shard.copies.len()).sum();
        if servers + 1 + shard.copies.len() > MOST_SERVERS {
            return None;
        }
        self.shards.push(shard);
        Some(self.shards.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(Vec::new())])
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, servers: Vec<Value>) -> Value {
        Value::Array([vec![Value::Int(first), Value::Int(last)], servers].concat())
    }

    fn address(host: &str, port: u16) -> NodeAddress {
        NodeAddress { host: host.to_owned(), port }
    }

    fn slot(number: u16) -> Slot {
        Slot::new(number).expect("a slot")
    }

    #[test]
    fn each_slot_has_the_master_and_the_copies_of_its_range() {
        let answer = Value::Array(vec![
            range(0, 99, vec![entry(text("a"), 1), entry(text("b"), 2)]),
            range(100, 16383, vec![entry(text("c"), 3)]),
        ]);

        let table = SlotTable::read(&answer, "asked").expect("a table");

        let shard = table.shard(slot(99)).expect("a shard");
        assert_eq!((&shard.master, &*shard.copies), (&address("a", 1), &[address("b", 2)][..]));
        assert_eq!(table.shard(slot(100)).map(|shard| &shard.master), Some(&address("c", 3)));
        assert_eq!((table.masters().len(), table.without_master()), (2, 0));
    }

    #[test]
    fn a_host_that_is_left_out_is_the_one_that_was_asked_and_an_unknown_one_is_none() {
        let servers = vec![entry(Value::Nil, 1), entry(text(""), 2), entry(text("?"), 3)];
        let table = SlotTable::read(&Value::Array(vec![range(0, 9, servers)]), "asked").expect("a table");

        let shard = table.shard(slot(0)).expect("a shard");
        assert_eq!((&shard.master, &*shard.copies), (&address("asked", 1), &[address("asked", 2)][..]));
        assert_eq!(table.without_master(), 16374);
    }

    #[test]
    fn nonsense_makes_no_table_and_harms_none() {
        let good = range(5, 70_000, vec![entry(text("a"), 1)]);
        let past = range(5, 20_000, vec![entry(text("a"), 1)]);
        let bad =
            [range(-1, 5, vec![entry(text("a"), 1)]), range(0, 5, vec![entry(text("a"), 70_000)]), Value::Nil, good];

        assert!(SlotTable::read(&Value::Array(bad.to_vec()), "asked").is_none());
        assert!(SlotTable::read(&Value::Okay, "asked").is_none());
        let table = SlotTable::read(&Value::Array([&bad[..], &[past]].concat()), "asked").expect("a table");
        assert_eq!(table.without_master(), 5);
    }

    #[test]
    fn a_server_that_names_ever_more_servers_fills_no_memory() {
        let many = (0..16_384).map(|number| range(number, number, vec![entry(text(&number.to_string()), 1)]));

        let table = SlotTable::read(&Value::Array(many.collect()), "asked").expect("a table");

        assert_eq!(table.shards().len(), MOST_SERVERS);
    }

    #[test]
    fn a_slot_that_moved_has_another_master_and_the_others_have_not() {
        let answer = Value::Array(vec![range(0, 16383, vec![entry(text("a"), 1)])]);
        let mut table = SlotTable::read(&answer, "asked").expect("a table");

        table.note_move(slot(7), NodeAddress::read("b:2", "a").expect("an address"));
        table.note_move(slot(8), NodeAddress::read(":3", "a").expect("an address"));

        let masters = [7, 8, 9].map(|number| table.shard(slot(number)).expect("a shard").master.clone());
        assert_eq!(masters, [address("b", 2), address("a", 3), address("a", 1)]);
        assert_eq!(NodeAddress::read("?:1", "a"), None);
        assert_eq!(NodeAddress::read("::1:6379", "a"), Some(address("::1", 6379)));
    }
}
