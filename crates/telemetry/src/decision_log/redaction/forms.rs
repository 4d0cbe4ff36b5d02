//! The forms of personal data and secrets: a pattern without groups, and a check of what it finds. Where two begin at one
//! place, the earlier one in this table counts.

use pointsman_core::config::RedactedKind;

use super::checks;

/// A form that a kind is written in.
#[derive(Debug)]
pub(super) struct SecretForm {
    pub(super) kind: RedactedKind,
    pub(super) pattern: &'static str,
    /// Returns how many bytes of what was found belong to it, if it is one.
    pub(super) check: fn(&str) -> Option<usize>,
}

/// Vendors' own beginnings of keys. Each is long enough, with what must follow, to be no word.
const VENDOR_KEYS: &str = concat!(
    r"(?-u:\b)(?:",
    r"sk-[A-Za-z0-9_-]{16,}",      // OpenAI, Anthropic, OpenRouter, DeepSeek
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}", // Amazon
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}",
    r"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}", // Google
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}", // Slack
    r"|glpat-[A-Za-z0-9_-]{20,}",
    r"|hf_[A-Za-z0-9]{30,}",
    r"|[prs]k_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z+/=]{20,}", // Stripe
    r"|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|nvapi-[A-Za-z0-9_-]{20,}|r8_[A-Za-z0-9]{30,}",
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{16,}|dckr_pat_[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}", // JSON web tokens
    r")",
);

/// A private key in PEM, to its end or that of the text.
macro_rules! private_key {
    () => {
        r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,24}PRIVATE KEY-----|\z)"
    };
}

/// Blanks between groups, within a class: models typeset numbers with those that do not break.
macro_rules! blanks {
    () => {
        r" \x{A0}\x{2007}\x{2009}\x{202F}"
    };
}

/// Hyphens between groups, at the end of a class.
macro_rules! hyphens {
    () => {
        r"\x{2010}-\x{2013}\x{2212}-"
    };
}

/// What may stand between the groups of a number.
macro_rules! gap {
    () => {
        concat!("[", blanks!(), hyphens!(), "]")
    };
}

/// The same, or a dot.
macro_rules! dotted_gap {
    () => {
        concat!("[.", blanks!(), hyphens!(), "]")
    };
}

/// What stands between a name and its value, also within JSON that is a text itself, where quotes are escaped.
macro_rules! is_value {
    () => {
        concat!(r#"\\{0,3}["']?["#, blanks!(), "]{0,3}[:=][", blanks!(), r"]{0,3}\\{0,3}")
    };
}

/// A member or variable that says what it holds, also as the end of a longer name (`AWS_SECRET_ACCESS_KEY`): a private
/// key is taken whole, and what stands in quotes.
const NAMED_SECRET: &str = concat!(
    r"(?i:api[_-]?key|secret[_-]?key|access[_-]?key|client[_-]?secret|auth[_-]?token|access[_-]?token|passwo?r?d",
    r"|passphrase|pwd)",
    is_value!(),
    r#"(?:["']?"#,
    private_key!(),
    r#"|"[^"\n]{4,64}(?:"|\z)|'[^'\n]{4,64}(?:'|\z)|["']?[^\s"';]{4,})"#,
);

/// Names that prose and code use for much else; a bracket behind the value makes it a call.
const NAMED_RANDOM: &str = concat!(r"(?i:token|secret)", is_value!(), r#"["']?[A-Za-z0-9._~+/=-]{10,}[(\[]?"#);

pub(super) static FORMS: [SecretForm; 15] = [
    SecretForm { kind: RedactedKind::Key, pattern: private_key!(), check: checks::all },
    SecretForm { kind: RedactedKind::Key, pattern: VENDOR_KEYS, check: checks::vendor_key },
    // A header field.
    SecretForm {
        kind: RedactedKind::Key,
        pattern: r"(?-u:\b)(?i:bearer|basic)[ ]+[A-Za-z0-9._~+/=-]{16,}",
        check: checks::credentials,
    },
    SecretForm { kind: RedactedKind::Key, pattern: NAMED_SECRET, check: checks::named_secret },
    SecretForm { kind: RedactedKind::Key, pattern: NAMED_RANDOM, check: checks::named_random },
    // The user and password of a URL; stores have a password alone.
    SecretForm {
        kind: RedactedKind::Key,
        pattern: r"(?-u:\b)(?i:[a-z][a-z0-9+.-]+)://[^\s/@:]*:[^\s/@]+@",
        check: checks::all,
    },
    SecretForm { kind: RedactedKind::Email, pattern: r"[\w.%+-]+@(?:[\w-]+\.)+\p{L}{2,}", check: checks::all },
    SecretForm {
        kind: RedactedKind::Iban,
        pattern: concat!(
            r"(?-u:\b)[A-Za-z]{2}[0-9]{2}(?:",
            gap!(),
            "?[A-Za-z0-9]{4}){2,7}(?:",
            gap!(),
            "?[A-Za-z0-9]{1,4})?"
        ),
        check: checks::iban,
    },
    SecretForm {
        kind: RedactedKind::Ssn,
        pattern: concat!(r"(?-u:\b)[0-9]{3}", gap!(), "[0-9]{2}", gap!(), r"[0-9]{4}(?-u:\b)"),
        check: checks::ssn,
    },
    SecretForm {
        kind: RedactedKind::Card,
        pattern: concat!(r"(?-u:\b)[2-6](?:", gap!(), r"?[0-9]){12,18}(?-u:\b)"),
        check: checks::card,
    },
    SecretForm { kind: RedactedKind::Ip, pattern: r"(?-u:\b)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?-u:\b)", check: checks::ip },
    SecretForm {
        kind: RedactedKind::Ip,
        pattern: r"(?-u:\b)[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{1,4}(?-u:\b)",
        check: checks::ip,
    },
    // International, North American, and what begins with a zero.
    SecretForm {
        kind: RedactedKind::Phone,
        pattern: concat!(r"\+[0-9](?:[.()/", blanks!(), hyphens!(), r"]{0,2}[0-9]){7,14}(?-u:\b)"),
        check: checks::phone,
    },
    SecretForm {
        kind: RedactedKind::Phone,
        pattern: concat!(
            r"(?:\([0-9]{3}\)[",
            blanks!(),
            r"]?|(?-u:\b)[0-9]{3}",
            dotted_gap!(),
            ")[0-9]{3}",
            dotted_gap!(),
            r"[0-9]{4}(?-u:\b)"
        ),
        check: checks::phone,
    },
    SecretForm {
        kind: RedactedKind::Phone,
        pattern: concat!(
            r"(?-u:\b)0[0-9](?:(?:",
            dotted_gap!(),
            "[0-9]{2}){4}|[0-9]{0,3}[/",
            blanks!(),
            hyphens!(),
            "][0-9]{3,8}(?:",
            gap!(),
            r"[0-9]{2,8}){0,3})(?-u:\b)"
        ),
        check: checks::phone,
    },
];
