"""LangChain's models."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from translation.checks import (
    ANSWERS,
    IMAGE,
    KEY,
    PNG_BASE64,
    LoopClient,
    Place,
    failures,
    prompt,
    same,
    slow,
)
from translation.checks import weather as degrees
from translation.plays import TEXT


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return degrees(city)


class LangChain(LoopClient):
    """What the models share."""

    package = "langchain-core"

    def llm(self, **options: Any) -> Any:
        raise NotImplementedError

    def thinker(self) -> Any:
        raise NotImplementedError

    def text(self) -> None:
        answer = self.llm().invoke([("system", "Be brief."), ("user", prompt("text"))])
        same(
            (answer.text, answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]),
            (TEXT, 100, 20),
        )

    def stream(self) -> None:
        whole: Any = None
        for chunk in self.llm().stream(prompt("text")):
            whole = chunk if whole is None else whole + chunk
        same((whole.text, whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]), (TEXT, 100, 20))

    def loop(self, llm: Any, play: str, *, streamed: bool = False) -> tuple[AIMessage, str]:
        model = llm.bind_tools([weather])

        def turn(messages: list[Any]) -> Any:
            if not streamed:
                return model.invoke(messages)
            whole: Any = None
            for chunk in model.stream(messages):
                whole = chunk if whole is None else whole + chunk
            return whole

        messages: list[Any] = [HumanMessage(prompt(play))]
        first = turn(messages)
        messages.append(first)
        messages += [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in first.tool_calls]
        return first, turn(messages).text

    def tools(self) -> None:
        same(self.loop(self.llm(), "tools")[1], ANSWERS["tools"])

    def ended(self, play: str, *, streamed: bool = False) -> str:
        return self.loop(self.llm(), play, streamed=streamed)[1]

    def image(self) -> None:
        picture = {"type": "image", "base64": PNG_BASE64, "mime_type": "image/png"}
        same(self.llm().invoke([HumanMessage([{"type": "text", "text": prompt("image")}, picture])]).text, IMAGE)

    def structured(self) -> None:
        for method in ("json_schema", "function_calling"):
            same(
                self.llm().with_structured_output(Place, method=method).invoke(prompt("structured")),
                Place(city="Paris"),
            )

    def thinking(self) -> None:
        for streamed in (False, True):
            first, last = self.loop(self.thinker(), "thinking", streamed=streamed)
            shown = "".join(
                block.get("reasoning", "") for block in first.content_blocks if block["type"] == "reasoning"
            )
            self.note_thought(last, shown or None)

    def errors(self) -> None:
        for status, error in failures(lambda play: self.llm().invoke(prompt(play)), Exception):
            same(getattr(error, "status_code", None), status)

    def cancelled(self) -> None:
        run, asked = slow()
        stream = self.llm().stream(asked)
        next(chunk for chunk in stream if chunk.text)
        stream.close()
        self.left(run)


class Chat(LangChain):
    """ChatOpenAI over chat completions."""

    name = "langchain-openai, chat"
    own = "chat"
    responses = False

    def llm(self, **options: Any) -> ChatOpenAI:
        return ChatOpenAI(
            model=self.model, base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, stream_usage=True,
            use_responses_api=self.responses, **options,
        )  # fmt: skip

    def thinker(self) -> ChatOpenAI:
        return self.llm(reasoning_effort="high")


class Responses(Chat):
    """ChatOpenAI over responses."""

    name = "langchain-openai, responses"
    own = "responses"
    responses = True

    def thinker(self) -> ChatOpenAI:
        options: Any = {
            "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
        return self.llm(**options)


class Anthropic(LangChain):
    """ChatAnthropic."""

    name = "langchain-anthropic"
    own = "messages"
    prefix = "claude"

    def llm(self, **options: Any) -> ChatAnthropic:
        return ChatAnthropic(
            model=self.model, base_url=self.url, api_key=KEY, max_retries=0, **{"max_tokens": 4000, **options}
        )

    def thinker(self) -> ChatAnthropic:
        return self.llm(thinking={"type": "enabled", "budget_tokens": 2000})


CLIENTS = (Chat, Responses, Anthropic)
