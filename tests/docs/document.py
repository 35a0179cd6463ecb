"""Reads the commands of a document.

A fenced block has a language. One of `console` is what a person sees: a line that begins with `$ ` is a command, the lines
after it are what it prints. `…` stands for anything, also for nothing or for several lines; white space counts as one blank. A
command that ends with another status than 0 has `# status N` behind it. One of `sh` is commands alone, a line each; what
they print is not compared. A line that ends with a backslash or within quotes goes on in the next.

What follows the language says how a block is run:

    ```console               one command after the other
    ```console background    the last command is a server: it goes on until the next one starts, or `<!-- stop -->`
    ```console serve         while a master serves the folder `ledger`, which the document has
    ```console skip: REASON  not at all, and why

Before a block, comments say what a reader of the document does not type:

    <!-- before: COMMAND -->   runs a command that must succeed
    <!-- stop -->              stops the server that runs in the background
    <!-- every section begins with a ledger -->   each `##` has a folder of its own, with a used ledger in `ledger`
"""

import re
import shlex

PART = re.compile(
    r"^## (?P<section>[^\n]*)$|^<!-- before: (?P<before>[^\n]*) -->$|^<!-- (?P<stop>stop) -->$"
    r"|^(?P<fence>```+)(?P<mark>[^\n]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\s+# status (\d+)$")
LEDGER = "<!-- every section begins with a ledger -->"
COMMANDS = ("console", "sh")
# Other languages of blocks, which hold no commands.
OTHERS = ("toml", "json", "http", "mermaid", "ini", "text", "nginx", "haproxy", "python", "xml")
WRONG_LANGUAGES = ("bash", "shell", "shell-session")
# An indented block with one of these is a command that nobody would run.
UNFENCED = re.compile(r"^ {4,}(?:\$ |(?:slapledger|slapos|cargo|bash|curl|systemctl|apt|apt-get|dpkg|sudo|export|perf|strace)\b)")
LEAST_REASON = 10


class Wrong(Exception):
    """A document does not keep to the rules."""


def matches(pattern, text):
    """Whether a text is the one written; white space counts as one blank, `…` is anything."""
    words = [re.escape(" ".join(part.split())) for part in pattern.split("…")]
    return re.fullmatch(r"\s?.*?\s?".join(words), " ".join(text.split()), re.DOTALL) is not None


class Step:
    """A command and what it prints; nothing is expected of what is None."""

    def __init__(self, command, line, printed):
        self.command, self.line, self.printed, self.status = command, line, printed, 0

    @property
    def goes_on(self):
        """Whether the next line belongs to the command."""
        try:
            shlex.split(self.command, comments=True)
        except ValueError:
            return True
        return self.command.endswith("\\")

    def finish(self):
        if self.goes_on:
            raise Wrong(f"line {self.line}: the command goes on and ends")
        if found := STATUS.search(self.command):
            self.status = int(found[1])
            self.command = STATUS.sub("", self.command)
        return self

    def differences(self, status, output):
        wrong = []
        if status != self.status:
            wrong.append(f"status {status} instead of {self.status}; it printed\n{output}")
        elif self.printed is not None and not matches("\n".join(self.printed), output.strip("\n")):
            wrong.append(f"it printed\n{output}instead of\n" + "\n".join(self.printed))
        return wrong


class Block:
    """Commands that are run one after the other."""

    def __init__(self, language, mark, text, line):
        self.line, self.before, self.stops = line, [], False
        self.reason = mark.removeprefix("skip:").strip() if mark.startswith("skip") else None
        if mark not in ("", "serve", "background") and self.reason is None:
            raise Wrong(f"line {line}: nobody knows the mark {mark!r}")
        if self.reason is not None and (not mark.startswith("skip:") or len(self.reason) < LEAST_REASON):
            raise Wrong(f"line {line}: a block that is skipped has a reason: `skip: REASON`")
        self.is_served, self.is_background = mark == "serve", mark == "background"
        self.steps = []
        rows = enumerate(text.splitlines(), line + 1)
        steps = shell_steps(rows) if language == "sh" else console_steps(rows)
        self.steps = [step.finish() for step in steps]
        if not self.steps:
            raise Wrong(f"line {line}: a block without a command")


def shell_steps(rows):
    steps = []
    for number, row in rows:
        if steps and steps[-1].goes_on:
            steps[-1].command += "\n" + row
        elif row.strip() and not row.lstrip().startswith("#"):
            steps.append(Step(row, number, None))
    return steps


def console_steps(rows):
    steps = []
    for number, row in rows:
        if row.startswith("$ ") and not (steps and steps[-1].goes_on):
            steps.append(Step(row[2:], number, []))
        elif steps and not steps[-1].printed and steps[-1].goes_on:
            steps[-1].command += "\n" + row
        elif steps:
            steps[-1].printed.append(row)
        else:
            raise Wrong(f"line {number}: a block begins with `$ ` and a command")
    return steps


class Document:
    """The blocks of each section, in their order."""

    def __init__(self, text):
        self.has_ledger = LEDGER in text
        self.sections, self.faults = [("", [])], []
        before, stops, end = [], False, 0
        for part in PART.finditer(text):
            line = text.count("\n", 0, part.start()) + 1
            self.look_between(text[end:part.start()], text.count("\n", 0, end))
            end = part.end()
            try:
                if part["section"] is not None:
                    self.sections.append((part["section"], []))
                elif part["before"]:
                    before.append(part["before"])
                elif part["stop"]:
                    stops = True
                elif block := block_of(part, line):
                    block.before, block.stops, before, stops = before, stops, [], False
                    self.sections[-1][1].append(block)
            except Wrong as wrong:
                self.faults.append(str(wrong))
        self.look_between(text[end:], text.count("\n", 0, end))
        if before or stops:
            self.faults.append("a comment stands before no block")

    def look_between(self, text, lines):
        for number, row in enumerate(text.splitlines(), lines + 1):
            if UNFENCED.match(row):
                self.faults.append(f"line {number}: a command outside of a fenced block: {row.strip()[:60]}")
            if row.startswith("```"):
                self.faults.append(f"line {number}: a block without an end")

    @property
    def blocks(self):
        return [block for _, blocks in self.sections for block in blocks]


def block_of(part, line):
    language, _, mark = part["mark"].strip().partition(" ")
    if language in COMMANDS:
        return Block(language, mark.strip(), part["text"], line)
    if language not in OTHERS:
        hint = "; commands are `console` or `sh`" if language in WRONG_LANGUAGES else ""
        raise Wrong(f"line {line}: a block of no language that is known: {language!r}{hint}")
    return None
