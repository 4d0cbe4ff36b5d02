//! The question to the router about one request, and how it is put: no longer than its sender waits.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::policy::DecisionDetail;
use pointsman_core::prompt::{Dialect, Prompt};
use serde_json::Value;

use super::answer::rejection::Rejection;
use super::context::RequestContext;
use super::large_work::LARGE_BODY;
use crate::clients::Client;
use crate::router::{IncomingRequest, JudgeMode, QuotaMode, RequestState, Router, Verdict, header_text};
use crate::snapshot::Snapshot;

/// A question to the router, the header apart.
#[derive(Clone, Copy)]
pub(super) struct RouterQuestion<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) client: Option<&'a Client>,
    pub(super) key: Option<u64>,
    pub(super) prompt: &'a Prompt<'a>,
    pub(super) body: &'a Bytes,
    pub(super) state: &'a RequestState,
    pub(super) judging: JudgeMode<'a>,
    pub(super) detail: DecisionDetail,
}

/// What the router says, and the explanation of it where somebody looks.
type RouterAnswer = (Verdict, Option<Box<Value>>);

/// Returns how much a decision is to tell: all that an explanation shows, where somebody looks and that is little work.
pub(super) fn wanted_detail(router: &Router, body: &Bytes) -> DecisionDetail {
    let is_shown = body.len() < LARGE_BODY && router.feed().take_place();
    if is_shown { DecisionDetail::Explanation } else { DecisionDetail::Decision }
}

impl<'a> RouterQuestion<'a> {
    /// Notes the numbers that the requests of a conversation and of a session have in common, where somebody asks for them.
    pub(super) fn note_conversation(self, router: &Router, header: &RequestHeader, ctx: &mut RequestContext) {
        let field = |name: &str| header_text(&header.headers, name);
        // A response goes on with the conversation of the one before it.
        let wants_key = self.snapshot.upstreams.want_key() || self.prompt.dialect == Dialect::Responses;
        ctx.attempts.peer_key = wants_key.then(|| Router::conversation(&self.of(header, &field)));
        if router.budgets().tell_sessions_apart(self.client) {
            ctx.session = Some(Router::conversation(&self.of(header, &field)));
        }
    }

    /// Puts the question, for as long as the client waits and `deadline` lets it; after that the policy's `otherwise` stands.
    ///
    /// # Errors
    /// [`Rejection::ClientGone`] when the client left while a judge was asked.
    pub(super) async fn put(
        self,
        router: &Router,
        session: &mut Session,
        deadline: Option<Duration>,
    ) -> Result<RouterAnswer, Rejection> {
        if !self.snapshot.advisers.have_judges() {
            return Ok(self.put_in_time(router, session.req_header(), deadline).await);
        }
        // A judge takes its time: a client that leaves meanwhile is noticed.
        let header = session.req_header().clone();
        tokio::select! {
            biased;
            answer = Box::pin(self.put_in_time(router, &header, deadline)) => Ok(answer),
            _ = session.as_downstream_mut().read_body_or_idle(true) => Err(Rejection::ClientGone),
        }
    }

    async fn put_in_time(self, router: &Router, header: &RequestHeader, deadline: Option<Duration>) -> RouterAnswer {
        let Some(deadline) = deadline else { return self.put_to(router, header).await };
        match tokio::time::timeout(deadline, self.put_to(router, header)).await {
            Ok(answer) => answer,
            Err(_) => {
                let field = |name: &str| header_text(&header.headers, name);
                (router.late_verdict(self.snapshot, &self.of(header, &field)).await, None)
            }
        }
    }

    /// Asks the router; the explanation is made while the request is at hand.
    async fn put_to(self, router: &Router, header: &RequestHeader) -> RouterAnswer {
        let field = |name: &str| header_text(&header.headers, name);
        let incoming = self.of(header, &field);
        let verdict = router.route(self.snapshot, &incoming).await;
        let is_explained = self.detail == DecisionDetail::Explanation;
        let explanation = is_explained.then(|| Box::new(verdict.explain(self.snapshot, &incoming)));
        (verdict, explanation)
    }

    /// Returns the question with its header, whose fields `field` reads.
    fn of(
        self,
        header: &'a RequestHeader,
        field: &'a (dyn Fn(&str) -> Option<Cow<'a, str>> + Sync),
    ) -> IncomingRequest<'a> {
        let RouterQuestion { client, key, prompt, body, state, judging, detail, .. } = self;
        IncomingRequest {
            path: header.uri.path(),
            header: field,
            client,
            key,
            prompt,
            body,
            state: Some(state),
            at: None,
            judging,
            quotas: QuotaMode::Take,
            detail,
        }
    }
}
