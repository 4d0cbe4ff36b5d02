//! What the configuration's `tests` expect, as far as it can be told at load whether it can come.

use super::decision::Reason;
use crate::config::{Config, ConfigProblem, KeyPath, MAX_PROBLEMS, PolicyTest, nearest};
use crate::prompt::Dialect;

/// Finds tests of paths that nobody reads, and expectations that nothing can meet.
pub(super) fn problems(config: &Config) -> Vec<ConfigProblem> {
    let tests = config.tests.iter().enumerate();
    let of = |(index, test): (usize, &PolicyTest)| {
        let path = KeyPath::root().key("tests").index(index);
        let expect = path.key("expect");
        let wrong = [
            unread(test).map(|message| (path.key("path"), message)),
            unknown_reason(test).map(|message| (expect.key("reason"), message)),
            unknown_rule(config, test).map(|message| (expect.key("rule"), message)),
        ];
        wrong.into_iter().flatten().filter_map(|(path, message)| config.problem(&path, message)).collect::<Vec<_>>()
    };
    tests.flat_map(of).take(MAX_PROBLEMS).collect()
}

fn unread(test: &PolicyTest) -> Option<String> {
    let paths = Dialect::ALL.map(Dialect::path).join(", ");
    let read = Dialect::of_path(&test.path).is_some();
    (!read).then(|| format!("the bodies of `{}` are not read (allowed: {paths})", test.path))
}

fn unknown_reason(test: &PolicyTest) -> Option<String> {
    let reason = test.expect.reason.as_deref()?;
    let known: Vec<&str> = Reason::all().map(Reason::as_str).collect();
    if known.contains(&reason) {
        return None;
    }
    let hint = nearest(reason, known.iter().copied()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    Some(format!("there is no reason `{reason}`{hint} (allowed: {})", known.join(", ")))
}

fn unknown_rule(config: &Config, test: &PolicyTest) -> Option<String> {
    let (rule, name) = (test.expect.rule?, test.expect.policy.as_ref()?);
    let rules = config.policies.iter().find(|policy| policy.name == *name)?.rules.len();
    (rule >= rules).then(|| format!("policy `{name}` has no rule {rule} (it has {rules}, from 0)"))
}
