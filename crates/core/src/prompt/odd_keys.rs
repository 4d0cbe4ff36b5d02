//! The keys in another case that stand within a message's content, held until it is known what the content is.
//!
//! A tool's result may hold JSON of the user's own (`[{"Type": "x"}]`), and what tells it apart from a person's parts,
//! the `role` of the message or the `type` of the part, may stand behind it. A key is the user's own there unless a
//! part whose type the API knows would hold it.

use super::attached::AttachmentKind;

/// The keys in another case of one content, and of the part of it that is being read.
#[derive(Debug, Default)]
pub(super) struct OddKeys {
    /// Different keys of the part that is being read.
    of_part: Vec<OddKey>,
    /// The first key of a part that is no key of the part's type.
    foreign: Option<String>,
    /// The first key of a part whose type has it.
    known: Option<String>,
}

#[derive(Debug)]
struct OddKey {
    name: String,
    /// The key that it is to a server which tells no cases apart.
    folded: String,
}

/// The keys in another case of one part, by where they stand.
#[derive(Debug, Default)]
pub(super) struct OddPartKeys {
    pub(super) own: Option<Box<OddKeys>>,
    /// Those below the part's source.
    pub(super) of_source: Option<Box<OddKeys>>,
    /// Those below the part's `content`.
    pub(super) of_content: Option<Box<OddKeys>>,
}

impl OddKeys {
    pub(super) fn meet(&mut self, name: &str, folded: &str) {
        if self.of_part.iter().all(|key| key.folded != folded) {
            self.of_part.push(OddKey { name: name.to_owned(), folded: folded.to_owned() });
        }
    }

    /// Adds the keys of a part of this type, which was read to its end.
    pub(super) fn add_part(&mut self, keys: OddPartKeys, kind: Option<&str>) {
        let kind = kind.unwrap_or_default();
        for OddKey { name, folded } in keys.own.into_iter().flat_map(|keys| keys.of_part) {
            let place = if has_key(kind, &folded) { &mut self.known } else { &mut self.foreign };
            place.get_or_insert(name);
        }
        let of_source = keys.of_source.and_then(|keys| keys.first());
        let is_file = AttachmentKind::of_part(kind).is_some();
        let place = if is_file { &mut self.known } else { &mut self.foreign };
        *place = place.take().or(of_source);
        if let Some(within) = keys.of_content {
            self.known = self.known.take().or(within.known);
            // What a tool returns is the user's own.
            let foreign = within.foreign.filter(|_| !kind.ends_with("tool_result"));
            self.foreign = self.foreign.take().or(foreign);
        }
    }

    /// Returns the first key that is refused in what a tool returned.
    pub(super) fn of_result(self) -> Option<String> {
        self.known
    }

    /// Returns the first key that is refused in what a person or a model said.
    pub(super) fn first(self) -> Option<String> {
        self.known.or(self.foreign).or_else(|| self.of_part.into_iter().next().map(|key| key.name))
    }
}

impl OddPartKeys {
    pub(super) const fn is_empty(&self) -> bool {
        self.own.is_none() && self.of_source.is_none() && self.of_content.is_none()
    }
}

/// Tells whether parts of a type have a key, which stands here in lower case.
fn has_key(kind: &str, key: &str) -> bool {
    const OF_FILES: &[&str] = &[
        "detail",
        "file",
        "file_data",
        "document_url",
        "image_embeds",
        "image_file",
        "image_url",
        "audio",
        "audio_embeds",
        "audio_url",
        "input_audio",
        "source",
        "type",
        "video_url",
    ];
    let keys: &[&str] = match kind {
        "text" | "input_text" | "output_text" => &["type", "text"],
        "refusal" => &["type", "refusal"],
        "thinking" | "redacted_thinking" | "reasoning_text" | "summary_text" => &["type", "text", "thinking"],
        "search_result" => &["type", "content"],
        "tool_use" | "server_tool_use" | "mcp_tool_use" => &["type", "input"],
        _ if kind.ends_with("tool_result") => &["type", "content", "is_error"],
        _ if AttachmentKind::of_part(kind).is_some() => OF_FILES,
        _ => &[],
    };
    keys.contains(&key)
}
