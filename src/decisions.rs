//! Typed decisions, as OpenAI's `POST /v1/decisions` has them: questions about an input in, a probability for every option
//! out.
//!
//! A model that is asked is one of the section `decisions`, or a classifier by its own name. Heads answer what has their
//! labels as options: a choice with exactly a head's labels, a score whose levels are a head's labels in their order, and
//! a predicate that is named `<head>.<label>`. A question's `name` says which head is meant where several would do. All
//! else goes to the model's judge; without one it is declined, alone, as the API allows.

mod heads;
mod input;
mod question;
mod reply;

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::config::Name;

use self::heads::HeadAnswers;
pub(crate) use self::question::DecisionProblem;
use self::question::DecisionRequest;
use self::reply::DecisionReply;
use crate::classify::{ClassifyBatch, ClassifyError, ClassifyTerms, classify};
use crate::judge::{Distribution, JudgeAccount, JudgedQuestions, ProbabilityJudge, ProbabilityJudgeError};
use crate::snapshot::Snapshot;

/// The reason why a request for decisions has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecisionError {
    /// The request is not of the API's form.
    Invalid(DecisionProblem),
    /// No model of the name answers decisions.
    UnknownModel { model: String, known: Vec<String> },
    /// The classifier does not answer.
    Classify(ClassifyError),
    /// The judge does not answer.
    Judge(ProbabilityJudgeError),
}

/// The terms on which a request is answered.
#[derive(Clone, Copy)]
pub(crate) struct DecisionTerms<'t> {
    /// Those of the classifier's answers.
    pub classify: ClassifyTerms<'t>,
    /// Who pays for the judge's.
    pub account: &'t dyn JudgeAccount,
}

/// The answerers for a model.
struct Answerers<'s> {
    classifier: Option<Name>,
    judge: Option<&'s Arc<ProbabilityJudge>>,
}

impl From<DecisionProblem> for DecisionError {
    fn from(problem: DecisionProblem) -> Self {
        Self::Invalid(problem)
    }
}

/// Answers a request, in the API's JSON. Dropping the future gives it up.
///
/// # Errors
/// When it is not of the API's form, or heads or judge give no answer. A question that nobody answers is no error.
pub(crate) async fn answer(
    snapshot: &Snapshot,
    body: &Bytes,
    DecisionTerms { classify: terms, account }: DecisionTerms<'_>,
) -> Result<Bytes, DecisionError> {
    let request = DecisionRequest::read(body)?;
    let answerers = answerers(snapshot, &request.model)?;
    let mut reply = DecisionReply::new(&request);
    if let Some(name) = &answerers.classifier {
        let classifier = crate::classify::find(snapshot, Some(name.as_str())).map_err(DecisionError::Classify)?;
        let heads = HeadAnswers::of(classifier, request.questions());
        if !heads.is_empty() {
            let batch = ClassifyBatch { classifier: Some(name.to_string()), inputs: vec![request.classified_input()] };
            let scored = classify(snapshot, &batch, terms).await.map_err(DecisionError::Classify)?;
            reply.take_heads(&heads, &scored);
        }
    }
    if let Some(judge) = answerers.judge.filter(|judge| account.may_ask(judge.model())) {
        let open = reply.open_questions();
        if !open.is_empty() {
            let input = request.text()?;
            let questions: Vec<_> = open.iter().map(|index| request.questions()[*index].judged()).collect();
            let asked = JudgedQuestions { input: &input, questions: &questions };
            let judged = Box::pin(judge.ask(asked, account)).await.map_err(DecisionError::Judge)?;
            reply.take_judged(&open, judged);
        }
    }
    Ok(reply.write())
}

fn answerers<'s>(snapshot: &'s Snapshot, model: &str) -> Result<Answerers<'s>, DecisionError> {
    let config = &snapshot.config;
    if let Some((name, section)) = config.decisions.get_key_value(model) {
        return Ok(Answerers { classifier: section.classifier.clone(), judge: snapshot.advisers.decision_judge(name) });
    }
    if let Some((name, _)) = config.classifiers.get_key_value(model) {
        return Ok(Answerers { classifier: Some(name.clone()), judge: None });
    }
    let known = config.decisions.keys().chain(config.classifiers.keys()).map(Name::to_string).collect();
    Err(DecisionError::UnknownModel { model: model.to_owned(), known })
}
