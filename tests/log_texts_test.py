#!/usr/bin/env python3
"""Every warning and error of the services says what to do: src/telemetry/advice.cpp has an entry for each message that the
sources log, and none for a message that nobody logs any more."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
# What a call's text may begin with where it is put together: "stream " + name + " refuses …".
CALLS = {
    "log": re.compile(r"\blog::(?:warn|error)\(\s*(.*?)(?:,\s*\{|\);)", re.S),
    "notice": re.compile(r"Level::(?:warning|error),\s*(.*?)(?:,|\);)", re.S),
    "publisher": re.compile(r"(?:note|tell|Note)[({][^;]*?Level::(?:warning|error)[^;]*?,\s*(.*?)(?:\);|\}\))", re.S),
}


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.cpp")):
            if "tests" not in path.parts and "sim" not in path.parts:
                yield path


def advice():
    text = (ROOT / "src/telemetry/advice.cpp").read_text(encoding="utf-8")
    table = text[text.index("kTable[] = {"):]
    return re.findall(r'^    \{"((?:[^"\\]|\\.)*)",', table, re.M)


def pattern(entry):
    return re.compile(".*".join(map(re.escape, entry.split("*"))) + r"\Z", re.S)


def logged():
    """{message: where}: whole messages, or `…*` where something variable follows."""
    found = {}
    for path in sources("services", "src/app"):
        for match in CALLS["log"].finditer(path.read_text(encoding="utf-8")):
            argument = match.group(1)
            if argument.startswith('"publishing: "'):
                continue  # the publisher's own texts, below
            for message in LITERAL.findall(argument):
                found[message] = path
    for path in sources("src/feed", "src/exchanges"):
        text = path.read_text(encoding="utf-8")
        for match in CALLS["notice"].finditer(text):
            for message in LITERAL.findall(match.group(1)):
                found[message] = path
        for message in re.findall(r'(?:what = |\? |: )"((?:a stream is silent|subscribed and confirmed)[^"]*)"', text):
            found[message] = path
        for message in re.findall(r'unknown\([^;]*"(the venue sends[^"]*)"\)', text):
            found[message] = path
    for path in sources("src/sinks/jetstream"):
        for match in CALLS["publisher"].finditer(path.read_text(encoding="utf-8")):
            literals = LITERAL.findall(match.group(1))
            if literals and "+" in match.group(1):
                literals = [literals[0] + "*"]
            for message in literals:
                found["publishing: " + message] = path
    found["waiting_for_nats"] = found["waiting_for_lease"] = found["waiting_for_clickhouse"] = ROOT / "services"
    return found


class LogTexts(unittest.TestCase):
    def test_every_message_has_its_advice(self):
        entries = [pattern(entry) for entry in advice() if entry != "publishing: *"]
        messages = logged()
        self.assertGreater(len(messages), 60, "the scan finds what is logged")
        missing = {message: str(where.relative_to(ROOT)) for message, where in messages.items()
                   if not any(entry.match(message.rstrip("*") + ("x y" if message.endswith("*") else "")) or
                              (message.endswith("*") and message.rstrip("*") in entry.pattern.replace("\\", ""))
                              for entry in entries)}
        self.assertEqual(missing, {}, "src/telemetry/advice.cpp does not say what to do about these")

    def test_no_advice_is_left_over(self):
        messages = [message.rstrip("*") for message in logged()]
        unused = [entry for entry in advice()
                  if entry != "publishing: *" and not any(message.startswith(entry.split("*")[0]) or entry.startswith(message) for message in messages)]
        self.assertEqual(unused, [], "nobody logs these")

    def test_messages_do_not_end_like_sentences(self):
        for message in logged():
            self.assertNotRegex(message, r"[.\n]$", message)


if __name__ == "__main__":
    unittest.main()
