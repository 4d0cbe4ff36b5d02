"""The panels of the dashboards: every panel's title, query, unit and meaning. `generate.py` makes Grafana's JSON of it.

`$instance`, `$policy` and so on are the dashboards' variables. A panel is a line or two here, so that a review of a
dashboard is a review of this file.
"""

from model import Dashboard, Q, Row, heat, lines, stat, state, table

# Selectors that most queries share.
N = 'instance=~"$instance"'
P = f'{N}, policy=~"$policy"'
M = f'{N}, model=~"$model"'
C = f'{N}, classifier=~"$classifier"'
U = f'{N}, provider=~"$provider"'
RATE = "[$__rate_interval]"
# Every reason is in one of three classes, which tests/dashboards.rs checks: what a policy chose, what it could not
# choose (`otherwise` serves), and what moved its choice.
CHOSEN = 'reason=~"rule|tier|rounded_up|threshold|utility|bandit|exploration|similarity|judge|escalate|split|random|override|catalog|affinity|affinity_tool_loop|affinity_cache|housekeeping"'
ABSTAINED = 'reason=~"low_confidence|no_ask|unfamiliar|truncated|not_similar|unmapped_label|kill_switch|not_rolled_out|classifier_.+|judge_.+"'
CONSTRAINED = 'reason=~"context|images|audio|files|tools|json_schema|max_output|region|dialect|state|not_allowed|quota|budget|unhealthy|saturated"'
FAILED = 'outcome!~"success|client_error|cancelled|shed|internal"'


def rate(metric: str, where: str, by: str) -> str:
    return f"sum by ({by}) (rate(pointsman_{metric}{{{where}}}{RATE}))"


def quantile(share: float, metric: str, where: str, by: str = "") -> str:
    by = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({by}) (rate(pointsman_{metric}_bucket{{{where}}}{RATE})))"


def mean(metric: str, where: str, by: str) -> str:
    return f"{rate(metric + '_sum', where, by)} / {rate(metric + '_count', where, by)}"


def share(part: str, whole: str) -> str:
    return f"({part}) / ({whole})"


# What answers cost, and the judges that chose who gives them.
SPENT = f"(sum(increase(pointsman_cost_usd_total{{{N}}}[$__range])) + (sum(increase(pointsman_judge_cost_usd_total{{{N}}}[$__range])) or vector(0)))"
SPENDING = f"(sum(rate(pointsman_cost_usd_total{{{N}}}{RATE})) + (sum(rate(pointsman_judge_cost_usd_total{{{N}}}{RATE})) or vector(0)))"
KEPT = f"sum(increase(pointsman_baseline_cost_usd_total{{{N}}}[$__range])) - {SPENT}"
SAVED = share(KEPT, f"sum(increase(pointsman_baseline_cost_usd_total{{{N}}}[$__range]))")
# What shadow answers cost, which nobody was given.
COMPARING = f"(sum(rate(pointsman_shadow_answer_cost_usd_total{{{N}}}{RATE})) or vector(0))"
CLASSIFYING = f"(sum(rate(pointsman_classifier_cost_usd_total{{{N}}}{RATE})) or vector(0))"
ALL_DECISIONS = f"sum(rate(pointsman_decisions_total{{{P}}}{RATE}))"
SHARES = f"{rate('decisions_total', P, 'policy, model')} / on (policy) group_left () {rate('decisions_total', P, 'policy')}"

