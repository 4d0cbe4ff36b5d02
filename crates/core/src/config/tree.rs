//! The file as a tree that knows where each key and value stands.
//!
//! Built from the YAML parser's events, before any type is known: so a problem in one section hides none in another,
//! and every later stage, the policies' compiler included, can point into the file. Scalars keep their text; what it
//! means is the reader's affair ([`super::read`]).

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::{KeyPath, KeyStep};

/// Nodes in one file, those that aliases repeat included: a bound on "billion laughs".
const MAX_NODES: usize = 100_000;
/// The keys of one mapping, and the elements of one list: whoever looks for one that is there twice compares them.
const MAX_ENTRIES: usize = 20_000;
/// The bytes of all keys and values together, those that aliases repeat included: one long text may be repeated too.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// The deepest nesting of mappings and lists: readers recurse.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct YamlNode {
    /// The place of the value; of what an alias repeats, the place of the anchor.
    pub at: SourceMark,
    /// The value itself.
    pub kind: NodeContent,
}

/// The content of a [`YamlNode`].
#[derive(Debug, Clone)]
pub enum NodeContent {
    /// A text, a number, a truth value or nothing.
    Scalar {
        /// The text, without its quotes.
        text: String,
        /// Whether it stands there without quotes, so that it may be a number.
        plain: bool,
    },
    /// A mapping, in the order of the file.
    Map(Vec<MapEntry>),
    /// A list.
    List(Vec<YamlNode>),
    /// A value that was wrong, has been reported and is no longer looked at.
    Hole,
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub struct MapEntry {
    /// The key.
    pub key: String,
    /// The place of the key.
    pub at: SourceMark,
    /// The value of the key.
    pub value: YamlNode,
}

/// A range of the source: bytes, and the line and column (from 1, in characters) of its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceMark {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// Something wrong with the file before any type is known.
#[derive(Debug)]
pub struct SourceFlaw {
    /// The path of the value.
    pub path: KeyPath,
    /// The place in the file.
    pub at: SourceMark,
    /// The flaw.
    pub message: String,
}

/// A node found by its path.
pub(super) struct FoundNode<'t> {
    /// The path with the list positions of the file, which holes do not shift.
    pub(super) path: KeyPath,
    /// The key that holds the node; `None` for the root and for elements of lists.
    pub(super) key: Option<SourceMark>,
    pub(super) node: &'t YamlNode,
}

/// Reads the YAML of `text` into a tree. No tree when it is not YAML, or not one document.
///
/// Bounded in depth, in values and in bytes, those that aliases repeat included.
#[must_use]
pub fn parse(text: &str) -> (Option<YamlNode>, Vec<SourceFlaw>) {
    let mut builder = TreeBuilder::default();
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => builder.take(event, SourceMark::from(span)),
            Err(error) => {
                let at = *error.marker();
                let start = at.byte_offset().unwrap_or(text.len()).min(text.len());
                let at = SourceMark { line: at.line(), column: at.col() + 1, start, end: start };
                Err(SourceFlaw { path: KeyPath::root(), at, message: format!("not valid YAML: {}", error.info()) })
            }
        };
        if let Err(flaw) = outcome {
            builder.flaws.push(flaw);
            return (None, builder.flaws);
        }
    }
    (builder.root, builder.flaws)
}

#[derive(Default)]
struct TreeBuilder {
    open: Vec<OpenNode>,
    anchors: HashMap<usize, (YamlNode, TreeSize)>,
    size: TreeSize,
    root: Option<YamlNode>,
    flaws: Vec<SourceFlaw>,
}

/// The size of a part of the tree.
#[derive(Debug, Clone, Copy, Default)]
struct TreeSize {
    nodes: usize,
    bytes: usize,
}

/// A mapping or list whose end has not come yet.
struct OpenNode {
    at: SourceMark,
    anchor: usize,
    before: TreeSize,
    kind: NodeContent,
    key: Option<(String, SourceMark)>,
    /// The keys that a mapping has so far.
    keys: HashMap<String, usize>,
}

