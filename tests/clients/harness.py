"""Real coding agents, pointed at a base URL and told what a person would type.

Each has a home and a project of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pty
import queue
import select
import shutil
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from script import Call
from upstream import DEADLINE
from wire import JsonObject

PACKAGES = pathlib.Path(__file__).parent / "agents" / "node_modules"
KEY = "sk-of-the-client"

CLAUDE_MD = """\
Every lock-free structure needs a proof of linearizability and a model check of its memory orderings.
"""
AGENTS_MD = """\
Prove the complexity of every algorithm that you touch, and derive tight bounds before you change it.
"""
# What lies in the project: instructions and a hook whose words are about harder things than what is asked.
FILES = {
    "main.rs": 'fn main() {\n    println!("hello");\n}\n',
    "CLAUDE.md": CLAUDE_MD,
    "AGENTS.md": AGENTS_MD,
    ".claude/commands/review-file.md": "Which bugs are in the file $ARGUMENTS?\n",
    ".claude/settings.json": json.dumps(
        {
            "hooks": {
                "UserPromptSubmit": [{"hooks": [{"type": "command", "command": "echo derive the asymptotic bound"}]}]
            }
        }
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What an agent says when its turn is over: the last text, and the tokens as it counts them."""

    text: str
    usage: JsonObject


class Agent(ABC):
    """An agent: a project, a home, an environment without the caller's, and tools by their own names."""

    name: str

    def __init__(self, url: str, folder: pathlib.Path) -> None:
        self.url = url
        self.home, self.project = folder / "home", folder / "project"
        self.home.mkdir()
        for path, text in FILES.items():
            (self.project / path).parent.mkdir(parents=True, exist_ok=True)
            (self.project / path).write_text(text)
        if git := shutil.which("git"):
            subprocess.run([git, "init", "-q"], cwd=self.project, check=True, env=self.environment())

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "TERM": "xterm-256color", "TZ": "UTC", **more}

    @abstractmethod
    def say(self, text: str) -> Outcome:
        """Types a prompt and waits until the turn is over."""

    def close(self) -> None:  # noqa: B027 - most agents are a process a prompt
        """Ends the agent."""

    @abstractmethod
    def read(self, file: str = "main.rs") -> Call:
        """Returns the call of a tool that reads a file."""

    @abstractmethod
    def save(self, file: str, text: str) -> Call:
        """Returns the call of a tool that writes a file."""

    @abstractmethod
    def view(self, file: str) -> Call:
        """Returns the call of a tool that looks at an image."""

    @abstractmethod
    def shell(self, command: str) -> Call:
        """Returns the call of a tool that runs a command."""

    @abstractmethod
    def delegate(self, task: str) -> Call:
        """Returns the call of a tool that hands a task to another agent."""


