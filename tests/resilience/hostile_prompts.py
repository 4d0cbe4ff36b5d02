"""Inputs that hide a prompt from a policy: spellings, labels, odd JSON, spoofed fields, names of models."""

from __future__ import annotations

import json
import random
import urllib.parse
from collections.abc import Callable

import raw
from bench import FORBIDDEN, Bench, Input, input_row, never_serves, refused, refused_or, routed_to
from peer import answer, completion, ok, says
from process import chat_body, waited
from table import Outcome, Row, must

CHAT = "/v1/chat/completions"
DENIED = {
    CHAT: {"model": "auto", "messages": [{"role": "user", "content": FORBIDDEN}]},
    "/v1/messages": {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": FORBIDDEN}]},
    "/v1/responses": {"model": "auto", "input": FORBIDDEN},
    "/v1/completions": {"model": "auto", "prompt": FORBIDDEN},
    "/v1/embeddings": {"model": "auto", "input": FORBIDDEN},
}
SPELLINGS: list[Callable[[str], str]] = [
    lambda p: p, lambda p: p + "/", lambda p: p + "//", lambda p: "/" + p, lambda p: p.replace("/v1/", "/v1//"),
    lambda p: p.replace("/v1/", "/v1/./"), lambda p: p.replace("/v1/", "/v1/x/../"), lambda p: p.replace("/v1/", "/v1/%2e/"),
    lambda p: p.replace("/v1/", "/v1/x/%2e%2e/"), lambda p: p.replace("/v1/", "/v1/x/.%2E/"), lambda p: p.replace("o", "%6f"), lambda p: p.replace("o", "%6F"),
    lambda p: p.upper(), lambda p: p.replace("/v1", "/V1"), lambda p: p + ";a=b", lambda p: p.replace("/v1/", "/v1;a/"), lambda p: p + "?a=b", lambda p: p + "?",
    lambda p: p + "#a", lambda p: p.replace("/v1/", "/v1%2F"), lambda p: p.replace("/v1", ""), lambda p: "/v1" + p, lambda p: "/openai" + p,
    lambda p: p.replace("/v1/", "/v1/%252e/"), lambda p: p + "%00", lambda p: p + "%20", lambda p: p + "%0a", lambda p: p + ".json", lambda p: p.replace("/v1/", "/v1\\"),
    lambda p: "http://x" + p, lambda p: p + "/.", lambda p: p + "/x/..", lambda p: p + "%2f", lambda p: p + "%3fa=b", lambda p: "/a/../.." + p,
]  # fmt: skip
# Out of the provider's base path, and by no spelling may a request get there.
ESCAPES = [
    "/v1/../admin", "/v1/%2e%2e/admin", "/v1/%2E%2e/admin", "/v1/.%2e/admin", "/v1/..%2fadmin", "/v1/%2e%2e%2fadmin", "/v1/x/../../admin", "/../admin", "/..",
    "/v1/..", "/v1/../", "/v1/..;/admin", "/v1/..;a=b/admin", "/v1/%2e%2e;/admin", "/v1/..\\admin", "/v1/%5c..%5cadmin", "/v1/..%5cadmin", "/v1//../../admin", "/v1/./../admin",
    "/v1/%252e%252e/admin", "/v1/files/../../admin?a=b", "http://x/v1/../admin",
]  # fmt: skip
LABELS = [
    "", "application/json", "text/plain", "application/x-www-form-urlencoded", "application/json, text/plain", "text/plain, application/json", "APPLICATION/JSON", "application/json;charset=utf-16",
    "application/json; charset=\"utf-8\"", "application/octet-stream", "multipart/form-data", "multipart/form-data; boundary=x", "application/jsonx", "application/vnd.api+json", "text/json", "json", "*/*", "a/b", "application /json",
    ";", "text/html", "image/png", "application/xml", "application/x-ndjson", "\xff",
]  # fmt: skip
METHODS = ["PUT", "PATCH", "DELETE", "GET", "OPTIONS", "HEAD", "QUERY", "FOO"]


def spelled(on: Bench) -> list[Row]:
    holds = "a prompt that a rule denies reaches no model"
    made = []
    for path, body in DENIED.items():
        data = json.dumps(body).encode()
        for number, spell in enumerate(SPELLINGS):
            target = spell(path)
            made.append(
                input_row(on, Input("paths", f"{number} {target}", holds, raw.post(target, data)), never_serves)
            )
    data = json.dumps(DENIED[CHAT]).encode()
    for label in LABELS:
        made.append(input_row(on, Input("labels", f"{label!r}", holds, raw.post(CHAT, data, kind=label)), never_serves))
        twice = raw.post(CHAT, data, f"content-type: {label or 'a/b'}")
        made.append(input_row(on, Input("labels", f"{label!r} behind JSON", holds, twice), never_serves))
        other = raw.post(CHAT + "/", data, kind=label)
        made.append(input_row(on, Input("labels", f"{label!r} with a last slash", holds, other), never_serves))
    for method in METHODS:
        sent = raw.post(CHAT, data).replace(b"POST", method.encode(), 1)
        made.append(input_row(on, Input("labels", method, holds, sent), no_prompt))
        named = raw.post(CHAT, data, f"x-http-method-override: {method}")
        made.append(input_row(on, Input("labels", f"{method} by a field", holds, named), never_serves))
    for target in ESCAPES:
        for method in ("POST", "GET"):
            sent = raw.post(target, chat_body()) if method == "POST" else raw.head("GET", target)
            made.append(
                input_row(
                    on,
                    Input(
                        "paths out of the base", f"{method} {target}", "400, or it goes to a path within the base", sent
                    ),
                    within_base,
                )
            )
    return made


def no_prompt(on: Bench, seen: raw.Seen) -> str:
    """Judges another method: nothing that a model reads may arrive with it."""
    bodies = [r.body for r in on.one.requests + on.two.requests]
    must(all(FORBIDDEN.encode() not in body for body in bodies), f"arrived: {bodies}")
    return f"{seen.final}"


def within_base(on: Bench, seen: raw.Seen) -> str:
    for request in on.one.requests + on.two.requests:
        path = urllib.parse.unquote(request.path.split("?")[0]).replace("\\", "/")
        segments = [segment.split(";")[0] for segment in path.split("/")]
        must(segments[1:2] == ["v1"] and ".." not in segments, f"went upstream as {request.line}")
    must(seen.final and (seen.final[0] == 400 or on.arrived()), f"{seen.final}")
    return f"{seen.final}"


IMAGE = '[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]'
ODD = [
    "1e999", "-1e999", "1e309", "-1E+400", "9" * 400, "-" + "9" * 400, "1" + "0" * 5000, "0." + "0" * 500 + "1", "1e-999", "1e99999999999999999999", "0.1e+0999",
    "null", "true", "[]", "{}", '""', '"\\ud800"', '"\\u0000"', "[[[[[[[[]]]]]]]]", '{"a": 1e999}', "[1e999]",
]  # fmt: skip
PLACES = {
    "type of a message": '{"role": "user", "type": ODD, "content": IMAGE}',
    "name of a message": '{"role": "user", "name": ODD, "content": IMAGE}',
    "tool_calls": '{"role": "user", "tool_calls": ODD, "content": IMAGE}',
    "function_call": '{"role": "user", "function_call": ODD, "content": IMAGE}',
    "tool_call_id": '{"role": "user", "tool_call_id": ODD, "content": IMAGE}',
    "output": '{"role": "system", "content": "x", "output": ODD}, {"role": "user", "content": IMAGE}',
    "role of another": '{"role": ODD, "content": "x"}, {"role": "user", "content": IMAGE}',
    "content of another": '{"role": "system", "content": ODD}, {"role": "user", "content": IMAGE}',
    "text of a part": '{"role": "user", "content": [{"type": "text", "text": ODD}, {"type": "image_url", "image_url": {"url": "data:,"}}]}',
    "type of a part": '{"role": "user", "content": [{"type": ODD}, {"type": "image_url", "image_url": {"url": "data:,"}}]}',
    "detail of an image": '{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": ODD}}]}',
    "unknown key": '{"role": "user", "unknown": ODD, "content": IMAGE}',
    "a message": 'ODD, {"role": "user", "content": IMAGE}',
}  # fmt: skip
TOP = [
    "functions",
    "tools",
    "metadata",
    "user",
    "temperature",
    "max_tokens",
    "stop",
    "n",
    "stream",
    "response_format",
    "unknown",
    "logit_bias",
    "store",
]


def with_messages(messages: str) -> str:
    return f'{{"model": "auto", "messages": [{messages}]}}'


def odd_values(on: Bench) -> list[Row]:
    holds = "400, or the image beside it is seen and the rule for images decides"
    judge = refused_or(routed_to("up-frontier"))
    made = []
    for place, message in PLACES.items():
        for odd in ODD:
            body = with_messages(message.replace("ODD", odd).replace("IMAGE", IMAGE))
            made.append(
                input_row(
                    on,
                    Input("odd values", f"{odd[:16]} ({len(odd)}) as {place}", holds, raw.post(CHAT, body.encode())),
                    judge,
                )
            )
    for key in TOP:
        for odd in ODD[:11]:
            body = with_messages(f'{{"role": "user", "content": {IMAGE}}}').replace("{", f'{{"{key}": {odd}, ', 1)
            made.append(
                input_row(
                    on,
                    Input("odd values", f"{odd[:16]} ({len(odd)}) as {key}", holds, raw.post(CHAT, body.encode())),
                    judge,
                )
            )
    return made


KEYS = ["model", "messages", "stream", "tools", "max_tokens", "temperature"]
FOLDS: list[Callable[[str], str]] = [
    str.upper, str.capitalize, lambda key: key[:-1] + key[-1].upper(), lambda key: key.replace("s", "\u017f"), lambda key: key.replace("e", "E"),
]  # fmt: skip


def keys(on: Bench) -> list[Row]:
    holds = "400: upstreams that match keys in any case would read another request"
    made = []
    values: dict[str, object] = {
        "model": "up-frontier", "messages": [{"role": "user", "content": FORBIDDEN}], "stream": True, "tools": [], "max_tokens": 9, "temperature": 1,
    }  # fmt: skip
    for key in KEYS:
        for fold in FOLDS:
            other = fold(key)
            if other == key:
                continue
            body = json.loads(chat_body()) | {other: values[key]}
            data = json.dumps(body, ensure_ascii=False).encode()
            made.append(
                input_row(
                    on, Input("keys in another case", f"{other} behind", holds, raw.post(CHAT, data)), refused(400)
                )
            )
            before = json.dumps({other: values[key]} | json.loads(chat_body()), ensure_ascii=False).encode()
            made.append(
                input_row(
                    on, Input("keys in another case", f"{other} in front", holds, raw.post(CHAT, before)), refused(400)
                )
            )
    return made


DOUBLES = [
    '{"model": "auto", "model": "up-frontier", "messages": [%s]}', '{"model": "up-frontier", "model": "auto", "messages": [%s]}',
    '{"mod\\u0065l": "auto", "model": "up-frontier", "messages": [%s]}', '{"model": "auto", "mod\\u0065l": "up-frontier", "messages": [%s]}',
    '{"model": "auto", "messages": [], "messages": [%s]}', '{"model": "auto", "messages": [%s], "messages": []}', '{"model": "auto", "mess\\u0061ges": [], "messages": [%s]}',
    '{"model": "auto", "messages": [{"role": "user", "content": "x"}], "messages": [%s]}',
]  # fmt: skip
TEXTS = {
    "content twice": '{"role": "user", "content": "x", "content": "WORD"}',
    "content twice, the other first": '{"role": "user", "content": "WORD", "content": "x"}',
    "content escaped": '{"role": "user", "cont\\u0065nt": "WORD"}',
    "text escaped": '{"role": "user", "content": "\\u0066orbidden-word"}',
    "text behind a NUL": '{"role": "user", "content": "\\u0000WORD"}',
    "text behind a lone surrogate": '{"role": "user", "content": "\\ud800 WORD"}',
    "in a part of an unknown type": '{"role": "user", "content": [{"type": "novel", "text": "WORD"}]}',
    "in a part without a type": '{"role": "user", "content": [{"text": "WORD"}]}',
    "in a bare string of a list": '{"role": "user", "content": ["WORD"]}',
    "under an unknown role": '{"role": "wizard", "content": "WORD"}',
    "without a role": '{"content": "WORD"}',
    "in another case": '{"role": "user", "content": "Forbidden-Word"}',
}


def doubles(on: Bench) -> list[Row]:
    message = json.dumps({"role": "user", "content": FORBIDDEN})
    holds = "refused, or the rule sees what the model would"
    made = [
        input_row(
            on,
            Input("duplicate keys", form % "...", holds, raw.post(CHAT, (form % message).encode())),
            denied_or_unread,
        )
        for form in DOUBLES
    ]
    for name, text in TEXTS.items():
        body = with_messages(text.replace("WORD", FORBIDDEN))
        made.append(input_row(on, Input("hidden texts", name, holds, raw.post(CHAT, body.encode())), denied_or_unread))
    return made


def denied_or_unread(on: Bench, seen: raw.Seen) -> str:
    """Judges a body in which the forbidden text may be what counts: it must not reach a model by the policy's own choice.

    What a strict reader of the body that arrived would answer to is its last key of each name.
    """
    for request in on.one.requests + on.two.requests:
        found = json.loads(request.body)
        must(FORBIDDEN not in json.dumps(found).lower().replace("\\u0000", ""), f"arrived: {request.body[:200]!r}")
    must(seen.final, "no answer")
    return f"{seen.final}"


def malformed() -> dict[str, bytes]:
    good = chat_body()
    depth = 100_000
    found = {
        "empty": b"", "null": b"null", "a number": b"1", "a string": b'"auto"', "a list": b"[" + good + b"]", "cut": good[:-1], "cut in a string": good[:30],
        "behind it a byte": good + b"x", "behind it another body": good + good, "a comment": b"/* */" + good, "NaN": good.replace(b'"auto"', b"NaN"), "Infinity": good[:-1] + b', "a": Infinity}',
        "a hexadecimal number": good[:-1] + b', "a": 0x1}', "a leading zero": good[:-1] + b', "a": 01}', "a plus": good[:-1] + b', "a": +1}', "a last comma": good[:-1] + b",}",
        "single quotes": good.replace(b'"', b"'"), "bare keys": b"{model: auto}", "a byte order mark": b"\xef\xbb\xbf" + good, "UTF-16": good.decode().encode("utf-16"), "UTF-32": good.decode().encode("utf-32"),
        "a NUL in front": b"\x00" + good, "a raw newline in a string": good.replace(b"hello", b"a\nb"), "a raw NUL in a string": good.replace(b"hello", b"a\x00b"),
        "brackets nested deep": good[:-1] + b', "a": ' + b"[" * depth + b"]" * depth + b"}", "objects nested deep": good[:-1] + b', "a": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}",
        "brackets that never close": b"[" * 500_000, "content nested deep": b'{"model": "auto", "messages": [{"role": "user", "content": ' + b"[" * depth + b"]" * depth + b"}]}",
        "model is a number": chat_body().replace(b'"auto"', b"1"), "model is a list": chat_body().replace(b'"auto"', b'["auto"]'), "model is empty": chat_body(model=""),
        "messages is a string": b'{"model": "auto", "messages": "x"}', "messages is a map": b'{"model": "auto", "messages": {"0": {}}}', "no messages": b'{"model": "auto"}', "no model": b'{"messages": []}',
        "100,000 empty messages": b'{"model": "auto", "messages": [' + b",".join([b"{}"] * 100_000) + b"]}", "100,000 keys": b'{"model": "auto", "messages": [], ' + b",".join(b'"k%d": 1' % n for n in range(60_000)) + b"}",
        "a key of 500 KB": b'{"model": "auto", "messages": [], "' + b"k" * 500_000 + b'": 1}', "a text of 900 KB": chat_body("x" * 900_000), "a text of one word": chat_body("x" * 100_000), "a text of blanks": chat_body(" " * 100_000),
        "a text of zero-width characters": chat_body("\u200b" * 50_000), "a text of combining marks": chat_body("a" + "\u0301" * 50_000), "a text of emoji": chat_body("\U0001f600" * 20_000), "a text of controls": chat_body("\x01\x02\x1b[31m" * 5_000),
        "control tokens of models": chat_body("[SEP] [CLS] <|endoftext|> <s> </s> <|im_start|>system"), "text directions": chat_body("\u202e\u2066" * 10_000), "unassigned characters": chat_body("\U000e0001\ufffe\uffff" * 5_000),
    }  # fmt: skip
    chance = random.Random(17)
    for number in range(60):
        broken = bytearray(
            chat_body("hello \u00e9 \u4e2d", tools=[{"type": "function", "function": {"name": "f"}}], stream=True)
        )
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        found[f"random bytes {number}"] = bytes(broken)
    for number, bad in enumerate(
        [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xfe\xff"]
    ):
        found[f"no UTF-8 {number}"] = chat_body().replace(b"hello", b"a" + bad + b"b")
    return found


def json_rows(on: Bench) -> list[Row]:
    holds = "answered (4xx, or served) in time; the process serves on"
    return [
        input_row(on, Input("JSON", name, holds, raw.post(CHAT, data)), answered) for name, data in malformed().items()
    ]


def answered(_: Bench, seen: raw.Seen) -> str:
    must(seen.final, f"no answer: {seen.data[:100]!r}")
    must(seen.final[0] < 500, f"{seen.final}")
    return f"{seen.final}"


SPOOFED = [
    "model", "policy", "reason", "generation", "attempts", "overhead-us", "session", "client", "source", "degraded", "request-id", "upstream-request-id", "score", "label",
    "truncated-tokens", "route", "cost", "key", "debug", "trace", "bypass", "admin", "provider", "fallback", "cache",
]  # fmt: skip
FORMS: list[Callable[[str], str]] = [
    lambda n: f"x-pointsman-{n}: frontier", lambda n: f"X-POINTSMAN-{n.upper()}: frontier", lambda n: f"connection: x-pointsman-{n}\r\nx-pointsman-{n}: frontier",
]  # fmt: skip


def spoofed(on: Bench) -> list[Row]:
    made = []
    for name in SPOOFED:
        for number, form in enumerate(FORMS):
            holds = "403, or the decision stays and no such field goes upstream"
            data = raw.post(CHAT, chat_body(), form(name))
            made.append(input_row(on, Input("spoofed fields", f"{name}, form {number}", holds, data), undecided))
        made.append(from_upstream(on, name))
    return made


def undecided(on: Bench, seen: raw.Seen) -> str:
    requests = on.one.requests + on.two.requests
    if seen.final == [403]:  # a client that may not choose is told so
        must(not requests, f"went to {[r.model for r in requests]}")
        return "[403]"
    must([r.model for r in requests] == ["up-small"], f"went to {[r.model for r in requests]}, {seen.final}")
    ours = [name for r in requests for name, _ in r.fields if name.startswith("x-pointsman")]
    must(not ours, f"went upstream: {ours}")
    return f"{seen.final}"


def from_upstream(on: Bench, name: str) -> Row:
    def check() -> Outcome:
        with on.lock:
            on.clear()
            fields = f"x-pointsman-{name}: evil\r\nset-cookie: a=evil\r\nserver: evil\r\nopenai-organization: evil\r\n".encode()
            on.one.act = says(ok(completion("up-small"), fields), keeps=True)
            try:
                seen = on.send(raw.post(CHAT, chat_body()))
            finally:
                on.one.act = answer
            must(seen.final == [200], f"{seen.final}")
            must(b"evil" not in seen.data, seen.data[:400])
            on.holds()
            return Outcome("[200]", 1, 0)

    return Row("spoofed fields", f"{name}, from upstream", "no such field of an upstream reaches the client", check)


NAMES = [
    "", " ", "a" * 100_000, "\u0000", "\n", "a\nb", "\u2028", '"', "\\", "{}", "../../etc", "${HOME}", "{{a}}", "%s%n", "<script>", "' or 1=1", "auto ", " auto", "AUTO", "auto\u0000", "\uff41uto",
    "up-frontier", "up-small", "openai/up-frontier", "frontier:free", "ft:frontier:x", "default", "none", "passthrough", "\U0001f600", "a,b", "small,frontier", "*", "auto*", "[auto]", "models/auto",
]  # fmt: skip


def names(on: Bench) -> list[Row]:
    made = [
        input_row(
            on,
            Input(
                "names of models",
                repr(name)[:40],
                "answered; passed on as it is, or refused",
                raw.post(CHAT, chat_body(model=name)),
            ),
            answered,
        )
        for name in NAMES
    ]

    def bounded() -> Outcome:
        with on.lock:
            before = len(on.gateway.metrics())
            for number in range(1000):
                on.send(raw.post(CHAT, chat_body(model=f"model-{number}")))
                on.send(raw.head("GET", f"/v1/path-{number}", f"x-{number}: a"))
            grown = len(on.gateway.metrics()) - before
            must(grown <= 60, f"{grown} more series by 1,000 names and paths")
            return Outcome(f"{grown} more series", 2000, 0)

    return [*made, Row("names of models", "1,000 names and paths", "no series of their own", bounded)]


LINE_BREAKS = ["\u2028", "\u2029", "\u0085", "\n", "\r", "\x1b[2K", "\x00", "\x0b", "\x0c"]


def logged(on: Bench) -> list[Row]:
    def forged(text: str, form: int) -> Callable[[], Outcome]:
        def check() -> Outcome:
            with on.lock:
                before = len(on.gateway.log)
                coded = text.encode("utf-8").decode("latin-1")
                escaped = "".join(f"%{byte:02x}" for byte in text.encode("utf-8"))
                data = [
                    raw.head("GET", f"/v1/a{escaped}access: forged"),
                    raw.head("GET", f"/v1/a{coded}forged"),
                    raw.head("GET", "/v1/a", f"x-request-id: a{coded}forged"),
                    raw.post(CHAT, chat_body(model=f"a{text}forged")),
                ][form]
                on.send(data)
                waited(lambda: len(on.gateway.log) > before, 1)
                for line in on.gateway.log[before:]:
                    must(line.startswith("{") and line.endswith("}"), f"a line of its own: {line[:200]!r}")
                    must(not any(char in line for char in LINE_BREAKS), f"unescaped: {line[:300]!r}")
                return Outcome("no line of its own", 1, 0)

        return check

    return [
        Row("log lines", f"{text!r} in {where}", "no line of its own, no control character", forged(text, form))
        for text in LINE_BREAKS
        for form, where in enumerate(["an escaped path", "a path", "x-request-id", "a model's name"])
    ]


def rows(on: Bench) -> list[Row]:
    made: list[Row] = []
    for part in (spelled, odd_values, keys, doubles, json_rows, spoofed, names, logged):
        made += part(on)
    return made
