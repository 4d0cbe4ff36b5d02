//! The file as a tree that knows where each key and value stands.
//!
//! Built from the YAML parser's events, before any type is known: so a problem in one section hides none in another,
//! and every later stage, the policies' compiler included, can point into the file. Scalars keep their text; what it
//! means is the reader's affair ([`super::read`]).

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::{KeyPath, Step};

/// Nodes in one file, those that aliases repeat included: a bound on "billion laughs".
const MAX_NODES: usize = 100_000;
/// The deepest nesting of mappings and lists: readers recurse.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) kind: Kind,
}

/// The content of a [`Node`].
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar {
        text: String,
        plain: bool,
    },
    Map(Vec<Entry>),
    List(Vec<Node>),
    /// A value that was wrong, has been reported and is no longer looked at.
    Hole,
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Mark,
    pub(super) value: Node,
}

/// A range of the source: bytes, and the line and column (from 1, in characters) of its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Something wrong with the file before any type is known.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) path: KeyPath,
    pub(super) at: Mark,
    pub(super) message: String,
}

/// A node found by its path.
pub(super) struct Found<'t> {
    /// The path with the list positions of the file, which holes do not shift.
    pub(super) path: KeyPath,
    /// The key that holds the node; `None` for the root and for elements of lists.
    pub(super) key: Option<Mark>,
    pub(super) node: &'t Node,
}

