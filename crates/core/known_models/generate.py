"""Writes models.json: list prices, windows and abilities of hosted models, from the price file of the package litellm.

Usage: generate.py [WHEEL]; without a wheel, pip fetches the newest one. `make prices` does that. Only the package's
data file is read: nothing of it is run or installed.
"""

import datetime
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

HERE = Path(__file__).parent
DATA = "litellm/model_prices_and_context_window_backup.json"

# The vendors whose models are kept, by what litellm calls their services, and the prefixes that it adds to names.
VENDORS: dict[str, tuple[list[str], list[str]]] = {
    "openai": (["openai", "text-completion-openai"], []),
    "anthropic": (["anthropic"], []),
    "azure": (["azure", "azure_ai"], ["azure/", "azure_ai/"]),
    "bedrock": (["bedrock", "bedrock_converse", "bedrock_mantle"], ["bedrock_mantle/"]),
    "gemini": (["gemini"], ["gemini/"]),
    "vertex": (["vertex_ai-language-models", "vertex_ai-anthropic_models"], ["vertex_ai/"]),
    "deepseek": (["deepseek"], ["deepseek/"]),
    "mistral": (["mistral"], ["mistral/"]),
    "xai": (["xai"], ["xai/"]),
    "groq": (["groq"], ["groq/"]),
    "moonshot": (["moonshot"], ["moonshot/"]),
    "dashscope": (["dashscope"], ["dashscope/"]),
    "together": (["together_ai"], ["together_ai/"]),
    "fireworks": (["fireworks_ai"], ["fireworks_ai/accounts/fireworks/models/", "fireworks_ai/"]),
    "perplexity": (["perplexity"], ["perplexity/"]),
    "cohere": (["cohere", "cohere_chat"], []),
    "cerebras": (["cerebras"], ["cerebras/"]),
}
MODES = ("chat", "completion", "responses", "embedding")
# The service whose models complete texts and do nothing else.
COMPLETIONS = "text-completion-openai"
# Prices by region and for reserved capacity: which of them holds cannot be told from a request.
SKIPPED = re.compile(r"^(azure/(eu|us|global|global-standard)/|bedrock/)")
# Windows that are the prompt's alone; all others are prompt and answer together.
PROMPT_ONLY = {272_000, 922_000}
PROMPT_ONLY_VENDORS = {"gemini", "vertex"}
RATES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}
KINDS = {
    "input_audio": "input_cost_per_audio_token",
    "output_audio": "output_cost_per_audio_token",
    "input_image": "input_cost_per_image_token",
    "output_image": "output_cost_per_image_token",
    "reasoning": "output_cost_per_reasoning_token",
}
TIERS = {"flex": "flex", "priority": "priority", "batch": "batches"}
ABILITIES = {
    "tools": ("supports_function_calling", None),
    "images": ("supports_vision", "image"),
    "audio": ("supports_audio_input", "audio"),
    "files": ("supports_pdf_input", None),
    "json_schema": ("supports_response_schema", None),
}


