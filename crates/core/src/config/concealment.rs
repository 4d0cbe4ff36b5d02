//! What a problem must not show: passwords and keys that somebody wrote into the file, or into a URL.
//!
//! Found by what they look like, wherever they stand, because the key that holds one may be misspelt; and by the keys
//! that secrets belong to. Shows too little rather than too much.

mod places;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use self::places::in_tree;
pub(super) use self::places::{in_blocks, path_without_secrets};
use super::nearest;
use super::tree::YamlNode;

/// Keys below which a secret could stand that somebody wrote into the file.
const SECRET_SECTIONS: [&str; 4] = ["credential", "hash_key", "otlp", "redis"];
/// Keys that somebody might give a secret: those of no section, and `admin.auth` in place of the tokens' hashes.
const SECRET_KEYS: [&str; 10] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "authorization",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "token",
];
/// Parameters of a URL's query that are secrets.
const SECRET_PARAMETERS: [&str; 16] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "code",
    "credential",
    "key",
    "pass",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
];
/// The beginnings of the keys of well-known services.
const KEY_PREFIXES: [&str; 12] =
    ["AIza", "AKIA", "eyJ", "ghp_", "github_pat_", "gsk_", "hf_", "pk-", "sk-", "sk_", "xai-", "xoxb-"];
/// The shortest word that is taken for a key by its beginning.
const MIN_KEY_CHARS: usize = 12;
/// The bytes of a URL or a parameter that are looked at.
const MAX_URL_BYTES: usize = 4096;
const MASK: &str = "***";

/// Puts `***` in the place of whatever in `text` looks like a secret.
///
/// For messages: of a URL its user, its password and its query go, of a key all but its beginning.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let secrets = secrets_in(text);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for Range { start, end } in secrets {
        if start >= at {
            shown.push_str(&text[at..start]);
            shown.push_str(MASK);
        }
        at = at.max(end);
    }
    shown.push_str(&text[at..]);
    Cow::Owned(shown)
}

/// Tells whether `text` holds what looks like a secret.
pub(super) fn holds_secret(text: &str) -> bool {
    !secrets_in(text).is_empty()
}

/// Tells whether a secret could stand below `key`, or a key that is spelt like it.
pub(super) fn is_secret_key(key: &str) -> bool {
    let all = SECRET_SECTIONS.into_iter().chain(SECRET_KEYS);
    all.clone().any(|own| own == key) || (key.len() <= 64 && nearest(key, all).is_some())
}

/// Finds what must not be shown of the file, as ranges of its bytes: by its values, as far as it could be read, and by
/// its text.
pub(super) fn concealed(root: Option<&YamlNode>, text: &str) -> Vec<Range<usize>> {
    let mut found = secrets_in(text);
    for key in SECRET_SECTIONS {
        found.extend(text.match_indices(key).map(|(at, _)| rest_of_line(text, at + key.len())));
    }
    for key in SECRET_KEYS {
        found.extend(values_of(text, key).map(|at| rest_of_line(text, at)));
    }
    if let Some(root) = root {
        in_tree(root, text, &mut found);
    }
    // What a merged mapping says and the other one says better is not in the tree.
    if root.is_none() || text.contains("<<") {
        in_blocks(text, &mut found);
    }
    found.retain(|range| !range.is_empty());
    found
}

/// Puts `***` in the place of `value`, which must not be shown, where `message` quotes it.
pub(super) fn without_value(message: &str, value: &str) -> String {
    let value = value.trim();
    if value.is_empty() {
        return message.to_owned();
    }
    message.replace(&format!("`{value}`"), &format!("`{MASK}`"))
}

/// Finds what looks like a secret, in the order of the text; the ranges may overlap.
fn secrets_in(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut end = 0;
    for (at, _) in text.match_indices("://") {
        // One within another is looked through with it.
        if at >= end {
            end = in_url(text, at + "://".len(), &mut found);
        }
    }
    for (start, word) in words(text) {
        if let Some(key) = user_and_password(word) {
            found.push(start + key..start + word.len());
        }
        let prefix = KEY_PREFIXES.iter().find(|prefix| word.starts_with(**prefix));
        if let Some(prefix) = prefix.filter(|_| word.chars().count() >= MIN_KEY_CHARS) {
            found.push(start + prefix.len()..start + word.len());
        }
    }
    let mut end = 0;
    for (at, _) in text.match_indices('=') {
        if let Some(value) = (at >= end).then(|| parameter_value(text, at)).flatten() {
            end = value.end;
            found.push(value);
        }
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    found
}

/// Looks into the URL whose authority begins at `start`, and returns its end.
fn in_url(text: &str, start: usize, found: &mut Vec<Range<usize>>) -> usize {
    let ends = |c: char| c.is_whitespace() || c == '`';
    let rest = &text[start..text.floor_char_boundary(start + MAX_URL_BYTES)];
    let url = &rest[..rest.find(ends).unwrap_or(rest.len())];
    if let Some(user) = url.rfind('@') {
        found.push(start..start + user);
    } else {
        // A password whose host was forgotten, or that stands behind a blank.
        let line = rest.find(['\n', '`']).unwrap_or(rest.len());
        let behind = (url.ends_with(':') && rest[..line].contains('@')).then_some(url.len());
        found.extend(bad_port(url).or(behind).map(|port| start + port..start + line));
    }
    let host = url.rfind('@').unwrap_or_default();
    if let Some(query) = url[host..].find(['?', '#']) {
        let query = host + query + 1;
        if query < url.len() {
            found.push(start + query..start + url.len());
        }
    }
    start + url.len()
}

/// Finds what stands where the port of a URL does and is none.
fn bad_port(url: &str) -> Option<usize> {
    let host = if url.starts_with('[') { url.find(']').map_or(0, |end| end + 1) } else { 0 };
    let authority = &url[host..];
    let ends = ['/', '?', '#', '"', '\'', ',', '{', '}', '[', ']', '(', ')'];
    let authority = &authority[..authority.find(ends).unwrap_or(authority.len())];
    let port = authority.find(':')? + 1;
    let is_port = authority[port..].bytes().all(|byte| byte.is_ascii_digit());
    (!is_port).then_some(host + port)
}

/// Splits a text at blanks and quotation marks.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '{' | '[' | ',' | '(' | '=');
    let mut at = 0;
    text.split(ends).map(move |word| {
        let start = at;
        // Whatever splits the text, its length is that of one character.
        at += word.len() + text[start + word.len()..].chars().next().map_or(0, char::len_utf8);
        (start, word)
    })
}

