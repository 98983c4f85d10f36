#!/usr/bin/env python3
"""Every link between the project's documents leads somewhere: to a file that is there, and to a heading that it has. README.md and
README.zh-CN.md are one document in two languages.

usage: links_test.py MARKETPRISM (not used)"""

import re
import shutil
import subprocess
import sys
import unittest

from documents import ROOT

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")


def documents():
    """Those of git; of the whole folder where there is no git, or no repository."""
    if shutil.which("git"):
        done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            return [ROOT / name for name in done.stdout.split() if (ROOT / name).exists()]
    skipped = {"build", ".deps", "dist", "data", "node_modules"}
    return [path for path in ROOT.rglob("*.md") if not skipped & set(path.relative_to(ROOT).parts)]


def without_code(text):
    return re.sub(r"^```.*?^```$|^    .*?$", "", text, flags=re.M | re.S) if "```" in text else re.sub(r"^    .*$", "", text, flags=re.M)


def anchors(text):
    """As GitHub makes them of headings: lower case, no punctuation, a dash for each space."""
    found = {}
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = "".join(c for c in heading.strip().lower() if c.isalnum() or c in " -_").replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        if number:
            found[f"{slug}-{number}"] = 1
    return set(found)


class Links(unittest.TestCase):
    def test_every_link_leads_somewhere(self):
        seen, broken = 0, []
        for path in documents():
            for target in LINK.findall(without_code(path.read_text())):
                if re.match(r"[a-z]+:", target):
                    continue
                seen += 1
                file, _, anchor = target.partition("#")
                there = (path.parent / file) if file else path
                if not there.exists():
                    broken.append(f"{path.relative_to(ROOT)}: {target}: no such file")
                elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text()):
                    broken.append(f"{path.relative_to(ROOT)}: {target}: no such heading")
        self.assertEqual(broken, [])
        self.assertGreater(seen, 20)

    def test_anchors(self):
        self.assertEqual(anchors("# A b, c\n## 🚀 Order of starting\n### A b, c\n#### `x`: y_z\n"),
                         {"a-b-c", "-order-of-starting", "a-b-c-1", "x-y_z"})


class Readme(unittest.TestCase):
    def shape(self, name):
        """Levels of the headings, and commands without their comments."""
        text = (ROOT / name).read_text()
        text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)  # the picture
        code = [re.sub(r"\s+#.*$", "", line).strip() for line in re.findall(r"^    (.*)$", text, re.M)]
        table_rows = [len(line.split("|")) for line in text.splitlines() if line.startswith("|")]
        # The guide is there in both languages.
        links = [target.replace(".zh-CN", "") for target in LINK.findall(text) if not target.startswith("README")]
        return {"headings": [len(mark) for mark in re.findall(r"^(#+) ", text, re.M)],
                "commands": code, "tables": table_rows, "links": sorted(links)}

    def test_both_languages_say_the_same(self):
        english, chinese = self.shape("README.md"), self.shape("README.zh-CN.md")
        for what, value in english.items():
            self.assertEqual(value, chinese[what], what)

    def test_they_know_each_other(self):
        self.assertIn("(README.zh-CN.md)", (ROOT / "README.md").read_text())
        self.assertIn("(README.md)", (ROOT / "README.zh-CN.md").read_text())

    def test_the_two_commands_come_first(self):
        for name in ("README.md", "README.zh-CN.md"):
            first = re.findall(r"^    (\S+.*?)(?:\s+#.*)?$", (ROOT / name).read_text(), re.M)[:2]
            self.assertEqual(first, ["./run --sim", "./test"], name)


if __name__ == "__main__":
    sys.argv.pop(1)
    unittest.main()
