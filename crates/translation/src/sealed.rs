//! Seals of vendors: signatures, encrypted reasoning, redacted thoughts. Each goes back to its maker alone.
//!
//! A client of another API keeps it in the opaque field that its own API has for the same purpose, behind a mark that
//! says whose it is: `pm1.MAKER.SEALED` with the maker's family and the sealed text in URL-safe base64 (each field that
//! may hold one has to be base64 for some client).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::family::DialectFamily;

/// The beginning of a carried seal, before it is coded.
const MARK: &str = "pm1.";

/// A text that its maker sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorSeal<'b> {
    /// The API whose vendor sealed it.
    pub maker: DialectFamily,
    /// The sealed text, as the maker's API writes it.
    pub text: Cow<'b, str>,
    /// The id of the sealed item, in APIs that want it back.
    pub id: Option<Cow<'b, str>>,
}

impl<'b> VendorSeal<'b> {
    /// Makes a seal of `maker`'s without an id.
    #[must_use]
    pub fn new(maker: DialectFamily, text: impl Into<Cow<'b, str>>) -> Self {
        Self { maker, text: text.into(), id: None }
    }

    /// Reads the opaque field of an API of `family`: a seal of its own vendor's, or one that was carried in it.
    #[must_use]
    pub fn of_field(family: DialectFamily, field: Cow<'b, str>) -> Self {
        carried(&field).unwrap_or_else(|| Self::new(family, field))
    }

    /// Returns the text for the opaque field of an API of `family`: the seal as it is where it is that vendor's own, and
    /// else coded.
    #[must_use]
    pub fn to_field(&self, family: DialectFamily) -> Cow<'_, str> {
        if self.maker == family { Cow::Borrowed(&*self.text) } else { Cow::Owned(self.code()) }
    }

    /// Returns the seal for a request to `family`'s vendor: `None` where another made it.
    #[must_use]
    pub fn for_maker(&self, family: DialectFamily) -> Option<&str> {
        (self.maker == family).then_some(&*self.text)
    }

    fn code(&self) -> String {
        let id = self.id.as_deref().unwrap_or_default();
        STANDARD.encode(format!("{MARK}{}.{}.{}", self.maker.as_str(), URL_SAFE_NO_PAD.encode(id), self.text))
    }
}

/// Reads a seal that was carried in a field of another API's, in either alphabet of base64: clients change it.
fn carried<'b>(field: &str) -> Option<VendorSeal<'b>> {
    // The mark alone is looked at first: seals are long, and few are carried.
    if !field.starts_with("cG0xL") {
        return None;
    }
    let standard: String = field
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let text = String::from_utf8(STANDARD.decode(padded(standard)).ok()?).ok()?;
    let mut fields = text.strip_prefix(MARK)?.splitn(3, '.');
    let maker = fields.next()?;
    let maker = DialectFamily::ALL.into_iter().find(|family| family.as_str() == maker)?;
    let id = String::from_utf8(URL_SAFE_NO_PAD.decode(fields.next()?).ok()?).ok()?;
    let text = fields.next()?.to_owned();
    Some(VendorSeal { maker, text: Cow::Owned(text), id: (!id.is_empty()).then_some(Cow::Owned(id)) })
}

fn padded(mut text: String) -> String {
    text.truncate(text.trim_end_matches('=').len());
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_from_a_field_of_another_api_to_its_maker_alone() {
        let mut sealed = VendorSeal::new(DialectFamily::Responses, "gAAAA+/=ü");
        sealed.id = Some("rs_1".into());

        let field = sealed.to_field(DialectFamily::Messages).into_owned();
        let url_safe = field.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();

        for field in [field, url_safe] {
            let back = VendorSeal::of_field(DialectFamily::Messages, field.into());
            assert_eq!(back, sealed);
            assert_eq!(back.for_maker(DialectFamily::Messages), None);
            assert_eq!(back.for_maker(DialectFamily::Responses), Some("gAAAA+/=ü"));
        }
    }

    #[test]
    fn a_seal_in_its_own_api_is_left_as_it_is() {
        let sealed = VendorSeal::of_field(DialectFamily::Messages, "EqQBCg==".into());

        assert_eq!(sealed.maker, DialectFamily::Messages);
        assert_eq!(sealed.to_field(DialectFamily::Messages), "EqQBCg==");
    }
}