def fetch(folder: Path) -> Path:
    """Downloads the newest wheel."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "litellm"]
    subprocess.run([*pip, "--dest", str(folder)], check=True)
    return next(folder.glob("litellm-*.whl"))


def per_million(dollars: object) -> float | None:
    """Returns US dollars per million tokens, without the dust of binary fractions."""
    if not isinstance(dollars, int | float):
        return None
    return plain(float(f"{dollars * 1e6:.9g}"))


def plain(number: float) -> float:
    return int(number) if number == int(number) else number


def rates(entry: Entry, suffix: str = "") -> Entry:
    found = {ours: per_million(entry.get(theirs + suffix)) for ours, theirs in RATES.items()}
    # A write that costs nothing is one that is not reported.
    return {ours: rate for ours, rate in found.items() if rate is not None and (rate or not ours.startswith("cache_w"))}


def steps(entry: Entry) -> list[Entry]:
    """Returns the prices of long prompts: of whole requests, from a number of prompt tokens on."""
    limits = {
        int(found[1]) for key in entry if (found := re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", key))
    }
    by_name = [{"tokens": limit * 1000, **rates(entry, f"_above_{limit}k_tokens")} for limit in sorted(limits)]
    ranges = [each for each in entry.get("tiered_pricing", [])[1:] if each.get("input_cost_per_token")]
    by_range = [{"tokens": int(each["range"][0]), **rates(each)} for each in ranges]
    return [step for step in by_name or by_range if "input" in step and "output" in step][:3]


def service_tiers(entry: Entry, price: Entry) -> Entry:
    """Returns what each service tier multiplies the price by: by the output where both are known, as it weighs more."""
    found: Entry = {}
    for ours, theirs in TIERS.items():
        for ours_rate in ("output", "input"):
            rate = per_million(entry.get(f"{RATES[ours_rate]}_{theirs}"))
            if rate is not None and price[ours_rate]:
                found[ours] = plain(round(rate / price[ours_rate], 6))
                break
    special = entry.get("provider_specific_entry") or {}
    for ours, theirs in {"fast": "fast", "us_only": "us"}.items():
        if isinstance(special.get(theirs), int | float):
            found[ours] = plain(special[theirs])
    return found


def price_of(entry: Entry) -> Entry | None:
    tiered = entry.get("tiered_pricing") or [{}]
    price = rates({**tiered[0], **entry})
    if "input" not in price:
        return None
    price.setdefault("output", 0)
    for ours, theirs in KINDS.items():
        rate = per_million(entry.get(theirs))
        like = price["output" if ours.startswith("output") or ours == "reasoning" else "input"]
        if rate is not None and rate != like:
            price[ours] = rate
    price["above"] = steps(entry)
    price["service_tiers"] = service_tiers(entry, price)
    if not price["above"]:
        del price["above"]
    return price


def lacking(entry: Entry) -> list[str]:
    """Returns the abilities that the model is said not to have. Silence is no word, but of a model that never chats."""
    if entry["mode"] == "embedding" or entry["litellm_provider"] == COMPLETIONS:
        return [ability for ability in ABILITIES if not takes(entry, ability)]
    modalities = entry.get("supported_modalities")

    def lacks(flag: str, modality: str | None) -> bool:
        if isinstance(entry.get(flag), bool):
            return not entry[flag]
        return modality is not None and isinstance(modalities, list) and modality not in modalities

    return [ability for ability, (flag, modality) in ABILITIES.items() if lacks(flag, modality)]


def takes(entry: Entry, ability: str) -> bool:
    """Returns whether a model that embeds or completes texts is said to have an ability: by a flag or by a price."""
    flag, modality = ABILITIES[ability]
    if entry.get(flag) or (modality and entry.get(f"supports_embedding_{modality}_input")):
        return True
    prices = (key for key in entry if modality and key.startswith(f"input_cost_per_{modality}"))
    return modality is not None and (modality in (entry.get("supported_modalities") or []) or any(prices))


def facts(vendor: str, entry: Entry) -> Entry | None:
    price = price_of(entry)
    if price is None:
        return None
    prompt, answer = entry.get("max_input_tokens"), entry.get("max_output_tokens")
    known: Entry = {"price": price}
    if isinstance(prompt, int) and prompt > 0:
        alone = prompt in PROMPT_ONLY or vendor in PROMPT_ONLY_VENDORS
        known["context"] = prompt + answer if alone and isinstance(answer, int) else prompt
    if isinstance(answer, int) and answer > 0 and entry["mode"] != "embedding":
        known["max_output"] = answer
    if lacks := lacking(entry):
        known["lacks"] = lacks
    return known


def collect(data: dict[str, Entry]) -> dict[str, dict[str, Entry]]:
    vendor_of = {service: vendor for vendor, (services, _) in VENDORS.items() for service in services}
    found: dict[str, dict[str, Entry]] = {vendor: {} for vendor in VENDORS}
    for name, entry in data.items():
        vendor = vendor_of.get(entry.get("litellm_provider", ""))
        if vendor is None or entry.get("mode") not in MODES or SKIPPED.match(name):
            continue
        prefix = next((prefix for prefix in VENDORS[vendor][1] if name.startswith(prefix)), "")
        known = facts(vendor, entry)
        if known is not None:
            found[vendor].setdefault(name.removeprefix(prefix).lower(), known)
    return found


def write(found: dict[str, dict[str, Entry]], head: Entry) -> None:
    def line(name: str, value: object) -> str:
        return f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}"

    vendors = []
    for vendor, models in found.items():
        rows = ",\n".join(line(name, models[name]) for name in sorted(models))
        vendors.append(f"{json.dumps(vendor)}:{{\n{rows}\n}}")
    heads = ",\n".join(line(key, value) for key, value in head.items())
    (HERE / "models.json").write_text(f'{{\n{heads},\n"vendors":{{\n' + ",\n".join(vendors) + "\n}}\n")


def main() -> None:
    """Reads the wheel and writes the file."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(sys.argv[1]) if sys.argv[1:] else fetch(Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            data = json.loads(archive.read(DATA))
    head = {
        "source": f"litellm {wheel.name.split('-')[1]} (PyPI), {DATA.split('/')[1]}",
        "license": "MIT License, copyright (c) 2023 Berri AI",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    found = collect(data)
    write(found, head)
    print(f"{head['source']}: {sum(map(len, found.values()))} models of {len(found)} vendors")


if __name__ == "__main__":
    main()