TRAFFIC = Dashboard(
    "traffic", "Traffic and savings", "Who asks, which model answers, and what that saves.", ["instance", "policy", "model"],
    [
        Row("At a glance"),
        stat("Requests", Q(f"sum(rate(pointsman_request_duration_seconds_count{{{N}}}{RATE}))"), "reqps",
             "Requests a second, those that pass through unrouted included."),
        stat("Saved, share of the bill", Q(SAVED), "percentunit",
             "Over the chosen time: 1 - cost / baseline. The baseline is what the same tokens would have cost with each policy's most "
             "expensive model, by the catalog's prices.", [(None, "red"), (0.05, "yellow"), (0.2, "green")]),
        stat("Saved", Q(KEPT), "currencyUSD", "US dollars over the chosen time, baseline minus cost, judges included in the cost."),
        stat("Failed requests", Q(share(f'sum(rate(pointsman_request_duration_seconds_count{{{N}, status_class="5xx"}}{RATE})) or vector(0)',
                                        f"sum(rate(pointsman_request_duration_seconds_count{{{N}}}{RATE}))")), "percentunit",
             "Share of the requests whose clients got a status of 500 or above.", [(None, "green"), (0.01, "yellow"), (0.05, "red")]),
        stat("First byte, p95", Q(quantile(0.95, "first_byte_seconds", M)), "s", "From a request's first byte to its answer's first."),
        stat("Own overhead, p99", Q(quantile(0.99, "overhead_seconds", f'{N}, stage!="classify"')), "s",
             "The slowest of Pointsman's own stages, the classifier aside.", [(None, "green"), (0.001, "yellow"), (0.02, "red")]),
        Row("Traffic"),
        lines("Requests by policy", Q(rate("request_duration_seconds_count", P, "policy"), "{{policy}}"), "reqps",
              "`none`: no policy matched; the request passed through.", stack="normal"),
        lines("Requests by status", Q(rate("request_duration_seconds_count", P, "status_class"), "{{status_class}}"), "reqps",
              "`none`: the client left before there was a status.", stack="normal"),
        lines("Duration of requests", [Q(quantile(q, "request_duration_seconds", f"{P}, model=~\"$model|passthrough\""), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)],
              "s", "From a request's first byte to its answer's last; streams take as long as they are."),
        lines("Models chosen", Q(rate("decisions_total", f"{P}, model=~\"$model\"", "model"), "{{model}}"), "reqps",
              "Decisions by the model that was chosen, before fallbacks.", stack="percent"),
        Row("Money"),
        lines("Cost against the best single model", [
            Q(f"3600 * {SPENDING}", "cost"),
            Q(f"3600 * sum(rate(pointsman_baseline_cost_usd_total{{{N}}}{RATE}))", "with each policy's most expensive model"),
        ], "currencyUSD", "US dollars an hour. The gap between the lines is what routing saves."),
        lines("Saved, share of the bill", Q(f"1 - {SPENDING} / sum(rate(pointsman_baseline_cost_usd_total{{{N}}}{RATE}))", "saved"),
              "percentunit", "1 - cost / baseline. Falls when classifiers abstain or constraints force strong models.", [(None, "red"), (0.05, "yellow"), (0.2, "green")]),
        lines("Cost by model", Q("3600 * " + rate("cost_usd_total", M, "model"), "{{model}}"), "currencyUSD", "US dollars an hour by the catalog's prices.", stack="normal"),
        lines("Cost by client", Q("3600 * " + rate("client_cost_usd_total", f'{N}, model=~"$model|passthrough"', "client"), "{{client}}"), "currencyUSD", "US dollars an hour by the client whose key the requests came with, where `clients` is configured. What passes through counts where its price is known.", stack="normal"),
        lines("Cost by policy", Q("3600 * " + rate("policy_cost_usd_total", f'{P}, model=~"$model|passthrough"', "policy, model"), "{{policy}}: {{model}}"), "currencyUSD", "US dollars an hour by policy and by the model that answered.", stack="normal"),
        lines("Tokens", Q(rate("tokens_total", f'{N}, model=~"$model|passthrough"', "direction"), "{{direction}}"), "short",
              "Tokens a second. Cached and cache_write ones are part of the input, reasoning ones part of the output."),
        lines("Tokens by model", Q(rate("tokens_total", M + ', direction=~"input|output"', "model"), "{{model}}"), "short", "Input and output tokens a second.", stack="normal"),
        lines("Answers without exact usage", [
            Q(f"sum(rate(pointsman_usage_estimated_total{{{M}}}{RATE}))", "estimated"), Q(f"sum(rate(pointsman_usage_unknown_total{{{M}}}{RATE}))", "unknown"),
        ], "reqps", "Estimated: the upstream did not say. Unknown: compressed or of another shape; their cost is missing above."),
        Row("Quality held and net savings"),
        lines("Saved net", Q(f"3600 * (sum(rate(pointsman_baseline_cost_usd_total{{{N}}}{RATE})) - {SPENDING} - {COMPARING} - {CLASSIFYING})", "saved net"), "currencyUSD",
              "US dollars an hour: the baseline's cost less that of answers, judges, shadow answers and classifiers (their `usd_per_hour`)."),
        lines("Saved net since the start", Q(f"sum by (policy) (pointsman_net_savings_usd{{{P}}})", "{{policy}}"), "currencyUSD", "US dollars since each instance started, judges and shadow answers paid."),
        lines("Saved net by client", Q(f"sum by (client) (pointsman_client_net_savings_usd{{{N}}})", "{{client}}"), "currencyUSD", "US dollars since each instance started, by the client whose key the requests came with: judges and shadow answers paid."),
        lines("Judges, classifiers and shadow answers", [
            Q(f"3600 * (sum(rate(pointsman_judge_cost_usd_total{{{N}}}{RATE})) or vector(0))", "judges"),
            Q(f"3600 * {CLASSIFYING}", "classifiers"), Q(f"3600 * {COMPARING}", "shadow answers"),
        ], "currencyUSD", "US dollars an hour that are spent on choosing models and on comparing them."),
        lines("Quality held", Q(f"avg by (policy, bound) (pointsman_quality_held_ratio{{{P}}})", "{{policy}}: {{bound}}"), "percentunit",
              "Quality of the answers that clients got by that of shadow answers to the same requests, where both were rated; with the bounds of its 95 % interval."),
        lines("Quality by model", Q(f'avg by (policy, model, answer) (pointsman_quality_ratio{{{P}, bound="mean", model!=""}})', "{{policy}}: {{model}} {{answer}}"), "percentunit", "Mean of the latest ratings of each model's answers, 0 to 1."),
        lines("Quality by policy", Q(f'avg by (policy, bound) (pointsman_quality_ratio{{{P}, model="", answer="served"}})', "{{policy}}: {{bound}}"), "percentunit", "Mean of the latest ratings of all answers that clients got, with the bounds of its 95 % interval."),
        lines("Ratings behind the quality", Q(f'sum by (policy, answer) (pointsman_quality_ratings{{{P}, model=""}})', "{{policy}} {{answer}}"), "short", "How many ratings the quality rests on; older ones count less."),
        lines("Shadow answers", Q(rate("shadow_answers_total", P, "policy, outcome"), "{{policy}}: {{outcome}}"), "reqps", "Sampled requests that were to be sent to another model too, by what became of them.", stack="normal"),
        Row("Answers given again"),
        lines("Hit rate of the response cache", Q(share(rate("response_cache_requests_total", f'{P}, outcome=~"hit|joined|semantic"', "policy"), rate("response_cache_requests_total", f'{P}, outcome!="bypass"', "policy")), "{{policy}}"), "percentunit", "Of the requests whose answers may be kept, those that got a kept one, where a policy has a `cache`."),
        lines("Requests of the response cache", Q(rate("response_cache_requests_total", P, "policy, outcome"), "{{policy}}: {{outcome}}"), "reqps", "Where answers came from: kept ones (hit), those to asks that mean the same (semantic) or to the same request at the same time (joined), a model (miss), or a model because such requests are not kept (bypass).", stack="normal"),
        lines("Saved by the response cache", Q("3600 * " + rate("response_cache_saved_usd_total", P, "policy"), "{{policy}}"), "currencyUSD", "US dollars an hour that answers had cost which were given again.", stack="normal"),
        lines("Size of the response cache", Q(f"sum(pointsman_response_cache_bytes{{{N}}})", "bytes"), "bytes", "Memory of kept answers, and of the asks that are compared with new ones."),
        lines("Answers kept", Q(f"sum(pointsman_response_cache_entries{{{N}}})", "answers"), "short", "Kept answers; those that are too old count until they are asked for."),
        Row("Errors and fallbacks"),
        lines("Fallbacks", Q(rate("fallbacks_total", N, "from, to"), "{{from}} → {{to}}"), "reqps", "Requests that went on to another model because the provider of the one before failed them.", stack="normal"),
        lines("Fallbacks by cause", Q(rate("fallbacks_total", N, "cause"), "{{cause}}"), "reqps", "Why the first model did not answer.", stack="normal"),
        lines("Errors of Pointsman's own", Q(f"sum by (code) (rate(pointsman_rejections_total{{{N}}}{RATE})) > 0", "{{code}}"), "reqps",
              "Answers that no upstream gave, by the error's code.", stack="normal"),
        lines("Strong answers by client", Q(share(rate("client_strong_answers_total", N, "client"), rate("client_answers_total", N, "client")), "{{client}}"), "percentunit", "Of the answers that policies chose for a client, those of strong models: the models of the policy's quotas, else of its target, else the highest of its strategy. A client far above the others words its prompts so, or needs them."),
        lines("Quotas used up", Q(rate("quota_hits_total", P, "policy, quota, outcome"), "{{policy}} {{quota}}: {{outcome}}"), "reqps", "Requests for a strong model whose client or session had used up its quota: another model served (moved), the strong one as no other could (served), or none (refused).", stack="normal"),
        lines("Budgets", Q(f"max by (budget, holder) (pointsman_budget_used_ratio{{{N}}})", "{{budget}}: {{holder}}"), "percentunit", "Share of a budget that a client or team has used in this period, by what its processes know."),
        lines("Budgets reached", Q(rate("budget_hits_total", N, "budget, outcome"), "{{budget}}: {{outcome}}"), "reqps", "Requests that a budget changed: a cheaper model served beyond its soft share (moved), it was used up (refused), or the store that counts did not answer (unavailable).", stack="normal"),
        lines("Client keys", Q(f"max by (standing) (pointsman_client_keys{{{N}}})", "{{standing}}"), "short", "Client keys of the registry, by how they stand."),
        lines("Registry of client keys unread", Q(f"sum by (instance) (rate(pointsman_client_keys_unread_total{{{N}}}{RATE}))", "{{instance}}"), "ops", "Looks at the registry of client keys that failed, so that the keys stay as they were."),
        lines("Clients", Q(rate("client_requests_total", N, "client, outcome"), "{{client}} {{outcome}}"), "reqps", "Requests by the client whose key they came with, where `clients` is configured.", stack="normal"),
    ],
)

