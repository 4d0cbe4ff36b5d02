//! Checks of what looks like a number of some kind: lengths, checksums, ranges.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The lengths of the countries' account numbers (ISO 13616), by country.
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24\
    FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27\
    MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28\
    TL23TN24TR26UA29VA22VG24XK20YE30";

/// The digits of cards, from the longest.
const CARD_DIGITS: [usize; 7] = [19, 18, 17, 16, 15, 14, 13];

/// Marks around a value.
const QUOTES: [char; 2] = ['"', '\''];

/// Characters from which a value behind the name of a secret is one, whatever it looks like.
const SECRET_WORD: usize = 8;

/// Takes whatever was found.
#[expect(clippy::unnecessary_wraps, reason = "one of the checks of a table")]
pub(super) const fn all(found: &str) -> Option<usize> {
    Some(found.len())
}

/// Takes what has a digit, or letters that are no words: words that are joined by hyphens have none.
pub(super) fn vendor_key(found: &str) -> Option<usize> {
    (has_digit(found) || has_random_letters(found)).then_some(found.len())
}

/// Takes a value to its closing quote, or to where the next member begins. A short one must look like no word: it has a
/// digit, or a sign amid letters.
pub(super) fn named_secret(found: &str) -> Option<usize> {
    let start = value_start(found)?;
    let written = &found[start..];
    if written.trim_start_matches(QUOTES).starts_with("-----BEGIN ") {
        return Some(found.len());
    }
    let quote = written.chars().next().filter(|first| QUOTES.contains(first));
    let value = match quote {
        Some(quote) => {
            let inner = &written[1..];
            inner.strip_suffix(quote).unwrap_or(inner)
        }
        None => {
            let mut commas = written.match_indices(',').map(|(at, _)| at);
            let end = commas.find(|at| is_member(&written[at + 1..])).unwrap_or(written.len());
            written[..end].trim_end_matches(['.', ',', ')', '}', ']', '>'])
        }
    };
    let is_path = found.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("pwd"))
        && value.starts_with(['/', '~', '.', '$', '\\']);
    let is_secret = value.chars().count() >= SECRET_WORD || is_odd_word(value);
    let end = start + quote.map_or(0, char::len_utf8) + value.len();
    (is_secret && !is_path).then_some(end)
}

/// Takes a value that nobody says or names a thing by: a run of letters and digits, or of letters that are no word.
pub(super) fn named_random(found: &str) -> Option<usize> {
    let value = found[value_start(found)?..].trim_start_matches(QUOTES);
    let runs = || value.split(|c: char| !c.is_ascii_alphanumeric());
    let is_mixed =
        |run: &str| run.len() >= SECRET_WORD && has_digit(run) && run.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_call = value.ends_with(['(', '[']);
    (!is_call && (runs().any(is_mixed) || has_random_letters(value))).then_some(found.len())
}

/// Returns where the value begins behind a name, with its quote.
fn value_start(found: &str) -> Option<usize> {
    let sign = found.find([':', '='])? + 1;
    let rest = &found[sign..];
    Some(sign + rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\\').len())
}

/// Returns whether a text begins with a name and the sign of its value.
fn is_member(text: &str) -> bool {
    let name = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len());
    name > 0 && text[name..].starts_with([':', '='])
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Returns whether letters run on for longer than in a word, or for long in both cases.
fn has_random_letters(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        let has = |is_of: fn(&u8) -> bool| run.bytes().skip(1).any(|byte| is_of(&byte));
        run.len() >= 30 || (run.len() >= 20 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
    })
}

/// Returns whether a short value is no word, no range and no placeholder.
fn is_odd_word(value: &str) -> bool {
    let (has_letter, has_digit) = (value.chars().any(char::is_alphabetic), has_digit(value));
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let mut inner = value.chars().skip(1).take(value.chars().count().saturating_sub(2));
    let has_sign = inner.any(|c| "@!#$%^&*".contains(c));
    let is_placeholder = value.starts_with(['$', '{', '<', '(', '[', '%', '*']);
    value.chars().count() >= 4 && !is_placeholder && (is_number || (has_letter && (has_digit || has_sign)))
}

