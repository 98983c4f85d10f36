#!/usr/bin/env python3
"""Takes the commands out of a guide and runs them, in the guide's order, and compares what they print with what the guide
says that they print.

    guide.py list GUIDE
    guide.py run GUIDE --mode docker --root CHECKOUT [--port 8123=18123]… [--only REGEX]

A block of commands is fenced as bash; the line before the fence is a comment, unseen by readers, which says who runs it:

    <!-- native -->              without Docker: guide_test.py
    <!-- docker -->              with Docker: the tests of the containers
    <!-- any -->                 both
    <!-- elsewhere: FILE -->     it is tested there; every command of the block stands in that file

and, behind it, how:  wait=60   repeated until it succeeds and prints what it should, at most so many seconds, as a reader would
                      stop=3    it does not end by itself: ended after so many seconds; it must have printed something
                      positive  it prints a whole number above 0
                      status=0,3  it may end with either of these

Each block is run by bash in the root of the checkout and must end with status 0, unless something else is said. A block that is fenced as text right after it is
its whole output; … stands for anything in a line, a line that is … for any number of lines."""

import argparse
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

MARKER = re.compile(r"<!-- (native|docker|any|elsewhere: (?P<file>\S+))(?P<how>(?: (?:wait=\d+|stop=\d+|positive|status=\d+(?:,\d+)*))*) -->")


class GuideError(Exception):
    pass


@dataclasses.dataclass
class Block:
    section: str
    line: int
    mode: str            # native, docker, any, elsewhere
    code: str
    file: str = ""       # of elsewhere
    wait: float = 0
    stop: float = 0
    positive: bool = False
    statuses: tuple = (0,)
    expected: str = None

    def title(self):
        return f"line {self.line} ({self.section}): {self.code.strip().splitlines()[0]}"


def parse(text):
    """The blocks of commands. GuideError when one of them does not say who runs it."""
    blocks, section = [], ""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if heading := re.match(r"#+ (.+)", line):
            section = heading[1]
        if not (fence := re.fullmatch(r"```(\w*)", line)):
            number += 1
            continue
        end = next((n for n in range(number + 1, len(lines)) if lines[n] == "```"), None)
        if end is None:
            raise GuideError(f"line {number + 1}: a fence that is not closed")
        body = "\n".join(lines[number + 1:end]) + "\n"
        if fence[1] == "bash":
            marker = MARKER.fullmatch(lines[number - 1])
            if not marker:
                raise GuideError(f"line {number + 1}: commands without a comment that says who runs them")
            how = dict(part.split("=") if "=" in part else (part, "1") for part in marker["how"].split())
            blocks.append(Block(section, number + 1, marker[1].split(":")[0], body, marker["file"] or "", float(how.get("wait", 0)),
                                float(how.get("stop", 0)), "positive" in how,
                                tuple(int(status) for status in how.get("status", "0").split(","))))
        elif fence[1] == "text" and blocks and blocks[-1].line + blocks[-1].code.count("\n") + 1 == number:
            blocks[-1].expected = body
        elif not fence[1]:
            raise GuideError(f"line {number + 1}: a fence without a language")
        number = end + 1
    return blocks


def with_ports(text, ports):
    """The text with other ports: {8123: 18123}. As whole numbers, so that 81234 stays."""
    if not ports:
        return text
    return re.sub(r"(?<![\w.])(%s)(?![\w.])" % "|".join(map(str, ports)), lambda m: str(ports[int(m[1])]), text)


def is_as_expected(output, expected):
    parts = []
    for line in expected.splitlines():
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*")
        else:
            parts.append(".*".join(re.escape(piece.rstrip()) for piece in line.split("…")) + r"[ \t]*\n")
    return re.fullmatch("".join(parts), output if output.endswith("\n") or not output else output + "\n") is not None


class Runner:
    """Runs blocks in one checkout. Output goes to files: what a block leaves running in the background may keep it open."""

    def __init__(self, root, ports=None, environment=None, out=sys.stdout):
        self.root = str(root)
        self.ports = ports or {}
        self.environment = {**os.environ, **(environment or {})}
        self.out = out

    def run(self, block):
        """GuideError with what was seen when it is not as the guide says."""
        begun = time.monotonic()
        while True:
            status, output = self.once(block)
            trouble = self.trouble_of(block, status, output)
            if trouble is None:
                print(f"good    {block.title()} ({time.monotonic() - begun:.1f} s)", file=self.out, flush=True)
                return
            if time.monotonic() - begun >= block.wait:
                raise GuideError(f"{block.title()}\n{trouble}\n--- commands\n{with_ports(block.code, self.ports)}--- output\n{output}")
            time.sleep(0.5)

    def once(self, block):
        with tempfile.TemporaryFile("w+") as file:
            process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", with_ports(block.code, self.ports)], cwd=self.root,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                       start_new_session=bool(block.stop))
            try:
                status = process.wait(block.stop or 900)
            except subprocess.TimeoutExpired:
                if block.stop:  # the block's own session, nobody else's
                    os.killpg(process.pid, signal.SIGINT)
                    time.sleep(0.2)
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
                process.wait()
                status = 0 if block.stop else "none: it did not end"
            file.seek(0)
            return status, file.read()

    def trouble_of(self, block, status, output):
        if status not in block.statuses:
            return f"exit status {status}"
        if block.stop and not output.strip():
            return "it has printed nothing"
        if block.positive and not re.fullmatch(r"0*[1-9]\d*\s*", output):
            return "a whole number above 0 was expected"
        if block.expected is not None and not is_as_expected(output, with_ports(block.expected, self.ports)):
            return f"the guide says:\n{block.expected}"
        return None

    def run_all(self, blocks, mode):
        for block in blocks:
            if block.mode in (mode, "any"):
                self.run(block)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("action", choices=["list", "run"])
    arguments.add_argument("guide", type=pathlib.Path)
    arguments.add_argument("--mode", choices=["native", "docker"], default="native")
    arguments.add_argument("--root", default=".")
    arguments.add_argument("--port", action="append", default=[], metavar="FROM=TO")
    arguments.add_argument("--only", default="", metavar="REGEX", help="of sections' headings")
    options = arguments.parse_args()
    try:
        blocks = [b for b in parse(options.guide.read_text()) if re.search(options.only, b.section)]
        if options.action == "list":
            for block in blocks:
                print(f"{block.mode:<10} {block.title()}")
            return 0
        ports = {int(a): int(b) for a, b in (p.split("=") for p in options.port)}
        Runner(options.root, ports).run_all(blocks, options.mode)
        return 0
    except GuideError as error:
        print(f"FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
