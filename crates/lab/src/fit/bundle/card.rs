//! The model card of a fitted bundle.

use pointsman_classifier::Manifest;

use crate::fit::FitRequest;
use crate::fit::report::FitReport;

/// Returns the command that makes the bundle again.
pub(super) fn command(fit: &FitRequest, report: &FitReport) -> String {
    let limit = fit.limit.map_or_else(String::new, |limit| format!(" --limit {limit}"));
    let inputs = serde_json::to_value(fit.inputs).expect("plain data");
    let inputs = inputs.as_str().unwrap_or_default().to_owned();
    let (classes, loss) = (fit.class_weights.as_str(), fit.loss.as_str());
    let classes = if classes == "auto" { String::new() } else { format!(" --class-weights {classes}") };
    let loss = if loss == "auto" { String::new() } else { format!(" --loss {loss}") };
    let levels = if fit.levels.is_empty() { String::new() } else { format!(" --levels {}", fit.levels.join(",")) };
    let weights = fit.sample_weights.as_ref().map_or_else(String::new, |key| format!(" --sample-weights {key}"));
    format!(
        "pointsman fit --task {} --inputs {inputs} --data {} --seed {}{levels}{classes}{loss}{weights}{limit}",
        fit.task.as_str(),
        report.data.file,
        fit.seed
    )
}

/// Returns the card as Markdown.
pub(super) fn card(manifest: &Manifest, report: &FitReport) -> String {
    let offered = manifest.heads.iter().filter(|head| !head.hidden);
    let heads: Vec<&str> = offered.map(|head| head.name.as_str()).collect();
    let metrics = serde_json::to_string_pretty(&report.cross_validation).expect("plain data");
    let members = report.members.iter().fold(String::new(), |text, member| {
        format!("{text}| `{}` | {} | {:.3} |\n", member.head, member.learner, member.weight)
    });
    let warning = if report.base_saw_data {
        "\n**The base's own training saw these rows: the figures below are too good.** Measure on rows that neither saw.\n"
    } else {
        ""
    };
    format!(
        "# {} {}\n\n{}. Heads: {}.\n\nFitted on {} rows of `{}` (sha256 `{}`; {} rows left out, {} of the held-out split), over the frozen encoder of the \
         bundle with the manifest sha256 `{}`, seed {}; heads of the base that the task does not name are the base's.\n\n\
         Probabilities are calibrated on this data: elsewhere they promise nothing.\n\n## Members\n\nEach head is a weighted \
         product of its members' probabilities; rows that they did not learn from chose the weights.\n\n\
         | head | learner | weight |\n|---|---|---|\n{members}\n## Cross-validation\n{warning}\n```json\n{metrics}\n```\n",
        manifest.name,
        manifest.version,
        manifest.description,
        heads.join(", "),
        report.n_train,
        report.data.file,
        report.data.sha256,
        report.left_out,
        report.held_out,
        report.base_sha256,
        report.seed,
    )
}