impl TreeBuilder {
    fn take(&mut self, event: Event<'_>, at: SourceMark) -> Result<(), SourceFlaw> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let size = TreeSize { nodes: 1, bytes: text.len() };
                let kind = NodeContent::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(YamlNode { at, kind }, anchor, size)
            }
            Event::MappingStart(_, anchor, _) => self.start(NodeContent::Map(Vec::new()), anchor, at),
            Event::SequenceStart(_, anchor, _) => self.start(NodeContent::List(Vec::new()), anchor, at),
            Event::MappingEnd | Event::SequenceEnd => self.end(),
            Event::Alias(id) => match self.anchors.get(&id) {
                // Counted before it is copied.
                Some((node, size)) => {
                    self.room(node.at, *size)?;
                    let (node, size) = (node.clone(), *size);
                    self.add(node, 0, size)
                }
                None => Err(self.flaw(at, "an alias must come after the value that it repeats")),
            },
            Event::DocumentStart(..) if self.root.is_some() => Err(self.flaw(at, "only one document is allowed")),
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: NodeContent, anchor: usize, at: SourceMark) -> Result<(), SourceFlaw> {
        if self.open.last().is_some_and(OpenNode::awaits_key) {
            return Err(self.flaw(at, "keys must be plain text"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.flaw(at, &format!("nested too deeply (allowed: {MAX_DEPTH} levels)")));
        }
        self.open.push(OpenNode { at, anchor, before: self.size, kind, key: None, keys: HashMap::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SourceFlaw> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let TreeSize { nodes, bytes } = open.before;
        let size = TreeSize { nodes: self.size.nodes - nodes + 1, bytes: self.size.bytes - bytes };
        self.size = open.before;
        self.add(YamlNode { at: open.at, kind: merged(open.kind) }, open.anchor, size)
    }

    /// Refuses a node of this `size` for which there is no room.
    fn room(&self, at: SourceMark, size: TreeSize) -> Result<(), SourceFlaw> {
        if self.size.nodes + size.nodes > MAX_NODES {
            return Err(self.flaw(at, &format!("too many values (allowed: {MAX_NODES}, aliases counted)")));
        }
        if self.size.bytes + size.bytes > MAX_TEXT_BYTES {
            return Err(self.flaw(at, &format!("too much text (allowed: {MAX_TEXT_BYTES} bytes, aliases counted)")));
        }
        Ok(())
    }

    /// Puts a finished `node`, which has this `size` with its children, where it belongs.
    fn add(&mut self, node: YamlNode, anchor: usize, size: TreeSize) -> Result<(), SourceFlaw> {
        self.room(node.at, size)?;
        self.size.nodes += size.nodes;
        self.size.bytes += size.bytes;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        if self.open.last().is_some_and(OpenNode::is_full) {
            return Err(self.flaw(node.at, &format!("too many entries (allowed: {MAX_ENTRIES} in one place)")));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.kind, open.key.take(), node.kind) {
            (NodeContent::Map(entries), Some((key, at)), kind) => {
                let value = YamlNode { at: node.at, kind };
                match open.keys.get(&key) {
                    None => {
                        open.keys.insert(key.clone(), at.line);
                        entries.push(MapEntry { key, at, value });
                    }
                    Some(first) => {
                        let message = format!("appears twice (first on line {first})");
                        let path = self.path().key(&key);
                        self.flaws.push(SourceFlaw { path, at, message });
                    }
                }
            }
            (NodeContent::Map(_), None, NodeContent::Scalar { text, .. }) => open.key = Some((text, node.at)),
            (NodeContent::Map(_), None, _) => return Err(self.flaw(node.at, "keys must be plain text")),
            (NodeContent::List(nodes), _, kind) => nodes.push(YamlNode { at: node.at, kind }),
            (NodeContent::Scalar { .. } | NodeContent::Hole, ..) => {}
        }
        Ok(())
    }

    fn flaw(&self, at: SourceMark, message: &str) -> SourceFlaw {
        SourceFlaw { path: self.path(), at, message: message.to_owned() }
    }

    fn path(&self) -> KeyPath {
        let step = |open: &OpenNode| match (&open.kind, &open.key) {
            (NodeContent::Map(_), Some((key, _))) => Some(KeyStep::Key(key.clone())),
            (NodeContent::List(nodes), _) => Some(KeyStep::Index(nodes.len())),
            _ => None,
        };
        self.open.iter().filter_map(step).collect()
    }
}

impl OpenNode {
    const fn is_full(&self) -> bool {
        match &self.kind {
            NodeContent::Map(entries) => entries.len() >= MAX_ENTRIES,
            NodeContent::List(nodes) => nodes.len() >= MAX_ENTRIES,
            NodeContent::Scalar { .. } | NodeContent::Hole => false,
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.kind, NodeContent::Map(_)) && self.key.is_none()
    }
}

/// Resolves `<<: *defaults`: keys of the mapping itself win over merged ones.
fn merged(kind: NodeContent) -> NodeContent {
    let NodeContent::Map(mut entries) = kind else { return kind };
    let Some(position) = entries.iter().position(|entry| entry.key == "<<") else { return NodeContent::Map(entries) };
    let sources = match entries[position].value.kind.clone() {
        NodeContent::List(nodes) => nodes,
        kind @ NodeContent::Map(_) => vec![YamlNode { at: entries[position].value.at, kind }],
        _ => return NodeContent::Map(entries),
    };
    entries.remove(position);
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for entry in sources
        .into_iter()
        .filter_map(|node| if let NodeContent::Map(e) = node.kind { Some(e) } else { None })
        .flatten()
    {
        if known.insert(entry.key.clone()) {
            entries.push(entry);
        }
    }
    NodeContent::Map(entries)
}

impl YamlNode {
    /// Follows `path`, whose list positions count what is left of the lists, to its node or the last one on the way.
    pub(super) fn locate(&self, path: &KeyPath) -> FoundNode<'_> {
        let mut found = FoundNode { path: KeyPath::root(), key: None, node: self };
        for step in path.steps() {
            found = match (step, &found.node.kind) {
                (KeyStep::Key(key), NodeContent::Map(entries)) => {
                    match entries.iter().find(|entry| entry.key == *key) {
                        Some(entry) => FoundNode { path: found.path.key(key), key: Some(entry.at), node: &entry.value },
                        None => return FoundNode { path: found.path.key(key), ..found },
                    }
                }
                (KeyStep::Index(index), NodeContent::List(nodes)) => match live(nodes).nth(*index) {
                    Some((position, node)) => FoundNode { path: found.path.index(position), key: None, node },
                    None => return found,
                },
                _ => return found,
            };
        }
        found
    }

    /// Like [`YamlNode::locate`], for repairs; `None` when there is no such node.
    pub(super) fn get_mut(&mut self, path: &[KeyStep]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, step| match (step, &mut node.kind) {
            (KeyStep::Key(key), NodeContent::Map(entries)) => {
                entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value)
            }
            (KeyStep::Index(index), NodeContent::List(nodes)) => {
                nodes.iter_mut().filter(|node| !node.is_hole()).nth(*index)
            }
            _ => None,
        })
    }

    /// Returns whether there is a value at `path`.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        let step = |node: &'_ Self, step: &KeyStep| match (step, &node.kind) {
            (KeyStep::Key(key), NodeContent::Map(entries)) => entries.iter().position(|entry| entry.key == *key),
            (KeyStep::Index(index), NodeContent::List(nodes)) => Some(*index).filter(|index| *index < nodes.len()),
            _ => None,
        };
        let mut node = self;
        for own in path.steps() {
            node = match (step(node, own), &node.kind) {
                (Some(at), NodeContent::Map(entries)) => &entries[at].value,
                (Some(at), NodeContent::List(nodes)) => &nodes[at],
                _ => return false,
            };
        }
        true
    }

    /// Returns the keys under the root's `section`, also those whose values are wrong.
    pub(super) fn keys_of(&self, section: &str) -> Vec<&str> {
        let found = self.locate(&KeyPath::root().key(section));
        match (&found.node.kind, found.key) {
            (NodeContent::Map(entries), Some(_)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) const fn is_hole(&self) -> bool {
        matches!(self.kind, NodeContent::Hole)
    }

    /// Tells whether the value is not the operator's: see [`super::load`].
    pub(super) fn is_stand_in(&self) -> bool {
        self.at == SourceMark::default()
    }

    /// Makes this node and all below it stand-ins.
    pub(super) fn stand_in(mut self) -> Self {
        self.at = SourceMark::default();
        self.kind = match self.kind {
            NodeContent::Map(entries) => NodeContent::Map(
                entries
                    .into_iter()
                    .map(|e| MapEntry { at: SourceMark::default(), value: e.value.stand_in(), ..e })
                    .collect(),
            ),
            kind => kind,
        };
        self
    }
}

/// The elements that are no holes, with their positions in the file.
pub(super) fn live(nodes: &[YamlNode]) -> impl Iterator<Item = (usize, &YamlNode)> {
    nodes.iter().enumerate().filter(|(_, node)| !node.is_hole())
}

impl From<Span> for SourceMark {
    fn from(span: Span) -> Self {
        let range = span.byte_range().unwrap_or_default();
        Self { line: span.start.line(), column: span.start.col() + 1, start: range.start, end: range.end }
    }
}
