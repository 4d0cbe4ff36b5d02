//! The text that n-grams are counted in: lower case, all white space a blank, and a blank at each end.

/// Writes the parts of a text into `normal`, one behind the other, as UTF-8.
pub(super) fn write(normal: &mut Vec<u8>, parts: [&str; 4]) {
    normal.clear();
    normal.reserve(parts.iter().map(|part| part.len()).sum::<usize>() + 2);
    normal.push(b' ');
    for part in parts {
        push(normal, part);
    }
    normal.push(b' ');
}

/// Returns bytes of a normal text, cut between characters, as text.
pub(super) fn utf8(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("whole characters were written")
}

fn push(normal: &mut Vec<u8>, part: &str) {
    let mut rest = part;
    while !rest.is_empty() {
        let ascii = if rest.is_ascii() { rest.len() } else { rest.bytes().take_while(u8::is_ascii).count() };
        let (plain, more) = rest.split_at(ascii);
        normal.extend(plain.bytes().map(normal_byte));
        let mut chars = more.chars();
        while let Some(c) = chars.clone().next().filter(|c| !c.is_ascii()) {
            push_char(normal, c);
            chars.next();
        }
        rest = chars.as_str();
    }
}

const fn normal_byte(byte: u8) -> u8 {
    if byte >= b'\t' && byte <= b'\r' { b' ' } else { byte.to_ascii_lowercase() }
}

fn push_char(normal: &mut Vec<u8>, c: char) {
    if c.is_whitespace() {
        return normal.push(b' ');
    }
    for lower in c.to_lowercase() {
        normal.extend_from_slice(lower.encode_utf8(&mut [0; 4]).as_bytes());
    }
}
