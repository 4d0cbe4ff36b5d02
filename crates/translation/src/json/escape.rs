//! Texts as JSON strings, copied in stretches: hardly any byte needs an escape.

/// The bytes that are looked at together.
const STRIDE: usize = 16;

/// Writes a text to the end of `out`, as a JSON string.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, others) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((byte, behind)) = others.split_first() else { break };
        push_escaped(out, *byte);
        rest = behind;
    }
    out.push(b'"');
}

/// Returns the number of bytes at the beginning that stand in a string as they are.
fn plain_length(bytes: &[u8]) -> usize {
    let is_plain = |chunk: &[u8]| !chunk.iter().fold(false, |found, byte| found | needs_escape(*byte));
    let whole = bytes.chunks_exact(STRIDE).take_while(|chunk| is_plain(chunk)).count() * STRIDE;
    let rest = &bytes[whole..];
    whole + rest.iter().position(|byte| needs_escape(*byte)).unwrap_or(rest.len())
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            return out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        push_text(&mut out, text);
        String::from_utf8(out).expect("text")
    }

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_writes_it(text in "(\\PC|[\\x00-\\x1f\"\\\\]){0,60}") {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).expect("JSON"));
        }
    }

    #[test]
    fn every_character_that_needs_an_escape_gets_its_own() {
        for byte in 0..=0x7f_u8 {
            let text = format!("{}{}é", "a".repeat(usize::from(byte) % 20), char::from(byte));

            assert_eq!(written(&text), serde_json::to_string(&text).expect("JSON"));
        }
    }
}
