//! Bedrock: where its models are asked, the credentials and signatures of requests, and the frames of its streams.

mod credentials;
mod event_stream;
mod profile;
mod signature;

pub(crate) use self::credentials::{AwsCredentialServer, AwsCredentials};
pub(crate) use self::event_stream::{EventFrames, FrameError};
pub(crate) use self::signature::{RequestSigner, SignatureError};
