//! Checks what rules do, the headers that they may read, and the tests of where requests go.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{ConfigChecker, root};
use crate::config::{KeyPath, PolicyTest, RuleConfig};

const DENIAL: RangeInclusive<u16> = 400..=499;
const MAX_MESSAGE_CHARS: usize = 1000;
/// Headers that prove who somebody is: no rule needs them, and a trace of a rule must not tell them.
const SECRETS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"];

impl ConfigChecker<'_> {
    pub(super) fn rule(&mut self, path: &KeyPath, rule: &RuleConfig) {
        if let Some(model) = &rule.model {
            self.reference(&path.key("use"), model, "models", "model");
        }
        if let Some(deny) = &rule.deny {
            let path = path.key("deny");
            self.within(&path.key("status"), &deny.status, &DENIAL);
            let length = deny.message.chars().count();
            if length == 0 || length > MAX_MESSAGE_CHARS || deny.message.contains(char::is_control) {
                let message = format!("must be 1 to {MAX_MESSAGE_CHARS} characters without control characters");
                self.wrong(&path.key("message"), message);
            }
            if rule.model.is_some() {
                self.wrong(&path, "a rule cannot both `use` and `deny` (allowed: one of them)");
            }
            if rule.goes_on == Some(true) {
                self.wrong(&path, "a rule that denies ends the rules (allowed: `deny` without `continue: true`)");
            }
        }
        self.settings(path, &rule.set, &mut BTreeMap::new());
        let acts = rule.model.is_some() || rule.deny.is_some() || !rule.set.is_empty() || rule.goes_on == Some(false);
        if !acts {
            self.wrong(path, "the rule does nothing (required: one of use, deny, set, continue: false)");
        }
    }

    pub(super) fn rule_headers(&mut self) {
        for (index, name) in self.config.rule_headers.iter().enumerate() {
            let path = root("rule_headers").index(index);
            if name.parse::<http::HeaderName>().is_err() {
                self.wrong(&path, format!("`{name}` is not a header's name"));
            } else if SECRETS.contains(&name.to_ascii_lowercase().as_str()) {
                self.wrong(&path, format!("`{name}` holds a secret (allowed: any header but {})", SECRETS.join(", ")));
            }
        }
    }

    pub(super) fn test(&mut self, path: &KeyPath, test: &PolicyTest) {
        let body = test.body.as_ref();
        if test.prompt.is_some() == body.is_some() {
            self.wrong(path, "needs either a `prompt` or a `body`");
        }
        if body.is_some_and(|body| !body.is_object()) {
            self.wrong(&path.key("body"), "must be a mapping: the request's JSON object");
        }
        match (&test.model, body.is_some_and(|body| body.get("model").is_some())) {
            (Some(_), true) => self.wrong(&path.key("model"), "the `body` says the model already"),
            (None, false) if self.config.virtual_models().next().is_none() => {
                self.wrong(path, "no policy matches a model by its exact name (required: the test's `model`)");
            }
            _ => {}
        }
        for name in test.headers.keys() {
            if name.parse::<http::HeaderName>().is_err() {
                self.wrong(&path.key("headers").key(name), "is not a header's name");
            }
        }
        if let Some(client) = &test.client {
            self.reference(&path.key("client"), client, "clients", "client");
        }
        self.expectation(&path.key("expect"), test);
    }

    fn expectation(&mut self, path: &KeyPath, test: &PolicyTest) {
        let expect = &test.expect;
        if let Some(model) = &expect.model {
            self.reference(&path.key("model"), model, "models", "model");
        }
        if let Some(status) = &expect.denied {
            self.within(&path.key("denied"), status, &DENIAL);
            if expect.model.is_some() || expect.reason.is_some() {
                self.wrong(path, "a request that is denied gets no model (allowed: denied with policy and rule)");
            }
        }
        if let Some(name) = &expect.policy
            && !self.config.policies.iter().any(|policy| policy.name == *name)
        {
            let names: Vec<&str> = self.config.policies.iter().map(|policy| policy.name.as_str()).collect();
            self.wrong(&path.key("policy"), format!("there is no policy `{name}` (allowed: {})", names.join(", ")));
        }
        if *expect == crate::config::ExpectedOutcome::default() {
            self.wrong(path, "expects nothing (required: one of model, policy, rule, reason, denied)");
        }
    }
}
