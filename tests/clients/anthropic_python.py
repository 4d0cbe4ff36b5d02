"""The anthropic SDK passes through the proxy to the default provider: `make clients` runs this."""

from __future__ import annotations

import anthropic
from gateway import Upstream, run


def a_message_passes_untouched(url: str, upstream: Upstream) -> None:
    client = anthropic.Anthropic(base_url=url, api_key="sk-of-the-client", max_retries=0, timeout=30)
    turns = [{"role": "user", "content": "What is the capital of France?"}]

    answer = client.messages.create(model="claude-next", max_tokens=64, messages=turns)

    request = upstream.requests.get_nowait()
    assert answer.content[0].text == "by claude-next"
    assert request["path"] == "/v1/messages", request["path"]
    assert request["body"]["model"] == "claude-next"
    assert request["headers"]["authorization"] == "Bearer sk-of-the-client", "the default provider takes the client's key"


if __name__ == "__main__":
    run([a_message_passes_untouched], default_provider="upstream")
