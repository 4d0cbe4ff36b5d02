//! The images that stand beside a message's text, as Ollama's clients send them: `"images": ["<base64>"]`.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};

use crate::prompt::media::{AttachedMedia, ImageDetail};
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::FromJson;

/// A message's `images`.
#[derive(Default)]
pub(super) struct MessageImages {
    pub(super) count: u32,
    pub(super) media: AttachedMedia,
}

impl<'b> FromJson<'b> for MessageImages {
    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut images = Self::default();
        while let Some(MessageImage(image)) = reading.part(&mut array)? {
            images.count = images.count.saturating_add(1);
            images.media.add(image);
        }
        Ok(images)
    }
}

#[derive(Default)]
struct MessageImage(AttachedMedia);

impl<'b> FromJson<'b> for MessageImage {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self(AttachedMedia::of_image(Some(&text), ImageDetail::Auto))
    }

    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        reading.skip_members(&mut object)?;
        Ok(Self(AttachedMedia::of_image(None, ImageDetail::Auto)))
    }
}