QUALITY = Dashboard(
    "quality", "Decision quality", "Why models are chosen, how sure the classifier is, and whether it can still be believed.",
    ["instance", "policy", "classifier", "head"],
    [
        Row("At a glance"),
        stat("Abstentions", Q(share(f"sum(rate(pointsman_decisions_total{{{P}, {ABSTAINED}}}{RATE})) or vector(0)", ALL_DECISIONS)), "percentunit",
             "Share of the decisions that `otherwise` made: too little confidence, too much cut, or no scores.", [(None, "green"), (0.1, "yellow"), (0.3, "red")]),
        stat("Constraints hit", Q(share(f"sum(rate(pointsman_decisions_total{{{P}, {CONSTRAINED}}}{RATE})) or vector(0)", ALL_DECISIONS)), "percentunit",
             "Share of the decisions that a hard constraint moved to another model."),
        stat("Prompts cut", Q(f'1 - sum(rate(pointsman_classifier_truncated_tokens_bucket{{{C}, le="0"}}{RATE})) / sum(rate(pointsman_classifier_truncated_tokens_count{{{C}}}{RATE}))'),
             "percentunit", "Share of the prompts the encoder judged that it did not read whole.", [(None, "green"), (0.1, "yellow"), (0.3, "red")]),
        stat("Largest drift", Q(f"max(pointsman_drift_psi{{{C}}})"), "short", "Population stability index of the signal that moved most. Below 0.1 is stable, above 0.25 is a shift.",
             [(None, "green"), (0.1, "yellow"), (0.25, "red")]),
        stat("Shadow disagrees", Q(f"1 - min(pointsman_classifier_shadow_agreement_ratio{{{C}}})"), "percentunit", "Share of the compared prompts on which classifier and shadow differ, for the head that differs most."),
        Row("Decisions"),
        lines("Decisions by reason", Q(rate("decisions_total", P, "reason"), "{{reason}}"), "reqps", "Why each model was chosen.", stack="normal"),
        lines("Share of each model", Q(SHARES, "{{policy}}: {{model}}"),
              "percentunit", "The strong models' share against what you aim for; the policy's `target` holds it by itself where one is set."),
        lines("Decisions by kind", [
            Q(f"sum(rate(pointsman_decisions_total{{{P}, {CHOSEN}}}{RATE}))", "chosen"),
            Q(f"sum(rate(pointsman_decisions_total{{{P}, {ABSTAINED}}}{RATE}))", "abstained"),
            Q(f"sum(rate(pointsman_decisions_total{{{P}, {CONSTRAINED}}}{RATE}))", "moved by a constraint"),
        ], "reqps", "What the policy chose, what `otherwise` did, and what a constraint moved to another model.", stack="percent"),
        lines("Decisions by rule", Q(rate("rule_decisions_total", P, "policy, rule"), "{{policy}}: rule {{rule}}"), "reqps", "Requests that a rule decided or refused, by the rule's number in its policy, from 0. A rule without a line never matches.", stack="normal"),
        lines("Policies that only watch", Q(rate("shadow_decisions_total", P, "policy, model"), "{{policy}}: {{model}}"), "reqps", "What policies with `mode: shadow` would have chosen; nothing was changed.", stack="normal"),
        lines("Abstentions by reason", Q(rate("decisions_total", f"{P}, {ABSTAINED}", "reason"), "{{reason}}"), "reqps", "`otherwise` decided: `low_confidence`, `truncated`, or what kept the classifier from answering.", stack="normal"),
        lines("Unfamiliar prompts by language", Q(rate("classifier_unfamiliar_prompts_total", C, "language"), "{{language}}"), "reqps", "Prompts in scripts and languages that the bundle was not trained for; strategies abstain from them (`unfamiliar`).", stack="normal"),
        lines("Constraints hit", Q(rate("decisions_total", f"{P}, {CONSTRAINED}", "reason"), "{{reason}}"), "reqps", "What the chosen model could not take (context window, images, audio, files, tools, a JSON schema), or why it was not to be had.", stack="normal"),
        lines("Parameters adapted", [
            Q(rate("parameters_adapted_total", N, "model, parameter"), "{{model}}: {{parameter}}"),
            Q(rate("parameters_refused_total", N, "model"), "{{model}}: refused by its API"),
        ], "reqps", "Parameters that were left out, renamed or changed so that they fit the model, and those that an API refused all the same.", stack="normal"),
        lines("Translations", Q(rate("translations_total", N, "from, to"), "{{from}} to {{to}}"), "reqps", "Requests that went to their model in another API than their client's.", stack="normal"),
        lines("Lost in translation", Q(rate("translation_losses_total", N, "from, to, field, kind"), "{{from}} to {{to}}: {{field}} {{kind}}"), "reqps", "Fields that translated requests could not carry over as they were, or their answers (from the upstream's API).", stack="normal"),
        lines("State that providers keep", Q(rate("state_total", N, "kind, outcome"), "{{kind}}: {{outcome}}"), "reqps", "Names of state in requests, such as ids of responses and files, by kind, and whether it was known who keeps it.", stack="normal"),
        Row("Targets and affinity"),
        lines("Strong share against target", [
            Q(f"pointsman_strong_share{{{P}}}", "{{policy}}: share"),
            Q(f"pointsman_target_share{{{P}}}", "{{policy}}: target"),
        ], "percentunit", "Share of the latest requests that the strong models of a policy with a `target` got, and what it is held to."),
        lines("Threshold of policies with a target", Q(f"pointsman_threshold{{{P}}}", "{{policy}}"), "short", "Moves so that the share is held; it stands still while scores have drifted."),
        lines("Frozen thresholds", [Q(f"pointsman_target_frozen{{{P}}}", "{{policy}}: frozen"), Q(rate("target_freezes_total", P, "policy"), "{{policy}}: freezes")], "short", "1 while a threshold stays where it is because its scores have drifted."),
        lines("Bandits: chance of a good answer", [Q(f"pointsman_bandit_quality_ratio{{{P}}}", "{{policy}} {{label}}: {{model}}")], "percentunit", "What a policy that learns from feedback believes of each model, by the label of the prompts."),
        lines("Bandits: rewards", [Q(rate("bandit_rewards_total", P, "policy, model, outcome"), "{{policy}} {{model}}: {{outcome}}"), Q(rate("bandit_drifts_total", P, "policy, model"), "{{policy}} {{model}}: drifts"), Q(f"pointsman_bandit_frozen{{{P}}}", "{{policy}}: frozen")], "short", "Feedback on answers whose model a bandit chose. Frozen: feedback is suspicious, and nothing is learnt."),
        lines("Affinity", Q(rate("affinity_total", P, "policy, outcome"), "{{policy}}: {{outcome}}"), "reqps", "What became of the model that a conversation was held to.", stack="normal"),
        Row("Scores"),
        heat("Scores of $head", Q(f'sum by (le) (increase(pointsman_score_bucket{{{C}, head=~"$head"}}{RATE}))', "{{le}}"), "percentunit", "Calibrated probabilities of all labels. A sure classifier is dark at both ends and pale between."),
        lines("Mean score by label", Q(mean("score", f'{C}, head=~"$head"', "head, label"), "{{head}}: {{label}}"), "percentunit", "The mix of labels in the traffic, as the classifier sees it; a jump is a change of traffic or weights."),
        lines("Confidence", [
            Q(f'sum by (head) (rate(pointsman_score_count{{{C}, head=~"$head"}}{RATE}) - ignoring (le) rate(pointsman_score_bucket{{{C}, head=~"$head", le="{bound}"}}{RATE}))'
              f' / max by (head) (sum by (head, label) (rate(pointsman_score_count{{{C}, head=~"$head"}}{RATE})))', f"{{{{head}}}}: above {bound}")
            for bound in ("0.5", "0.7", "0.9")
        ], "percentunit", "Share of the prompts whose best label is above a probability. Above one half at most one label can be, so this is exact."),
        Row("Can it be believed?"),
        lines("Prompts cut by the encoder", [
            Q(f'1 - sum by (classifier) (rate(pointsman_classifier_truncated_tokens_bucket{{{C}, le="0"}}{RATE})) / sum by (classifier) (rate(pointsman_classifier_truncated_tokens_count{{{C}}}{RATE}))', "{{classifier}}: share cut"),
        ], "percentunit", "Prompts whose newest turn did not fit."),
        lines("Tokens cut, p99", Q(quantile(0.99, "classifier_truncated_tokens", C, "classifier"), "{{classifier}}"), "short", "Of all prompts that the encoder judged; 0 when nearly all fit."),
        lines("Drift", Q(f"max by (classifier, signal) (pointsman_drift_psi{{{C}}})", "{{classifier}} {{signal}}"), "short", "Population stability index of live traffic against the bundle's reference, by signal. Nothing shows below 500 prompts.",
              [(None, "green"), (0.1, "yellow"), (0.25, "red")]),
        lines("Prompts in the drift window", Q(f"sum by (classifier) (pointsman_drift_window_prompts{{{C}}})", "{{classifier}}"), "short", "How much traffic the drift above rests on."),
        Row("Shadow classifiers"),
        lines("Shadow disagreement", Q(f"1 - min by (classifier, head) (pointsman_classifier_shadow_agreement_ratio{{{C}}})", "{{classifier}}: {{head}}"), "percentunit", "Since the shadow started. Promote when it disagrees where you want it to."),
        table("Disagreements", Q(f"sum by (head, live, shadow) (pointsman_classifier_shadow_labels_total{{{C}}})"), "short", "Prompts by the best label of the classifier that serves and of its shadow."),
        lines("Shadow's prompts", Q(rate("classifier_shadow_prompts_total", C, "outcome"), "{{outcome}}"), "reqps", "`dropped`: the shadow or the classifier was busy; it never costs a place in the queue.", stack="normal"),
        lines("Cost with the shadow", Q("3600 * " + rate("classifier_shadow_cost_usd_total", C, "choice"), "{{choice}}"), "currencyUSD", "US dollars an hour for the compared prompts with the models that each would have chosen."),
        Row("Judges"),
        lines("Questions to judges", Q(rate("judge_questions_total", P, "policy, outcome"), "{{policy}}: {{outcome}}"), "reqps", "Prompts that a policy's LLM judge was to judge, and what came of it.", stack="normal"),
        lines("Judges' answers", [Q(quantile(q, "judge_seconds", P, "policy"), f"{{{{policy}}}} p{q * 100:g}") for q in (0.5, 0.99)], "s", "What a request waits for a judge that has not answered the same before."),
        lines("Cost of judges", [
            Q("3600 * " + rate("judge_cost_usd_total", P, "policy"), "{{policy}}"),
        ], "currencyUSD", "US dollars an hour, beside the cost of the answers."),
        lines("Escalations", Q(rate("escalations_total", P, "policy, check"), "{{policy}}: {{check}}"), "reqps", "Answers of cheap models that failed a check, so that the strong model was asked.", stack="normal"),
        lines("Checked answers", Q(rate("checked_answers_total", P, "policy, outcome"), "{{policy}}: {{outcome}}"), "reqps", "Answers of cheap models that were to be checked, by what became of them.", stack="normal"),
        lines("Cost of answers that nobody got", Q("3600 * " + rate("escalation_cost_usd_total", P, "policy, part"), "{{policy}}: {{part}}"), "currencyUSD", "US dollars an hour: answers that failed a check, and further ones to compare with."),
        lines("Tokens of judges", Q(rate("judge_tokens_total", P, "policy, direction"), "{{policy}}: {{direction}}"), "short", "Tokens a second."),
        Row("Feedback"),
        lines("Feedback", Q(rate("feedback_total", N, "kind"), "{{kind}}"), "reqps", "What clients say of answers on `POST /v1/feedback`.", stack="normal"),
        lines("Ratings", Q(rate("feedback_total", f'{N}, rating!=""', "model, rating"), "{{model}} {{rating}}"), "reqps", "Ratings by the model that answered, where that is remembered, from 0 (worst) to 1.", stack="normal"),
        lines("Decision log", [Q(f"sum(rate(pointsman_decision_log_lines_total{{{N}}}{RATE}))", "written"), Q(rate("decision_log_dropped_total", N, "cause"), "lost: {{cause}}")], "short", "Lines a second; lost ones are missing from training and replay."),
    ],
)

