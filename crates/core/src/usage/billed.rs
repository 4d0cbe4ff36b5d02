//! The cost that a provider itself says in its usage.

use serde_json::Value;

/// The parts that xAI counts dollars in.
const TICKS_PER_DOLLAR: f64 = 1e10;

/// Returns the cost in US dollars: `cost` (OpenRouter; Perplexity says it in parts), or xAI's ticks.
///
/// With a key of the client's own at a vendor behind OpenRouter, `cost` is the fee alone, and the vendor's bill is in the
/// details.
pub(super) fn billed(usage: &Value) -> Option<f64> {
    let cost = &usage["cost"];
    let said = number(cost).or_else(|| number(&cost["total_cost"]));
    let elsewhere = || number(&usage["cost_details"]["upstream_inference_cost"]).filter(|_| usage["is_byok"] == true);
    let ticks = || number(&usage["cost_in_usd_ticks"]).map(|ticks| ticks / TICKS_PER_DOLLAR);
    let dollars = said.map(|said| said + elsewhere().unwrap_or_default()).or_else(ticks)?;
    Some(dollars).filter(|dollars| dollars.is_finite() && *dollars >= 0.0)
}

/// Reads a number, or a text that is one: amounts of money are often written so.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}
