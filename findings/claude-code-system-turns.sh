#!/usr/bin/env bash
# Claude Code 2.1.332 (npm @anthropic-ai/claude-agent-sdk 0.3.332): what its reminders look like depends on the model's name.
#
# For a name that it knows, `claude-sonnet-4-5`, the person's turn holds them: a dozen text blocks <system-reminder>...</system-reminder>
# in front of the words. For a name that it does not know, such as a gateway's `auto`, they come as turns of the role `system` within
# `messages`, one right behind the person's turn, so that it and not what was asked is the last of the request. A gateway that takes
# the last message for the ask, or a model behind it that takes no `system` turns, sees this only with names of its own.
#
# Needs node, npm, python3. Prints the roles and how many reminders stand in the person's turn, and fails when either changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-package-lock --legacy-peer-deps --ignore-scripts @anthropic-ai/claude-agent-sdk@0.3.332 >&2

cat >ask.py <<'PYTHON'
"""Runs Claude Code on one prompt against a server on loopback, and tells what came."""

import glob
import http.server
import json
import os
import subprocess
import sys
import threading

requests = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
                   "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
        events = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Four."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
program = glob.glob("node_modules/@anthropic-ai/claude-agent-sdk-*/claude")[0]
os.makedirs("home", exist_ok=True)
environment = {"PATH": os.environ["PATH"], "HOME": os.path.abspath("home"), "ANTHROPIC_API_KEY": "none",
               "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
subprocess.run([program, "-p", "What is 2 + 2?", "--model", sys.argv[1]], env=environment, stdin=subprocess.DEVNULL,
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=True)
messages = requests[0]["messages"]
blocks = [block["text"] for block in messages[0]["content"]]
assert blocks[-1] == "What is 2 + 2?", blocks[-1]
several = sum(block.startswith("<system-reminder>") for block in blocks) > 3
print(sys.argv[1], [message["role"] for message in messages], "many reminders" if several else "few reminders")
PYTHON

seen=$(python3 ask.py claude-sonnet-4-5 && python3 ask.py auto)
echo "$seen"
expected="claude-sonnet-4-5 ['user'] many reminders
auto ['user', 'system'] few reminders"
[ "$seen" = "$expected" ] || { echo "this changed; it was:"; echo "$expected"; exit 1; }