SERVING = Dashboard(
    "serving", "Classifier serving", "Where the milliseconds go, and what happens when there are too few of them.", ["instance", "classifier"],
    [
        Row("At a glance"),
        stat("Degraded", Q(f'sum(rate(pointsman_classifier_degraded_total{{{C}}}{RATE})) / (sum(rate(pointsman_classifier_answers_total{{{C}, source!~".+_fallback"}}{RATE})) + sum(rate(pointsman_classifier_degraded_total{{{C}}}{RATE})))'),
             "percentunit", "Share of the prompts that the encoder should have judged and did not.", [(None, "green"), (0.01, "yellow"), (0.1, "red")]),
        stat("Prompts that wait", Q(f"sum(pointsman_classifier_queue_depth{{{C}}})"), "short", "In the queues now.", [(None, "green"), (16, "yellow"), (64, "red")]),
        stat("Wait for scores, p99", Q(quantile(0.99, "overhead_seconds", f'{N}, stage="classify"')), "s", "What a request waits for its classifier, queue included.", [(None, "green"), (0.02, "yellow"), (0.1, "red")]),
        stat("Cache hits", Q(share(f'sum(rate(pointsman_classifier_cache_total{{{C}, outcome!="miss"}}{RATE}))', f"sum(rate(pointsman_classifier_cache_total{{{C}}}{RATE}))")), "percentunit", "Share of the prompts whose scores were known, or just being computed for another request."),
        Row("Stages"),
        lines("Stages, p50", Q(quantile(0.5, "overhead_seconds", N, "stage"), "{{stage}}"), "s", "Pointsman's own work on a request. `classify` is the wait for scores, `features` the reading of the text for it.", log=True),
        lines("Stages, p99", Q(quantile(0.99, "overhead_seconds", N, "stage"), "{{stage}}"), "s", "The same at the tail.", log=True),
        Row("Encoder"),
        lines("Runs", [Q(quantile(q, "classifier_run_seconds", C, "classifier"), f"{{{{classifier}}}} p{q * 100:g}") for q in (0.5, 0.99)], "s", "One run of the model over one batch."),
        lines("Queue wait", [Q(quantile(q, "classifier_queue_wait_seconds", C, "classifier"), f"{{{{classifier}}}} p{q * 100:g}") for q in (0.5, 0.99)], "s", "Time a prompt waited for a worker.", log=True),
        heat("Batch size", Q(f"sum by (le) (increase(pointsman_classifier_batch_size_bucket{{{C}}}{RATE}))", "{{le}}"), "short", "Prompts in one run; all at 1 means that there was nothing to batch."),
        lines("Batch size, mean", Q(mean("classifier_batch_size", C, "classifier"), "{{classifier}}"), "short", "Prompts in one run."),
        lines("Padding", Q(mean("classifier_padding_ratio", C, "classifier"), "{{classifier}}"), "percentunit", "Share of a run's tokens that only fill shorter prompts up to the longest: work for nothing.", [(None, "green"), (0.3, "yellow"), (0.5, "red")]),
        lines("Queue depth", Q(f"sum by (classifier) (pointsman_classifier_queue_depth{{{C}}})", "{{classifier}}"), "short", "Prompts that wait for a worker. At `queue` the next one is not judged."),
        Row("Degrade ladder and cache"),
        lines("Who answered", Q(rate("classifier_answers_total", C, "source"), "{{source}}"), "reqps", "`lexical`: sure enough without the encoder (cascade). `remote`: a server elsewhere. `..._fallback`: stood in for what should have answered.", stack="normal"),
        lines("Degraded by reason", Q(rate("classifier_degraded_total", C, "reason"), "{{reason}}"), "reqps", "Prompts that the encoder should have judged and did not. No request fails for it.", stack="normal"),
        lines("Cache", Q(rate("classifier_cache_total", C, "outcome"), "{{outcome}}"), "reqps", "`joined`: another request with the same text was just being judged.", stack="normal"),
        Row("Remote classifiers"),
        lines("Requests to classifiers elsewhere", Q(rate("classifier_remote_requests_total", C, "classifier, outcome"), "{{classifier}}: {{outcome}}"), "reqps", "What came of requests to the servers of remote classifiers. A request may hold several prompts.", stack="normal"),
        lines("Answers of classifiers elsewhere", [Q(quantile(q, "classifier_remote_seconds", C, "classifier"), f"{{{{classifier}}}} p{q * 100:g}") for q in (0.5, 0.99)], "s", "Time from a request to its answer.", log=True),
        lines("Hedged requests", Q(rate("classifier_remote_hedges_total", C, "classifier, outcome"), "{{classifier}}: {{outcome}}"), "reqps", "Requests that took longer than most: whether the second one won, lost or failed, or was over the budget.", stack="normal"),
        Row("Device"),
        table("Device", Q(f"pointsman_classifier_device_info{{{C}}}"), "short", "What each classifier really runs on."),
        stat("Device fallbacks", Q(f"sum(increase(pointsman_classifier_device_fallbacks_total{{{C}}}[$__range]))"), "short", "Starts on another device than the wanted one, over the chosen time.", [(None, "green"), (1, "red")]),
        lines("GPU memory", Q("sum by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) * 1048576", "{{Hostname}} GPU {{gpu}}"), "bytes", "From NVIDIA's DCGM exporter; empty where there is no GPU."),
    ],
)

