"""Conversations of several turns through the public SDKs.

They have tools, reminders beside the results of tools, and short replies.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from typing import Any

import anthropic
import openai

from asks import AGAIN, EASY, HARD
from script import ScriptedModel, Step
from wire import JsonObject

KEY = "sk-of-the-client"
SECONDS = itertools.count()
REMINDER = """\
<system-reminder>
Prove the complexity of every algorithm that you touch, and derive tight bounds.
</system-reminder>"""
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
FUNCTION = {"name": "read", "description": "Reads a file.", "parameters": PARAMETERS}
SCRIPT = {
    EASY: [
        Step("I look.", (("read", {"path": "main.rs"}),)),
        Step("Once more.", (("read", {"path": "lib.rs"}),)),
        Step("Hello. More?"),
    ],
    "yes": [Step("I do.", (("read", {"path": "Cargo.toml"}),)), Step("Done.")],
    HARD: [Step("I look.", (("read", {"path": "main.rs"}),)), Step("The first half.")],
    "continue": [Step("The second half.")],
    AGAIN: [Step("Four of them.")],
}
ORDER = [EASY, "yes", HARD, "continue", AGAIN]


def system(of: str) -> str:
    """Returns a client's own instructions, which hold a clock, as many do."""
    return f"You are the coding assistant of {of}. It is 2026-11-29 08:00:{next(SECONDS) % 60:02}."


def openai_chat_completions(url: str, upstream: ScriptedModel) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    converse_in_chat(upstream, client.chat.completions.create, "auto")


def litellm_chat_completions(url: str, upstream: ScriptedModel) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches one as it is imported
    import litellm

    def complete(**arguments: Any) -> Any:
        return litellm.completion(api_base=f"{url}/v1", api_key=KEY, num_retries=0, **arguments)

    converse_in_chat(upstream, complete, "openai/auto")


def converse_in_chat(upstream: ScriptedModel, complete: Callable[..., Any], model: str) -> None:
    """Asks everything in one conversation, with a reminder as a turn of its own behind each tool's result."""
    upstream.script = SCRIPT
    messages: list[JsonObject] = [{}]
    for ask in ORDER:
        messages.append({"role": "user", "content": ask})
        while True:
            messages[0] = {"role": "system", "content": system(model)}
            answer = complete(model=model, messages=messages, tools=[{"type": "function", "function": FUNCTION}])
            message = answer.choices[0].message
            messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
            if not message.tool_calls:
                break
            error = {"role": "tool", "content": "error: no such file"}
            messages += [{**error, "tool_call_id": call.id} for call in message.tool_calls]
            messages.append({"role": "user", "content": REMINDER})


def openai_responses(url: str, upstream: ScriptedModel) -> None:
    upstream.script = SCRIPT
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    items: list[JsonObject] = []
    for ask in ORDER:
        items.append(
            {
                "role": "user",
                "content": [{"type": "input_text", "text": f"{REMINDER}\n"}, {"type": "input_text", "text": ask}],
            }
        )
        while True:
            tools: list[JsonObject] = [{"type": "function", **FUNCTION}]
            answer = client.responses.create(
                model="auto", instructions=system("responses"), input=items, tools=tools, store=False
            )
            items += [item.model_dump(exclude_none=True) for item in answer.output]
            calls = [item for item in answer.output if item.type == "function_call"]
            if not calls:
                break
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": "no such file"} for call in calls
            ]


def anthropic_messages(url: str, upstream: ScriptedModel) -> None:
    upstream.script = SCRIPT
    client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)
    tools: list[JsonObject] = [{"name": "read", "description": "Reads a file.", "input_schema": PARAMETERS}]
    messages: list[JsonObject] = []
    for ask in ORDER:
        messages.append(
            {"role": "user", "content": [{"type": "text", "text": REMINDER}, {"type": "text", "text": ask}]}
        )
        while True:
            answer = client.messages.create(
                model="auto", max_tokens=256, system=system("messages"), messages=messages, tools=tools
            )
            messages.append(
                {"role": "assistant", "content": json.loads(answer.model_dump_json(exclude_none=True))["content"]}
            )
            uses = [block for block in answer.content if block.type == "tool_use"]
            if not uses:
                break
            results = [
                {"type": "tool_result", "tool_use_id": use.id, "is_error": True, "content": "no such file"}
                for use in uses
            ]
            messages.append({"role": "user", "content": [*results, {"type": "text", "text": REMINDER}]})


CONVERSATIONS = [openai_chat_completions, litellm_chat_completions, openai_responses, anthropic_messages]
