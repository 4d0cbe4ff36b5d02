//! The services of the listener, by their paths: external processing, and the health of the process.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use pointsman_protocols::envoy::ext_proc::ProcessingRequest;
use pointsman_protocols::envoy::ext_proc::external_processor_server::{ExternalProcessor, ExternalProcessorServer};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Status, Streaming};
use tonic_health::pb::health_server::{Health, HealthServer};

use super::answers::{AnswerQueue, ExchangeAnswers};
use super::message_memory::MessageMemory;
use super::stream::{EnvoyStream, StreamParts};
use crate::proxy::Proxy;

/// The service that Envoy asks.
#[derive(Clone)]
pub(super) struct EnvoyService {
    pub(super) proxy: Arc<Proxy>,
    /// Places for streams.
    pub(super) places: Arc<Semaphore>,
}

/// All services of the listener.
pub(super) struct GrpcServices<H> {
    processor: ExternalProcessorServer<EnvoyService>,
    proxy: Arc<Proxy>,
    health: HealthServer<H>,
}

impl<H> GrpcServices<H> {
    /// Joins the services; messages to Envoy's may have `max_bytes`.
    pub(super) fn new(service: EnvoyService, health: HealthServer<H>, max_bytes: usize) -> Self {
        let proxy = Arc::clone(&service.proxy);
        let processor = ExternalProcessorServer::new(service);
        Self {
            proxy,
            processor: processor.max_decoding_message_size(max_bytes).max_encoding_message_size(max_bytes),
            health,
        }
    }
}

impl<H> Clone for GrpcServices<H> {
    fn clone(&self) -> Self {
        Self { processor: self.processor.clone(), proxy: Arc::clone(&self.proxy), health: self.health.clone() }
    }
}

#[tonic::async_trait]
impl ExternalProcessor for EnvoyService {
    type ProcessStream = ExchangeAnswers;

    async fn process(
        &self,
        request: tonic::Request<Streaming<ProcessingRequest>>,
    ) -> Result<tonic::Response<Self::ProcessStream>, Status> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(Status::resource_exhausted("as many streams are open as `limits.max_requests` allows"));
        };
        let memory = request.extensions().get::<MessageMemory>().cloned();
        let memory = memory.unwrap_or_else(|| MessageMemory::new(&self.proxy));
        let answers = AnswerQueue::default();
        let parts = StreamParts { messages: request.into_inner(), answers: answers.clone(), memory };
        let stream = EnvoyStream::new(Arc::clone(&self.proxy), parts);
        let exchange = async move {
            let _place = place;
            stream.serve().await;
        };
        Ok(tonic::Response::new(ExchangeAnswers::new(answers, exchange)))
    }
}

impl<H: Health> Service<Request<Body>> for GrpcServices<H> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_of = |service: &str| request.uri().path().trim_start_matches('/').split('/').next() == Some(service);
        if is_of(ExternalProcessorServer::<EnvoyService>::NAME) {
            return Box::pin(self.processor.call(MessageMemory::new(&self.proxy).reserving(request)));
        }
        if is_of(HealthServer::<H>::NAME) {
            return Box::pin(self.health.call(request));
        }
        Box::pin(async { Ok(Status::unimplemented("there is no such service here").into_http()) })
    }
}