/// Takes what stands behind `Bearer` or `Basic`, but for a long word of prose behind `basic`: credentials in base64 mix
/// cases, or have digits.
pub(super) fn credentials(found: &str) -> Option<usize> {
    let (scheme, value) = found.split_once(' ')?;
    let is_word = value.trim_start().bytes().skip(1).all(|byte| byte.is_ascii_lowercase());
    (!(is_word && scheme.eq_ignore_ascii_case("basic"))).then_some(found.len())
}

/// Takes as many characters as the country's numbers have, if their checksum is good (ISO 7064, mod 97-10).
pub(super) fn iban(found: &str) -> Option<usize> {
    let country = found.get(..2)?.to_ascii_uppercase();
    let lengths = IBAN_LENGTHS.as_bytes().chunks(4).find(|entry| entry.starts_with(country.as_bytes()))?;
    let wanted = usize::from(lengths[2] - b'0') * 10 + usize::from(lengths[3] - b'0');
    let characters: Vec<_> =
        found.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()).take(wanted).collect();
    if characters.len() < wanted {
        return None;
    }
    let end = characters.last()?.0 + 1;
    let is_amid_word = found.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric);
    let moved = characters[4..].iter().chain(&characters[..4]);
    let rest = moved.fold(0_u32, |rest, (_, byte)| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    (rest == 1 && !is_amid_word).then_some(end)
}

/// Takes the longest run of digits at the beginning that a card can have, if its last digit is good (Luhn).
pub(super) fn card(found: &str) -> Option<usize> {
    if !matches!(found.as_bytes().first(), Some(b'2'..=b'6')) {
        return None; // no network that is in use
    }
    let digits: Vec<_> = found.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).collect();
    CARD_DIGITS.into_iter().filter(|count| *count <= digits.len()).find_map(|count| {
        let end = digits[count - 1].0 + 1;
        let is_amid_number = found.as_bytes().get(end).is_some_and(u8::is_ascii_digit);
        (!is_amid_number && luhn(&digits[..count])).then_some(end)
    })
}

fn luhn(digits: &[(usize, u8)]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let values = digits.iter().rev().map(|(_, byte)| u32::from(byte - b'0')).enumerate();
    let sum: u32 = values.map(|(place, digit)| if place % 2 == 1 { doubled(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}

/// Takes what the United States give out: no area 000, 666 or from 900, no group 00, no serial 0000.
pub(super) fn ssn(found: &str) -> Option<usize> {
    let digits: String = found.chars().filter(char::is_ascii_digit).collect();
    let (area, group, serial) = (digits.get(..3)?, digits.get(3..5)?, digits.get(5..)?);
    let is_given = area != "000" && area != "666" && !area.starts_with('9') && group != "00" && serial != "0000";
    is_given.then_some(found.len())
}

/// Takes an address, but for those that are nobody's: the loopback, the unspecified one, and short words of code with
/// colons between them.
pub(super) fn ip(found: &str) -> Option<usize> {
    if let Ok(address) = found.parse::<Ipv4Addr>() {
        return (!address.is_loopback() && !address.is_unspecified()).then_some(found.len());
    }
    found.parse::<Ipv6Addr>().ok()?;
    let has_long_group =
        found.split(':').any(|group| group.len() > 2 && group.bytes().any(|byte| byte.is_ascii_digit()));
    has_long_group.then_some(found.len())
}

/// Takes what has as many digits as a number that can be called (E.164).
pub(super) fn phone(found: &str) -> Option<usize> {
    let digits = found.bytes().filter(u8::is_ascii_digit).count();
    (8..=15).contains(&digits).then_some(found.len())
}