/// Finds the password of `user:password@host`.
fn user_and_password(word: &str) -> Option<usize> {
    let at = word.rfind('@').filter(|_| !word.contains("://"))?;
    let key = word[..at].find(':')? + 1;
    (key < at).then_some(key)
}

/// Returns the value behind the `=` at `at`, where a secret's name stands before it as in a query.
fn parameter_value(text: &str, at: usize) -> Option<Range<usize>> {
    let name = text[..at].rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let own = text[name..at].strip_prefix(['?', '&', ';'])?.to_ascii_lowercase();
    if !SECRET_PARAMETERS.contains(&own.as_str()) {
        return None;
    }
    let value = &text[at + 1..text.floor_char_boundary(at + 1 + MAX_URL_BYTES)];
    let length = value.find(|c: char| c.is_whitespace() || "&`\"'".contains(c)).unwrap_or(value.len());
    (length > 0).then_some(at + 1..at + 1 + length)
}

/// Finds the places behind `key` where it stands alone before a colon.
fn values_of<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(key).filter_map(move |(at, _)| {
        let after = at + key.len();
        let begins = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.".contains(c));
        let rest = text[after..].trim_start_matches(['"', '\'', ' ', '\t']);
        (begins && rest.starts_with(':')).then_some(after)
    })
}

fn rest_of_line(text: &str, at: usize) -> Range<usize> {
    at..memchr2(b'\n', b'\r', &text.as_bytes()[at..]).map_or(text.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_keys_go_from_a_text_wherever_they_stand() {
        for (text, shown) in [
            ("`http://user:p4ss@h/v1` is no address", "`http://***@h/v1` is no address"),
            ("redis://:p4ss@h:6379/0 and http://h:80/x", "redis://***@h:6379/0 and http://h:80/x"),
            ("http://p4ss@h", "http://***@h"),
            ("http://us:p4/s@s#?@h/x", "http://***@h/x"),
            ("http://user:p4ss", "http://user:***"),
            ("redis://user:p4 ss@h", "redis://user:***"),
            ("user:p4ss@h/v1", "user:***"),
            ("https://h/v1?api_key=p4ss", "https://h/v1?***"),
            ("unix:///sock?pass=p4ss&db=1", "unix:///sock?***"),
            ("x?token=p4ss&a=1", "x?token=***&a=1"),
            ("a key sk-p4ssp4ssp4ss!", "a key sk-***"),
            ("eyJp4ssp4ssp4ss.x.y", "eyJ***"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
        for plain in [
            "http://127.0.0.1:8080/v1",
            "http://[::1]:8080/v1",
            "http://h",
            "claude-sonnet@20250101",
            "{a: 1, b: [c:d]}",
            "prompt.tokens == 1 ? 2 : 3",
            "task-force, risk-averse",
        ] {
            assert_eq!(without_secrets(plain), plain);
        }
    }

    #[test]
    fn a_line_is_shown_up_to_the_first_secret() {
        for (line, shown) in [
            ("  base_ulr: http://user:p4ss@h", "  base_ulr: http://"),
            ("  {credential: p4ss, bogus: 1}", "  {credential"),
            ("  {'api_key' : p4ss, bogus: 1}", "  {'api_key"),
            ("  when: prompt.tokens > 1", "  when: prompt.tokens > 1"),
            ("  max_tokens: 5", "  max_tokens: 5"),
        ] {
            let hidden = concealed(None, line).iter().map(|range| range.start).min();
            assert_eq!(&line[..hidden.unwrap_or(line.len())], shown);
        }
    }

    #[test]
    fn a_key_that_is_spelt_like_one_of_a_secret_counts_as_such() {
        assert!(is_secret_key("credentail") && is_secret_key("pasword") && is_secret_key("redis"));
        assert!(!is_secret_key("base_url") && !is_secret_key("tokens_per_minute") && !is_secret_key("tier"));
    }
}
