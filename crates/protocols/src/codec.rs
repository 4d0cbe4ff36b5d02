//! The codec of our own services and of the Open Inference Protocol: a message whose lists would take far more memory than
//! its bytes is refused before it is decoded.
//!
//! Two bytes may stand for a tensor of three hundred: a message of four megabytes that is decoded unseen can take as much
//! as six hundred. Its tags are read first, by the functions that decode them afterwards, and add up what its lists take.

use std::marker::PhantomData;
use std::mem::size_of;

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{DecodeError, Message};
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_prost::ProstEncoder;

use crate::classify::{ClassifyInput, ClassifyRequest, ClassifyResponse, HeadAnswer};
use crate::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::inference::model_infer_response::InferOutputTensor;
use crate::inference::model_metadata_response::TensorMetadata;
use crate::inference::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse,
    ModelReadyRequest, ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
    ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};

/// The bytes that the lists of a request may take, once they are decoded, beside what stands in them.
pub const MAX_REQUEST_ROOM: usize = 1 << 20;

/// The bytes that the lists of an answer may take: a row of scores for each of a batch of texts.
pub const MAX_ANSWER_ROOM: usize = 16 << 20;

/// The metadata that carries our stable code, and the code of a message with too many elements.
const CODE: (&str, &str) = ("x-pointsman-code", "too_many_elements");

/// A message whose lists are bounded.
pub trait BoundedMessage: Message + Default + Send + 'static {
    /// The fields that are lists, or hold some.
    const LISTS: ListFields;

    /// The bytes that they may take together.
    const ROOM: usize;

    /// The status of a message whose lists take more.
    const EXCESS: Code;
}

/// The fields of a message that are lists, or messages with such fields, by their numbers.
pub type ListFields = &'static [(u32, ListField)];

/// A field that takes memory for each of its elements.
#[derive(Debug, Clone, Copy)]
pub enum ListField {
    /// Texts or bytes, each of which takes so many bytes beside its own.
    Texts(usize),
    /// Messages or entries of a map, each of which takes so many bytes, with lists of their own.
    Messages(usize, ListFields),
    /// Numbers of so many bytes, which may be one byte each where they are sent.
    Numbers(usize),
}

/// The codec: as the library's own, but for messages whose lists are too long.
#[derive(Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

/// The decoder of [`BoundedCodec`].
#[derive(Debug)]
pub struct BoundedDecoder<U>(PhantomData<U>);

/// The reason why a message is not decoded.
enum Refusal {
    Malformed,
    TooLong,
}

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: BoundedMessage> Codec for BoundedCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

impl<U: BoundedMessage> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        read(message.copy_to_bytes(message.remaining())).map(Some)
    }
}

impl From<DecodeError> for Refusal {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// Reads a message.
fn read<U: BoundedMessage>(message: Bytes) -> Result<U, Status> {
    let mut left = U::ROOM;
    scan(U::LISTS, &message, &mut left).map_err(|refusal| match refusal {
        Refusal::Malformed => Status::invalid_argument("The message is none of the protocol's."),
        Refusal::TooLong => {
            let mut metadata = MetadataMap::new();
            metadata.insert(CODE.0, MetadataValue::from_static(CODE.1));
            let said = format!(
                "The message's lists have too many elements (allowed: as many as take {} bytes, besides what stands in them).",
                U::ROOM
            );
            Status::with_metadata(U::EXCESS, said, metadata)
        }
    })?;
    U::decode(message).map_err(|error| Status::internal(error.to_string()))
}

/// Takes what a message's lists need out of the room that is left.
fn scan(lists: ListFields, mut message: &[u8], left: &mut usize) -> Result<(), Refusal> {
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message)?;
        let list = lists.iter().find(|(known, _)| *known == number).map(|(_, list)| *list);
        let needed = match (list, wire) {
            (Some(ListField::Texts(size)), WireType::LengthDelimited) => {
                content(&mut message)?;
                size
            }
            (Some(ListField::Messages(size, lists)), WireType::LengthDelimited) => {
                scan(lists, content(&mut message)?, left)?;
                size
            }
            (Some(ListField::Numbers(size)), WireType::LengthDelimited) => {
                // Each ends with a byte whose highest bit is clear.
                size * content(&mut message)?.iter().filter(|byte| **byte < 0x80).count()
            }
            (Some(ListField::Numbers(size)), WireType::Varint) => {
                decode_varint(&mut message)?;
                size
            }
            _ => {
                skip_field(wire, number, &mut message, DecodeContext::default())?;
                0
            }
        };
        *left = left.checked_sub(needed).ok_or(Refusal::TooLong)?;
    }
    Ok(())
}