UPSTREAMS = Dashboard(
    "upstreams", "Upstreams", "Whether providers answer, how fast, and what was done about those that do not.", ["instance", "provider", "model"],
    [
        Row("At a glance"),
        stat("Healthy peers", Q(share(f"sum(pointsman_upstream_healthy{{{U}}})", f"count(pointsman_upstream_healthy{{{U}}})")), "percentunit", "Share of the peers that get requests.", [(None, "red"), (0.5, "yellow"), (1, "green")]),
        stat("Attempts that fail", Q(share(f"sum(rate(pointsman_upstream_attempts_total{{{U}, {FAILED}}}{RATE})) or vector(0)", f"sum(rate(pointsman_upstream_attempts_total{{{U}}}{RATE}))")), "percentunit",
             "Rate limits, server errors, timeouts, no connection, broken answers; before retries and fallbacks.", [(None, "green"), (0.05, "yellow"), (0.2, "red")]),
        stat("In flight", Q(f"sum(pointsman_upstream_in_flight{{{U}}})"), "short", "Requests that providers are answering now."),
        stat("Retries refused", Q(f"sum(increase(pointsman_retries_refused_total{{{N}}}[$__range]))"), "short", "Failed attempts that were not tried again because `retry.budget` was spent.", [(None, "green"), (1, "red")]),
        Row("Health and breaker"),
        state("Health of peers", Q(f"min by (provider, peer) (pointsman_upstream_healthy{{{U}}})", "{{provider}} {{peer}}"), "short", "1 while a peer gets requests, 0 while health checks or its failures eject it."),
        lines("Ejections", Q(rate("upstream_ejections_total", U, "provider, cause"), "{{provider}}: {{cause}}"), "short", "Times a second that the breaker or a health check took a peer out.", stack="normal"),
        lines("Requests in flight", Q(f"sum by (provider) (pointsman_upstream_in_flight{{{U}}})", "{{provider}}"), "short", "At `max_concurrent` the next request is refused or falls back."),
        lines("Requests by key", Q(rate("provider_key_requests_total", U, "provider, key"), "{{provider}}: {{key}}"), "reqps", "Of providers with several keys.", stack="normal"),
        lines("Keys that rest", Q(f"max by (provider, key) (pointsman_provider_key_resting{{{U}}})", "{{provider}}: {{key}}"), "short", "1 while a key rests, because it was rate-limited (429) or refused (401, 403)."),
        lines("Credentials", [
            Q(rate("credential_renewals_total", U, "provider, outcome"), "{{provider}}: {{outcome}}"),
            Q(f"min by (provider) (pointsman_credential_expiry_timestamp_seconds{{{U}}} > 0) - time()", "{{provider}}: seconds left"),
        ], "short", "Fetches of credentials that renew themselves, and how long the present ones are good. Seconds that fall below a minute mean that renewal fails."),
        Row("Attempts"),
        lines("Attempts by outcome", Q(rate("upstream_attempts_total", U, "provider, outcome"), "{{provider}}: {{outcome}}"), "reqps", "Requests sent to providers, retries and fallbacks included.", stack="normal"),
        lines("Share that fails", Q(share(rate("upstream_attempts_total", f"{U}, {FAILED}", "provider"), rate("upstream_attempts_total", U, "provider")), "{{provider}}"), "percentunit", "Of the attempts at a provider, those that failed through no fault of the client's.", [(None, "green"), (0.05, "yellow"), (0.2, "red")]),
        lines("Attempts for each request", Q(share(f"sum(rate(pointsman_upstream_attempts_total{{{U}}}{RATE}))", f"sum(rate(pointsman_request_duration_seconds_count{{{N}}}{RATE}))"), "attempts"), "short", "1 when nothing is tried again."),
        Row("Pace"),
        lines("First token", [Q(quantile(q, "first_token_seconds", M, "model"), f"{{{{model}}}} p{q * 100:g}") for q in (0.5, 0.95)], "s", "From a request's first byte to the first words of its streamed answer, by the model that answered.", log=True),
        lines("First byte", [Q(quantile(q, "first_byte_seconds", M, "model"), f"{{{{model}}}} p{q * 100:g}") for q in (0.5, 0.95)], "s", "From a request's first byte to its answer's first, by the model that answered.", log=True),
        lines("Between chunks", [Q(quantile(q, "inter_chunk_seconds", M, "model"), f"{{{{model}}}} p{q * 100:g}") for q in (0.5, 0.95)], "s", "Time between two chunks of a streamed answer: what readers feel.", log=True),
        lines("Tokens a second", Q(quantile(0.5, "tokens_per_second", M, "model"), "{{model}}"), "short", "Output tokens by the time from the first chunk to the last, median over streams."),
        lines("Broken streams", Q(rate("broken_streams_total", M, "model, cause"), "{{model}}: {{cause}}"), "reqps", "`cut`: the connection broke or fell silent. `unfinished`: it ended without its API's mark.", stack="normal"),
    ],
)