class ClaudeCode(Agent):
    """Claude Code, one process for a whole conversation, as the Agent SDK runs it: lines of JSON in and out."""

    name = "claude code"

    def __init__(self, url: str, folder: pathlib.Path, model: str) -> None:
        super().__init__(url, folder)
        self.lines: queue.Queue[JsonObject | None] = queue.Queue()
        machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
        program = PACKAGES / "@anthropic-ai" / f"claude-agent-sdk-{sys.platform}-{machine}" / "claude"
        quiet = (
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_AUTOUPDATER",
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
        )
        environment = self.environment(
            ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY=KEY, IS_SANDBOX="1", **dict.fromkeys(quiet, "1")
        )  # fmt: skip
        self.process = subprocess.Popen(
            [program, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
             "--dangerously-skip-permissions", "--model", model],
            cwd=self.project, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def say(self, text: str) -> Outcome:
        self.write(
            {"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": None, "session_id": ""}
        )
        result = self.until(lambda line: line["type"] == "result")
        return Outcome(result.get("result", f"no result: {result}"), result["usage"])

    def control(self, subtype: str, **arguments: object) -> None:
        """Does what a person does beside the prompt: modes, titles."""
        self.write({"type": "control_request", "request_id": subtype, "request": {"subtype": subtype, **arguments}})
        answer = self.until(lambda line: line["type"] == "control_response")
        assert answer["response"]["subtype"] == "success", answer

    def write(self, message: JsonObject) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def until(self, wanted: Callable[[JsonObject], bool]) -> JsonObject:
        while True:
            line = self.lines.get(timeout=2 * DEADLINE)
            assert line, "Claude Code ended early"
            if wanted(line):
                return line

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def read(self, file: str = "main.rs") -> Call:
        return "Read", {"file_path": str(self.project / file)}

    def save(self, file: str, text: str) -> Call:
        return "Write", {"file_path": str(self.project / file), "content": text}

    def view(self, file: str) -> Call:
        return self.read(file)

    def shell(self, command: str) -> Call:
        return "Bash", {"command": command, "description": "runs a command"}

    def delegate(self, task: str) -> Call:
        return "Agent", {
            "description": "a task",
            "prompt": task,
            "subagent_type": "Explore",
            "run_in_background": False,
        }


class Codex(Agent):
    """Codex, one process a prompt; a later one goes on with the last thread."""

    name = "codex"
    websockets = False

    def __init__(self, url: str, folder: pathlib.Path, model: str) -> None:
        super().__init__(url, folder)
        self.started = False
        (self.home / ".codex").mkdir()
        (self.home / ".codex" / "config.toml").write_text(
            f"""\
model = "{model}"
model_provider = "pointsman"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.pointsman]
name = "Pointsman"
base_url = "{url}/v1"
env_key = "POINTSMAN_KEY"
wire_api = "responses"
supports_websockets = {str(self.websockets).lower()}
[analytics]
enabled = false
[notice]
hide_full_access_warning = true
[projects."{self.project}"]
trust_level = "trusted"
"""
        )

    def say(self, text: str, *options: str) -> Outcome:
        last = ["resume", "--last"] if self.started else []
        self.started = True
        command: list[str | pathlib.Path] = [
            PACKAGES / ".bin" / "codex",
            "exec",
            "--json",
            "--skip-git-repo-check",
            *options,
            *last,
            text,
        ]
        done = subprocess.run(
            command, cwd=self.project, env=self.environment(POINTSMAN_KEY=KEY), timeout=2 * DEADLINE,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        items = [line["item"] for line in lines if line["type"] == "item.completed"]
        texts = [item["text"] for item in items if item["type"] == "agent_message"]
        [usage] = [line["usage"] for line in lines if line["type"] == "turn.completed"]
        return Outcome(texts[-1] if texts else "", usage)

    @contextlib.contextmanager
    def terminal(self, text: str) -> Iterator[None]:
        """Shows Codex's terminal interface with a prompt, for as long as the context lasts."""
        pid, screen = pty.fork()
        if pid == 0:
            os.chdir(self.project)
            program = str(PACKAGES / ".bin" / "codex")
            os.execve(program, [program, text], self.environment(POINTSMAN_KEY=KEY))
        over = threading.Event()
        watcher = threading.Thread(target=answer_terminal, args=(screen, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            watcher.join(DEADLINE)
            os.close(screen)

    def read(self, file: str = "main.rs") -> Call:
        return self.shell(f"cat {file}")

    def save(self, file: str, text: str) -> Call:
        return self.shell(f"cat > {file} <<'END'\n{text}END\n")

    def view(self, file: str) -> Call:
        return "view_image", {"path": str(self.project / file)}

    def shell(self, command: str) -> Call:
        return "exec_command", {"cmd": command}

    def delegate(self, task: str) -> Call:
        return "multi_agent_v1.spawn_agent", {"message": task}


class CodexByWebSocket(Codex):
    """Codex that sends its requests as messages of a WebSocket."""

    name = "codex by websocket"
    websockets = True


class CodexWithCode(Codex):
    """Codex with a model's name for which its one tool runs JavaScript, and all others are functions of that."""

    name = "codex with code"

    def shell(self, command: str) -> Call:
        given = json.dumps({"cmd": command})
        return "exec", {"input": f"{{ const done = await tools.exec_command({given}); text(done.output); }}\n"}

    def view(self, file: str) -> Call:
        given = json.dumps({"path": str(self.project / file)})
        return "exec", {"input": f"image(await tools.view_image({given}));\n"}


class GeminiCli(Agent):
    """Gemini CLI, one process a prompt."""

    name = "gemini cli"

    def __init__(self, url: str, folder: pathlib.Path, model: str) -> None:
        super().__init__(url, folder)
        self.model = model
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
            "general": {"disableAutoUpdate": True, "disableUpdateNag": True, "enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
        }
        (self.home / ".gemini").mkdir()
        (self.home / ".gemini" / "settings.json").write_text(json.dumps(settings))

    def say(self, text: str) -> Outcome:
        command = [str(PACKAGES / ".bin" / "gemini"), "--yolo", "--output-format", "json", "-m", self.model, "-p", text]
        environment = self.environment(
            GEMINI_API_KEY=KEY, GOOGLE_GEMINI_BASE_URL=self.url, GEMINI_CLI_NO_RELAUNCH="true", NO_BROWSER="true"
        )
        done = subprocess.run(
            command, cwd=self.project, env=environment, timeout=2 * DEADLINE,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
        told = json.loads(done.stdout[done.stdout.index("{") :])
        return Outcome(told["response"], told["stats"])

    def read(self, file: str = "main.rs") -> Call:
        return "read_file", {"file_path": str(self.project / file)}

    def save(self, file: str, text: str) -> Call:
        return "write_file", {"file_path": str(self.project / file), "content": text}

    def view(self, file: str) -> Call:
        return self.read(file)

    def shell(self, command: str) -> Call:
        return "run_shell_command", {"command": command, "description": "runs a command"}

    def delegate(self, task: str) -> Call:
        return "codebase_investigator", {"objective": task}


def answer_terminal(screen: int, over: threading.Event) -> None:
    """Reads what a terminal interface draws, and answers what it asks a terminal.

    Where the cursor is, and what it can do.
    """
    while not over.is_set():
        if not select.select([screen], [], [], 0.2)[0]:
            continue
        try:
            drawn = os.read(screen, 65536)
        except OSError:
            return
        if b"\x1b[6n" in drawn:
            os.write(screen, b"\x1b[1;1R")
        if b"\x1b[c" in drawn:
            os.write(screen, b"\x1b[?62;c")


def wait_for_the_agent(body: JsonObject) -> tuple[Call, ...]:
    """Returns Codex's call that waits for the agent which the last call spawned."""
    spawned = next(item for item in reversed(body["input"]) if item.get("type") == "function_call_output")
    return (
        ("multi_agent_v1.wait_agent", {"targets": [json.loads(spawned["output"])["agent_id"]], "timeout_ms": 20000}),
    )