/// Takes a field's content off the front of a message.
fn content<'m>(message: &mut &'m [u8]) -> Result<&'m [u8], Refusal> {
    let length = usize::try_from(decode_varint(message)?).map_err(|_| Refusal::Malformed)?;
    let (content, rest) = message.split_at_checked(length).ok_or(Refusal::Malformed)?;
    *message = rest;
    Ok(content)
}

const TEXTS: ListField = ListField::Texts(size_of::<String>());
const BLOBS: ListField = ListField::Texts(size_of::<Bytes>());

/// Maps keep places free, a half of them at most.
const PARAMETERS: ListField = ListField::Messages(2 * size_of::<(String, InferParameter)>(), &[]);
const PROBABILITIES: ListField = ListField::Messages(2 * size_of::<(String, f64)>(), &[]);
const HEADS: ListField = ListField::Messages(2 * size_of::<(String, HeadAnswer)>(), &[(2, HEAD)]);
const HEAD: ListField = ListField::Messages(0, &[(2, PROBABILITIES)]);

/// Stands once in each tensor, as part of it. Floats take no more than they are sent in.
const CONTENTS: ListField = ListField::Messages(
    0,
    &[
        (2, ListField::Numbers(4)),
        (3, ListField::Numbers(8)),
        (4, ListField::Numbers(4)),
        (5, ListField::Numbers(8)),
        (8, BLOBS),
    ],
);
const SHAPE: ListField = ListField::Numbers(8);
const TENSORS: ListField = ListField::Messages(size_of::<TensorMetadata>(), &[(3, SHAPE)]);
const INPUTS: ListField =
    ListField::Messages(size_of::<InferInputTensor>(), &[(3, SHAPE), (4, PARAMETERS), (5, CONTENTS)]);
const WANTED: ListField = ListField::Messages(size_of::<InferRequestedOutputTensor>(), &[(2, PARAMETERS)]);
const OUTPUTS: ListField =
    ListField::Messages(size_of::<InferOutputTensor>(), &[(3, SHAPE), (4, PARAMETERS), (5, CONTENTS)]);

macro_rules! bounded {
    ($room:ident, $excess:ident: $($message:ty => $lists:expr;)*) => {$(
        impl BoundedMessage for $message {
            const LISTS: ListFields = $lists;
            const ROOM: usize = $room;
            const EXCESS: Code = Code::$excess;
        }
    )*};
}

bounded! { MAX_REQUEST_ROOM, InvalidArgument:
    ServerLiveRequest => &[];
    ServerReadyRequest => &[];
    ModelReadyRequest => &[];
    ServerMetadataRequest => &[];
    ModelMetadataRequest => &[];
    ModelInferRequest => &[(4, PARAMETERS), (5, INPUTS), (6, WANTED), (7, BLOBS)];
    ClassifyRequest => &[(2, ListField::Messages(size_of::<ClassifyInput>(), &[]))];
}

// As the library says of an answer that is too long.
bounded! { MAX_ANSWER_ROOM, OutOfRange:
    ServerLiveResponse => &[];
    ServerReadyResponse => &[];
    ModelReadyResponse => &[];
    ServerMetadataResponse => &[(3, TEXTS)];
    ModelMetadataResponse => &[(2, TEXTS), (4, TENSORS), (5, TENSORS)];
    ModelInferResponse => &[(4, PARAMETERS), (5, OUTPUTS), (6, BLOBS)];
    ClassifyResponse => &[(3, ListField::Messages(size_of::<crate::classify::Classification>(), &[(1, HEADS)]))];
}

#[cfg(test)]
mod tests;