/// Reads `text` into a tree. No tree when it is not YAML, or not one document.
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Flaw>) {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => builder.take(event, Mark::from(span)),
            Err(error) => {
                let at = *error.marker();
                let start = at.byte_offset().unwrap_or(text.len()).min(text.len());
                let at = Mark { line: at.line(), column: at.col() + 1, start, end: start };
                Err(Flaw { path: KeyPath::root(), at, message: format!("not valid YAML: {}", error.info()) })
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
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    flaws: Vec<Flaw>,
}

/// A mapping or list whose end has not come yet.
struct Open {
    at: Mark,
    anchor: usize,
    nodes_before: usize,
    kind: Kind,
    key: Option<(String, Mark)>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Mark) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let kind = Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(Node { at, kind }, anchor, 1)
            }
            Event::MappingStart(_, anchor, _) => self.start(Kind::Map(Vec::new()), anchor, at),
            Event::SequenceStart(_, anchor, _) => self.start(Kind::List(Vec::new()), anchor, at),
            Event::MappingEnd | Event::SequenceEnd => self.end(),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some((node, count)) => self.add(node, 0, count),
                None => Err(self.flaw(at, "an alias must come after the value that it repeats")),
            },
            Event::DocumentStart(..) if self.root.is_some() => Err(self.flaw(at, "only one document is allowed")),
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: Kind, anchor: usize, at: Mark) -> Result<(), Flaw> {
        if self.open.last().is_some_and(Open::awaits_key) {
            return Err(self.flaw(at, "keys must be plain text"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.flaw(at, &format!("nested too deeply (allowed: {MAX_DEPTH} levels)")));
        }
        self.open.push(Open { at, anchor, nodes_before: self.nodes, kind, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Flaw> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let inner = self.nodes - open.nodes_before;
        self.nodes = open.nodes_before;
        self.add(Node { at: open.at, kind: merged(open.kind) }, open.anchor, inner + 1)
    }

    /// Puts a finished `node`, which with its children counts `count` nodes, where it belongs.
    fn add(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), Flaw> {
        self.nodes += count;
        if self.nodes > MAX_NODES {
            return Err(self.flaw(node.at, &format!("too many values (allowed: {MAX_NODES}, aliases counted)")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.kind, open.key.take(), node.kind) {
            (Kind::Map(entries), Some((key, at)), kind) => {
                let value = Node { at: node.at, kind };
                match entries.iter().find(|entry| entry.key == key) {
                    None => entries.push(Entry { key, at, value }),
                    Some(first) => {
                        let message = format!("appears twice (first on line {})", first.at.line);
                        let path = self.path().key(&key);
                        self.flaws.push(Flaw { path, at, message });
                    }
                }
            }
            (Kind::Map(_), None, Kind::Scalar { text, .. }) => open.key = Some((text, node.at)),
            (Kind::Map(_), None, _) => return Err(self.flaw(node.at, "keys must be plain text")),
            (Kind::List(nodes), _, kind) => nodes.push(Node { at: node.at, kind }),
            (Kind::Scalar { .. } | Kind::Hole, ..) => {}
        }
        Ok(())
    }

    fn flaw(&self, at: Mark, message: &str) -> Flaw {
        Flaw { path: self.path(), at, message: message.to_owned() }
    }

    fn path(&self) -> KeyPath {
        let step = |open: &Open| match (&open.kind, &open.key) {
            (Kind::Map(_), Some((key, _))) => Some(Step::Key(key.clone())),
            (Kind::List(nodes), _) => Some(Step::Index(nodes.len())),
            _ => None,
        };
        self.open.iter().filter_map(step).collect()
    }
}

impl Open {
    fn awaits_key(&self) -> bool {
        matches!(self.kind, Kind::Map(_)) && self.key.is_none()
    }
}

/// Resolves `<<: *defaults`: keys of the mapping itself win over merged ones.
fn merged(kind: Kind) -> Kind {
    let Kind::Map(mut entries) = kind else { return kind };
    let Some(position) = entries.iter().position(|entry| entry.key == "<<") else { return Kind::Map(entries) };
    let sources = match entries[position].value.kind.clone() {
        Kind::List(nodes) => nodes,
        kind @ Kind::Map(_) => vec![Node { at: entries[position].value.at, kind }],
        _ => return Kind::Map(entries),
    };
    entries.remove(position);
    for entry in
        sources.into_iter().filter_map(|node| if let Kind::Map(e) = node.kind { Some(e) } else { None }).flatten()
    {
        if !entries.iter().any(|own| own.key == entry.key) {
            entries.push(entry);
        }
    }
    Kind::Map(entries)
}

impl Node {
    /// Follows `path`, whose list positions count what is left of the lists, to its node or the last one on the way.
    pub(super) fn locate(&self, path: &KeyPath) -> Found<'_> {
        let mut found = Found { path: KeyPath::root(), key: None, node: self };
        for step in path.steps() {
            found = match (step, &found.node.kind) {
                (Step::Key(key), Kind::Map(entries)) => match entries.iter().find(|entry| entry.key == *key) {
                    Some(entry) => Found { path: found.path.key(key), key: Some(entry.at), node: &entry.value },
                    None => return Found { path: found.path.key(key), ..found },
                },
                (Step::Index(index), Kind::List(nodes)) => match live(nodes).nth(*index) {
                    Some((position, node)) => Found { path: found.path.index(position), key: None, node },
                    None => return found,
                },
                _ => return found,
            };
        }
        found
    }

    /// Like [`Node::locate`], for repairs; `None` when there is no such node.
    pub(super) fn get_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, step| match (step, &mut node.kind) {
            (Step::Key(key), Kind::Map(entries)) => {
                entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value)
            }
            (Step::Index(index), Kind::List(nodes)) => nodes.iter_mut().filter(|node| !node.is_hole()).nth(*index),
            _ => None,
        })
    }

    /// Returns the keys under the root's `section`, also those whose values are wrong.
    pub(super) fn keys_of(&self, section: &str) -> Vec<&str> {
        let found = self.locate(&KeyPath::root().key(section));
        match (&found.node.kind, found.key) {
            (Kind::Map(entries), Some(_)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) const fn is_hole(&self) -> bool {
        matches!(self.kind, Kind::Hole)
    }

    /// Tells whether the value is not the operator's: see [`super::load`].
    pub(super) fn is_stand_in(&self) -> bool {
        self.at == Mark::default()
    }

    /// Makes this node and all below it stand-ins.
    pub(super) fn stand_in(mut self) -> Self {
        self.at = Mark::default();
        self.kind = match self.kind {
            Kind::Map(entries) => Kind::Map(
                entries.into_iter().map(|e| Entry { at: Mark::default(), value: e.value.stand_in(), ..e }).collect(),
            ),
            kind => kind,
        };
        self
    }
}

/// The elements that are no holes, with their positions in the file.
pub(super) fn live(nodes: &[Node]) -> impl Iterator<Item = (usize, &Node)> {
    nodes.iter().enumerate().filter(|(_, node)| !node.is_hole())
}

impl From<Span> for Mark {
    fn from(span: Span) -> Self {
        let range = span.byte_range().unwrap_or_default();
        Self { line: span.start.line(), column: span.start.col() + 1, start: range.start, end: range.end }
    }
}
