//! State that a provider keeps: names of it that only their maker understands, wherever a request or an answer holds
//! them.
//!
//! Ids of responses, conversations, files, containers and other objects, ids of items, sealed reasoning and signed
//! thinking. Owns what counts as such a name ([`StateKind`]), how requests name it ([`NamedState`]), and how a body
//! goes on without what another provider sealed ([`unsealed`]). A name is a hash from here on: nothing later needs its
//! value, and nothing can log it. Refuses to know who keeps what: that is the gateway's `router::state`.

mod request;
mod seal_hash;
mod seal_mark;
mod unseal;
mod walk;

use sha2::{Digest, Sha256};

pub use self::request::NamedState;
pub use self::seal_hash::SealHash;
pub use self::seal_mark::{carries_absent_seals, carries_seals, is_absent_seal, is_carried_seal};
pub use self::unseal::{SealedBody, unsealed, without_carried_seals};

/// The longest id that is one; what is longer says something else.
pub const MAX_STATE_ID: usize = 512;

/// The shortest text that is sealed; signatures and ciphertexts are far longer.
pub const MIN_SEALED: usize = 8;

/// A name of state that a provider keeps, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateName {
    /// The kind of state that it names.
    pub kind: StateKind,
    /// The first half of a SHA-256 of its value; of what is sealed, see [`SealHash`].
    pub digest: [u8; 16],
}

/// The kind of state that a provider keeps. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// A response: `previous_response_id`, a stored chat completion.
    Response,
    /// A conversation of the responses API, or a thread.
    Conversation,
    /// A container in which a provider runs code.
    Container,
    /// A file that was uploaded or made.
    File,
    /// Another object that calls of its own make: a vector store, a batch, cached contents, a stored prompt.
    Object,
    /// An item that the request names instead of holding it, or that only its maker can open and nobody can do without: an
    /// item reference, a sound, a compaction, what a search found.
    Reference,
    /// An item of a response that the request holds, by its id.
    Item,
    /// What only its maker can open or verify: encrypted reasoning, signed thinking.
    Sealed,
}

impl StateKind {
    /// Every kind, for the metrics to register up front.
    pub const ALL: [Self; 8] = [
        Self::Response,
        Self::Conversation,
        Self::Container,
        Self::File,
        Self::Object,
        Self::Reference,
        Self::Item,
        Self::Sealed,
    ];

    /// Returns the stable name used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::Container => "container",
            Self::File => "file",
            Self::Object => "object",
            Self::Reference => "reference",
            Self::Item => "item",
            Self::Sealed => "sealed",
        }
    }

    /// Returns whether calls of their own make such state, few of them, to be used for long.
    #[must_use]
    pub const fn is_object(self) -> bool {
        matches!(self, Self::Conversation | Self::Container | Self::File | Self::Object)
    }

    /// Returns whether every peer of the provider understands it: keys are the account's, memory is a peer's.
    #[must_use]
    pub const fn is_of_every_peer(self) -> bool {
        matches!(self, Self::Sealed)
    }

    /// Returns whether clients or servers may write the same name for different things.
    #[must_use]
    pub const fn may_be_shared(self) -> bool {
        matches!(self, Self::Item)
    }

    /// Returns whether the request cannot go on without it, which is also not in the request itself: a provider that
    /// serves such a request has it. The rest is a part of the history.
    #[must_use]
    pub const fn is_needed(self) -> bool {
        !matches!(self, Self::Item | Self::Sealed)
    }

    /// Returns the kind that the id itself tells by its beginning, as OpenAI and Anthropic write them.
    #[must_use]
    pub fn of_id(id: &[u8]) -> Option<Self> {
        const BEGINNINGS: [(&str, StateKind); 14] = [
            ("resp_", StateKind::Response),
            ("chatcmpl", StateKind::Response),
            ("conv_", StateKind::Conversation),
            ("thread_", StateKind::Conversation),
            ("cntr_", StateKind::Container),
            ("container_", StateKind::Container),
            ("file-", StateKind::File),
            ("file_", StateKind::File),
            ("files/", StateKind::File),
            ("cfile_", StateKind::File),
            ("vs_", StateKind::Object),
            ("batch_", StateKind::Object),
            ("msgbatch_", StateKind::Object),
            ("cachedContents/", StateKind::Object),
        ];
        BEGINNINGS.into_iter().find(|(begins, _)| id.starts_with(begins.as_bytes())).map(|(_, kind)| kind)
    }
}

impl StateName {
    /// Makes the name of what `value` names.
    #[must_use]
    pub fn new(kind: StateKind, value: &[u8]) -> Self {
        if kind == StateKind::Sealed {
            let mut hash = SealHash::default();
            hash.update(value);
            return hash.take();
        }
        Self::of_hash(kind, &Sha256::digest(value))
    }

    /// Makes the name of what has this SHA-256.
    fn of_hash(kind: StateKind, hash: &[u8]) -> Self {
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        Self { kind, digest }
    }

    /// Returns the names that a request's path holds: of the objects that it is about, the innermost last.
    ///
    /// Both `/v1/files/file-1` and Gemini's `files/1`, which is a name with its collection, are found.
    #[must_use]
    pub fn of_path(path: &str) -> Vec<Self> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let mut names = Vec::new();
        for pair in segments.windows(2) {
            let [collection, id] = pair else { continue };
            let Some(kind) = kind_of_collection(collection) else { continue };
            let id = id.split(':').next().unwrap_or_default(); // Gemini's `files/1:download`
            if id.is_empty() || id.len() > MAX_STATE_ID || VERBS.contains(&id) {
                continue;
            }
            let kind = StateKind::of_id(id.as_bytes()).unwrap_or(kind);
            names.push(Self::new(kind, id.as_bytes()));
            names.push(Self::new(kind, format!("{collection}/{id}").as_bytes()));
        }
        names
    }

    /// Returns whether requests to `path` make, list or read state that a provider keeps, the generating ones apart: of
    /// completions only those that are about one which is stored.
    #[must_use]
    pub fn is_kept_under(path: &str) -> bool {
        let is_other = |segment: &str| segment != "completions" && kind_of_collection(segment).is_some();
        path.split('/').any(is_other) || !Self::of_path(path).is_empty()
    }
}

/// Segments after a collection that are no id.
const VERBS: [&str; 7] = ["compact", "input_tokens", "search", "cancel", "batches", "count_tokens", "render"];

/// Returns the kind of what a collection in a path holds.
fn kind_of_collection(segment: &str) -> Option<StateKind> {
    Some(match segment {
        "responses" | "completions" => StateKind::Response,
        "conversations" | "threads" => StateKind::Conversation,
        "containers" => StateKind::Container,
        "files" => StateKind::File,
        "items" => StateKind::Item,
        "vector_stores" | "batches" | "file_batches" | "cachedContents" | "uploads" | "assistants" | "jobs"
        | "evals" | "runs" | "videos" | "skills" | "operations" | "sessions" | "fileSearchStores" | "interactions" => {
            StateKind::Object
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
