#!/usr/bin/env bash
# Half a streamed answer whose connection ends properly is a whole one to most of the vendors' SDKs, and Python's and Node's disagree on which.
#
# The server sends the beginning of a stream (no `finish_reason`, `response.completed`, `message_stop` or `finishReason`) and ends its chunked
# body as HTTP wants it, as a proxy does that has lost its upstream and closes the client's side cleanly. openai's accumulating helper for chat
# notices in Node and not in Python, the one for responses in Python and not in Node; anthropic's in Node and not in Python, where the message
# has no stop reason; google-genai in neither, whose chats keep the half turn in their history. No plain iteration notices. So a proxy must not end such
# a stream cleanly: it breaks the connection, or sends the API's error event.
#
# openai 3.57.0, anthropic 2.14.0, google-genai 3.6.1 (PyPI); openai 7.59.0, @anthropic-ai/sdk 1.14.0, @google/genai 3.3.0 (npm).
# Needs python3 with venv, node 20 and npm. Prints what each makes of the same half, and fails when that changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openai==3.57.0 anthropic==2.14.0 google-genai==3.6.1 >&2
npm install --silent --no-audit --no-fund openai@7.59.0 @anthropic-ai/sdk@1.14.0 @google/genai@3.3.0 >&2

cat >ask.mjs <<'JS'
import { GoogleGenAI } from "@google/genai";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const base = process.argv[2];
const messages = [{ role: "user", content: "hi" }];
const [model, stream, max_tokens] = ["m", true, 9];
const said = async (name, read) => {
  const outcome = await read().then((read) => `whole: ${read}`, (error) => `raises ${error.constructor.name}`);
  console.log(`node, ${name}: ${outcome}`);
};
const joined = async (events, text) => {
  let all = "";
  for await (const event of await events) all += text(event) ?? "";
  return all;
};
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "x", maxRetries: 0 });
await said("openai chat, iterated", () => joined(openai.chat.completions.create({ model, messages, stream }), (one) => one.choices[0].delta.content));
await said("openai chat, stream()", async () => (await openai.chat.completions.stream({ model, messages }).finalChatCompletion()).choices[0].message.content);
await said("openai responses, iterated", () => joined(openai.responses.create({ model, input: "hi", stream }), (one) => one.delta));
await said("openai responses, stream()", async () => (await openai.responses.stream({ model, input: "hi" }).finalResponse()).output_text);
const anthropic = new Anthropic({ baseURL: base, apiKey: "x", maxRetries: 0 });
await said("anthropic, iterated", () => joined(anthropic.messages.create({ model, max_tokens, messages, stream }), (one) => one.delta?.text));
await said("anthropic, stream()", async () => (await anthropic.messages.stream({ model, max_tokens, messages }).finalMessage()).content[0].text);
const google = new GoogleGenAI({ apiKey: "x", httpOptions: { baseUrl: base } });
await said("google-genai, iterated", () => joined(google.models.generateContentStream({ model, contents: "hi" }), (one) => one.text));
await said("google-genai, a chat", async () => {
  const chat = google.chats.create({ model });
  const text = await joined(chat.sendMessageStream({ message: "hi" }), (one) => one.text);
  return `${text}, ${chat.getHistory().length} turns kept`;
});
JS

cat >ask.py <<'PYTHON'
import http.server
import json
import subprocess
import threading

import anthropic
import openai
from google import genai


def events(*them, named=True):
    lines = ((f"event: {one['type']}\n" if named else "") + f"data: {json.dumps(one)}\n\n" for one in them)
    return "".join(lines).encode()


HALF = "half an ans"
part = {"type": "output_text", "text": "", "annotations": []}
item = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
response = {"id": "r", "object": "response", "created_at": 1, "status": "in_progress", "model": "m", "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
choice = {"index": 0, "delta": {"role": "assistant", "content": HALF}, "finish_reason": None}
at = {"item_id": "i", "output_index": 0, "content_index": 0}
HALVES = {
    "chat": events({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}, named=False),
    "responses": events(
        {"type": "response.created", "sequence_number": 0, "response": response},
        {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item},
        {"type": "response.content_part.added", "sequence_number": 2, "part": part} | at,
        {"type": "response.output_text.delta", "sequence_number": 3, "delta": HALF, "logprobs": []} | at,
    ),
    "messages": events(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": HALF}},
    ),
    "GenerateContent": events({"candidates": [{"content": {"role": "model", "parts": [{"text": HALF}]}, "index": 0}]}, named=False),
}


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        half = next(half for path, half in HALVES.items() if path in self.path)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(half), half))

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
messages = [{"role": "user", "content": "hi"}]


def said(name, read):
    try:
        print(f"python, {name}: whole: {read()}", flush=True)
    except Exception as error:
        print(f"python, {name}: raises {type(error).__name__}", flush=True)


def joined(stream, text):
    return "".join(text(one) or "" for one in stream)


def accumulated(manager, whole):
    with manager as stream:
        return whole(stream)


def chat():
    chat = google.chats.create(model="m")
    return f"{joined(chat.send_message_stream('hi'), lambda one: one.text)}, {len(chat.get_history())} turns kept"


client = openai.OpenAI(base_url=f"{base}/v1", api_key="x", max_retries=0)
said("openai chat, iterated", lambda: joined(client.chat.completions.create(model="m", messages=messages, stream=True), lambda one: one.choices[0].delta.content))
said("openai chat, stream()", lambda: accumulated(client.chat.completions.stream(model="m", messages=messages), lambda one: one.get_final_completion().choices[0].message.content))
said("openai responses, iterated", lambda: joined(client.responses.create(model="m", input="hi", stream=True), lambda one: getattr(one, "delta", "")))
said("openai responses, stream()", lambda: accumulated(client.responses.stream(model="m", input="hi"), lambda one: one.get_final_response().output_text))
client_of_messages = anthropic.Anthropic(base_url=base, api_key="x", max_retries=0)
asked = {"model": "m", "max_tokens": 9, "messages": messages}
said("anthropic, iterated", lambda: joined(client_of_messages.messages.create(**asked, stream=True), lambda one: getattr(getattr(one, "delta", None), "text", "")))
said("anthropic, stream()", lambda: accumulated(client_of_messages.messages.stream(**asked), lambda one: one.get_final_message().content[0].text))
google = genai.Client(api_key="x", http_options={"base_url": base})
said("google-genai, iterated", lambda: joined(google.models.generate_content_stream(model="m", contents="hi"), lambda one: one.text))
said("google-genai, a chat", chat)
subprocess.run(["node", "ask.mjs", base], check=True)
PYTHON
venv/bin/python ask.py | tee seen
diff - seen <<'SEEN'
python, openai chat, iterated: whole: half an ans
python, openai chat, stream(): whole: half an ans
python, openai responses, iterated: whole: half an ans
python, openai responses, stream(): raises RuntimeError
python, anthropic, iterated: whole: half an ans
python, anthropic, stream(): whole: half an ans
python, google-genai, iterated: whole: half an ans
python, google-genai, a chat: whole: half an ans, 2 turns kept
node, openai chat, iterated: whole: half an ans
node, openai chat, stream(): raises OpenAIError
node, openai responses, iterated: whole: half an ans
node, openai responses, stream(): whole: half an ans
node, anthropic, iterated: whole: half an ans
node, anthropic, stream(): raises AnthropicError
node, google-genai, iterated: whole: half an ans
node, google-genai, a chat: whole: half an ans, 2 turns kept
SEEN