FLEET = Dashboard(
    "fleet", "Reloads and fleet", "What each instance runs, and whether they agree.", ["instance"],
    [
        Row("At a glance"),
        stat("Instances", Q(f"count(pointsman_build_info{{{N}}})"), "short", "Instances that are scraped."),
        stat("Configurations", Q(f"count(count by (sha256) (pointsman_config_info{{{N}}}))"), "short", "Mixed generations: more than one for longer than a rollout takes is a fault.", [(None, "green"), (2, "red")]),
        stat("Bundles of a classifier", Q(f"max(count by (classifier) (count by (classifier, sha256) (pointsman_model_info{{{N}}})))"), "short", "Mixed weights: more than one for longer than a rollout takes is a fault.", [(None, "green"), (2, "red")]),
        stat("Reload refused", Q(f"sum(1 - pointsman_config_last_reload_successful{{{N}}})"), "short", "Instances whose last reload was refused; what served before keeps serving there.", [(None, "green"), (1, "red")]),
        Row("Generations"),
        lines("Generations", Q(f"pointsman_generation{{{N}}}", "{{instance}}"), "short", "Counts the configurations and weights that served in a process, from 1; a restart starts again.", step=True),
        lines("Mixed generations", [
            Q(f"count(count by (sha256) (pointsman_config_info{{{N}}}))", "configurations"),
            Q(f"count by (classifier) (count by (classifier, sha256) (pointsman_model_info{{{N}}}))", "bundles of {{classifier}}"),
        ], "short", "More than one for longer than a rollout takes raises `PointsmanMixedConfigurations` or `PointsmanMixedWeights`.", [(None, "green"), (2, "red")], step=True),
        lines("Reloads", Q(f"sum by (outcome) (increase(pointsman_config_reloads_total{{{N}}}{RATE}))", "{{outcome}}"), "short", "By outcome. `rejected`: the file or a bundle was bad and the old state serves on.", stack="normal"),
        state("Last reload", Q(f"pointsman_config_last_reload_successful{{{N}}}", "{{instance}}"), "short", "1 if the last attempt to load the configuration succeeded."),
        lines("Age of the configuration", Q(f"time() - pointsman_config_last_reload_success_timestamp_seconds{{{N}}}", "{{instance}}"), "s", "Since the last successful load."),
        lines("Shared store", [Q(f"pointsman_store_available{{{N}}}", "{{instance}}: available"), Q(rate("store_errors_total", N, "operation"), "errors: {{operation}}")], "short", "1 while the store that replicas share answers; commands a second that failed."),
        Row("File watches"),
        state("Watches missing", Q(f"pointsman_file_watches_missing{{{N}}}", "{{instance}}"), "short", "Folders whose changes only the looks at the stamps find, every few seconds; 0 when all are watched."),
        lines("Changes of files", Q(rate("file_changes_total", N, "cause"), "{{cause}}"), "short", "Changes of the configuration, bundles, certificates and secrets that started a reload, by what made it look: `interval` alone means that events are missing.", stack="normal"),
        lines("Watches", [Q(f"pointsman_file_watches{{{N}}}", "{{instance}}: folders"), Q(rate("file_looks_total", N, "instance"), "{{instance}}: looks a second")], "short", "Folders that are watched, and looks at the stamps of their files."),
        lines("Watches lost", [Q(rate("file_watches_lost_total", N, "instance"), "{{instance}}: lost"), Q(rate("file_watch_errors_total", N, "instance"), "{{instance}}: errors")], "short", "Watches that ended with their folder, and those that the system refused. They are put up again at the next look.", stack="normal"),
        Row("Source of the configuration"),
        lines("Questions to the source", Q(rate("config_source_checks_total", N, "outcome"), "{{outcome}}"), "reqps", "Of a configuration that is fetched, by what came of them. `refused`: unsigned, too large or older; `failed`: the source is away and what served serves on.", stack="normal"),
        lines("Source last reached", Q(f"time() - pointsman_config_source_reached_timestamp_seconds{{{N}}}", "{{instance}}"), "s", "Since the source of a configuration that is fetched last answered as it should."),
        table("Versions", Q(f"pointsman_config_source_info{{{N}}}"), "short", "By the kind of the source, and the commit or the server's tag."),
        Row("Who runs what"),
        table("Configurations", Q(f"pointsman_config_info{{{N}}}"), "short", "By the beginning of the file's SHA-256."),
        table("Bundles", Q(f"pointsman_model_info{{{N}}}"), "short", "Version and checksum of what each classifier runs."),
        table("Binaries", Q(f"pointsman_build_info{{{N}}}"), "short", "Versions of Pointsman."),
        Row("Load"),
        lines("Connections", Q(f"pointsman_downstream_connections{{{N}}}", "{{instance}}"), "short", "Of clients, open now; `limits.max_connections` bounds them."),
        lines("Bodies in flight", Q(f"pointsman_request_body_bytes_in_flight{{{N}}}", "{{instance}}"), "bytes", "Memory that request bodies take; `limits.max_bytes_in_flight` bounds it."),
        lines("Refused connections", Q(rate("downstream_connections_refused_total", N, "reason"), "{{reason}}"), "cps", "Closed before they brought a request: more than `limits.max_connections`, a TLS handshake that failed, a header that took longer than `limits.header`.", stack="normal"),
        lines("WebSockets", Q(f"pointsman_websockets{{{N}}}", "{{instance}}: {{kind}}"), "short", "Of clients, open now: `responses` are routed message by message, `pass_through` are not read. `limits.websocket.max_open` bounds both."),
        lines("WebSockets closed", [Q(rate("websockets_closed_total", N, "kind, reason"), "{{kind}}: {{reason}}"), Q(rate("websockets_refused_total", N, "reason"), "refused: {{reason}}")], "cps", "Why they ended, and those that were not opened.", stack="normal"),
        lines("WebSocket messages", [Q(rate("websocket_messages_total", N, "direction, kind"), "{{direction}}: {{kind}}"), Q(rate("websocket_upstream_requests_total", N, "connection"), "to providers: {{connection}}")], "ops", "Messages of routed WebSockets, and requests that went on to a provider by WebSocket, by what became of the connection."),
        lines("Admin callers refused", Q(rate("admin_refusals_total", N, "reason"), "{{reason}}"), "reqps", "Requests to the admin plane without a token or certificate, with a wrong token, or with a role that does not reach.", stack="normal"),
        lines("Decisions without a request", Q(rate("decision_questions_total", N, "question"), "{{question}}"), "reqps", "Clients that asked which model would answer, on listeners with `decisions: true`; nothing was sent for them.", stack="normal"),
        lines("Requests by instance", Q(rate("request_duration_seconds_count", N, "instance"), "{{instance}}"), "reqps", "Whether load is spread evenly.", stack="normal"),
        Row("Envoy"),
        lines("Requests that Envoy asks about", Q(rate("ext_proc_requests_total", N, "outcome"), "{{outcome}}"), "reqps", "By what became of them. `unjudged` and `protocol` want a look: docs/envoy.md.", stack="normal"),
        lines("Messages of Envoy's", Q(rate("ext_proc_messages_total", N, "phase"), "{{phase}}"), "cps", "By the phase of an exchange. Phases that nobody needs cost both sides: `--print-envoy` leaves them out.", stack="normal"),
        lines("Streams of Envoy's", Q(f"pointsman_ext_proc_streams{{{N}}}", "{{instance}}"), "short", "Open now; one for each request, until what it asks is answered."),
        lines("Decisions for Envoy", [Q(quantile(q, "ext_proc_decision_seconds", N, "instance"), f"{{{{instance}}}} p{q * 100:g}") for q in (0.5, 0.99)], "s", "From the last byte of a body to the answer about it. Envoy's `message_timeout` bounds it.", log=True),
    ],
)

DASHBOARDS = [TRAFFIC, QUALITY, SERVING, UPSTREAMS, FLEET]
