//! Text that is borrowed from a body where it can be.

use std::borrow::Cow;

/// Lets go of the body.
pub(super) fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// Adds `part` to `text`, after a `\n` unless there is nothing before it.
pub(super) fn join<'b>(text: &mut Option<Cow<'b, str>>, part: Cow<'b, str>) {
    match text {
        Some(text) if !text.is_empty() => {
            let joined = text.to_mut();
            joined.push('\n');
            joined.push_str(&part);
        }
        _ => *text = Some(part),
    }
}
