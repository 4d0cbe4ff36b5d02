//! Checks of what looks like a number of some kind: lengths, checksums, ranges.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The lengths of the countries' account numbers (ISO 13616), by country.
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24\
    FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27\
    MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28\
    TL23TN24TR26UA29VA22VG24XK20YE30";

/// The digits of cards, from the longest.
const CARD_DIGITS: [usize; 7] = [19, 18, 17, 16, 15, 14, 13];

/// Takes whatever was found.
#[expect(clippy::unnecessary_wraps, reason = "one of the checks of a table")]
pub(super) const fn all(found: &str) -> Option<usize> {
    Some(found.len())
}

/// Takes what has a digit: words that are joined by hyphens have none.
pub(super) fn vendor_key(found: &str) -> Option<usize> {
    found.bytes().any(|byte| byte.is_ascii_digit()).then_some(found.len())
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
    let characters: Vec<_> = found.bytes().enumerate().filter(|(_, byte)| *byte != b' ').take(wanted).collect();
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
    let (area, group, serial) = (found.get(..3)?, found.get(4..6)?, found.get(7..)?);
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
