"""`marketprism journal` as a user meets it: captures in, the same bytes out, damage and mistakes told."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)

CAPTURE = "".join(
    f'{{"t":{1700000000 + n}.5,"dir":"recv","transport":"ws","url":"wss://stream.binance.com:9443/stream",'
    f'"raw":"{{\\"n\\":{n}}}","conn":"1","exchange":"binance","market":"spot"}}\n' for n in range(200))


class JournalCommand(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        (self.path / "a.jsonl").write_text(CAPTURE)

    def run_journal(self, *args, status=0):
        done = subprocess.run([PROGRAM, "journal", *map(str, args)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        return done

    def converted(self, name="j"):
        self.run_journal("convert", "--to", "journal", self.path / "a.jsonl", "-o", self.path / name)
        return self.path / name

    def test_a_capture_goes_in_and_the_same_lines_come_out(self):
        journal = self.converted()
        printed = self.run_journal("cat", journal).stdout
        frames = "".join(line for line in printed.splitlines(True) if '"dir":"recv"' in line)
        self.assertEqual(frames, CAPTURE)
        (self.path / "again.jsonl").write_text(printed)
        self.run_journal("convert", "--to", "journal", self.path / "again.jsonl", "-o", self.path / "j2")
        self.run_journal("convert", "--to", "capture", self.path / "j2", "-o", self.path / "out.jsonl")
        self.assertEqual((self.path / "out.jsonl").read_text(), printed)
        # Never over a file that is there.
        self.run_journal("convert", "--to", "capture", self.path / "j2", "-o", self.path / "out.jsonl", status=1)

    def test_lists_what_is_there(self):
        listed = self.run_journal("ls", self.converted()).stdout
        self.assertIn("2023-11-14", listed)
        self.assertIn("1 segments, 204 records", listed)  # with start, opened, closed, stop

    def test_verify_tells_damage_by_its_exit_status(self):
        journal = self.converted()
        self.assertIn("all good", self.run_journal("verify", journal).stdout)
        segment = next(journal.glob("*/*.mpj"))
        data = bytearray(segment.read_bytes())
        data[len(data) // 2 + 4096] ^= 1
        segment.write_bytes(data)
        told = self.run_journal("verify", journal, status=1).stdout
        self.assertIn("DAMAGED", told)
        self.assertIn("records lost", told)
        self.run_journal("cat", journal, status=1)

    def test_a_segment_without_its_closing_note_is_not_called_good(self):
        journal = self.converted()
        segment = next(journal.glob("*/*.mpj"))
        whole = segment.read_bytes()
        for cut in (1, 40, 48):  # inside the closing note, and all of it: nothing is left that could be wrong
            segment.write_bytes(whole[:-cut])
            told = self.run_journal("verify", journal).stdout
            self.assertNotIn("all good", told)
            self.assertIn("without a seal", told)
            self.assertIn("no damage found", told)

    def test_an_end_that_is_missing_is_told_by_what_was_published(self):
        journal = self.converted()
        segment = next(journal.glob("*/*.mpj"))
        number, identity = int(segment.stem), (journal / "id").read_text().strip()
        cursor = journal / "cursor-MARKET_DATA"

        def note(position, journal_id=identity):
            cursor.write_text(f"marketprism publisher cursor 1\njournal {journal_id}\nstream MARKET_DATA 1700000000000000000\npoint {number}-10 1 1 0 0\n"
                              f"point {position} 1 5 0 0\nend\n")
        note(f"{number}-203")
        self.assertIn("all good", self.run_journal("verify", journal).stdout)
        for position, told in ((f"{number}-205", f"by cursor-MARKET_DATA record 205 of segment {number} is published, and that segment ends after 204 records: its end is cut off, at least 2 records with it"),
                               (f"{number + 3}-0", f"record 0 of segment {number + 3} is published, and the journal ends with segment {number}: its end is missing")):
            note(position)
            done = self.run_journal("verify", journal, status=1)
            self.assertIn("damage: ", done.stdout)
            self.assertIn(told, done.stdout)
            self.assertIn("1 damages", done.stdout)
            # A day or a file for itself need not hold the end.
            self.run_journal("verify", segment)
        note(f"{number}-205", "0" * 32)  # of another journal
        self.assertIn("all good", self.run_journal("verify", journal).stdout)
        note(f"{number}-203")
        segment.write_bytes(segment.read_bytes()[:-1000])  # groups of records are gone, and the seal
        told = self.run_journal("verify", journal, status=1).stdout
        self.assertIn("its end is cut off", told)
        cursor.write_text("not one")
        self.assertIn("without a seal", self.run_journal("verify", journal).stdout)

    def test_a_file_that_is_no_segment_is_named(self):
        foreign = self.path / "notes.txt"
        foreign.write_text("not a segment\n" * 1000)
        told = self.run_journal("cat", foreign, status=1).stderr
        self.assertIn(f"{foreign} cannot be read", told)
        self.assertNotIn("segment 0", told)
        copy = self.path / "copy.mpj"
        copy.write_bytes(next(self.converted().glob("*/*.mpj")).read_bytes())
        self.assertIn("all good", self.run_journal("verify", copy).stdout)
        copy.write_bytes(copy.read_bytes()[:-48])
        self.assertIn(f"{copy} ends without its seal", self.run_journal("cat", copy).stderr)

    def test_lists_what_is_sound_beside_what_is_not(self):
        journal = self.converted()
        segment = next(journal.glob("*/*.mpj"))
        segment.with_name("00000099.mpj").write_bytes(b"not a segment" * 100)
        done = self.run_journal("ls", journal, status=1)
        self.assertIn("2 segments, 204 records", done.stdout)
        self.assertIn("DAMAGED: ", done.stdout)
        alone = self.run_journal("ls", segment.with_name("00000099.mpj"), status=1)
        self.assertIn("DAMAGED: ", alone.stdout)

    def test_an_unknown_exchange_is_told_before_anything_is_printed(self):
        for name, told in (("nope", "no exchange of the name: nope"), ("binanse", "did you mean binance?")):
            done = self.run_journal("cat", self.converted(name), "--exchange", name, status=2)
            self.assertEqual(done.stdout, "")
            self.assertIn(told, done.stderr)

    def test_markets_and_times_that_cannot_be_are_told(self):
        journal = self.converted()
        for args, told in ((("--market", "foo"), "'foo' is no market of the exchanges: spot, derivatives"), (("--market", "spto"), "did you mean 'spot'?"),
                           (("--market", "spot", "--exchange", "okx"), "okx has no markets to choose from: leave it out, saw 'spot'"),
                           (("--from", "2023-11-15", "--to", "2023-11-14"), "2023-11-15 is not before 2023-11-14"),
                           (("--from", "2023-11-15", "--to", "2023-11-15"), "is not before")):
            done = self.run_journal("cat", journal, *args, status=2)
            self.assertEqual(done.stdout, "")
            self.assertIn(told, done.stderr)
        self.assertIn('"n', self.run_journal("cat", journal, "--market", "spot", "--from", "2023-11-14", "--to", "2023-11-16").stdout)

    def test_one_segment_that_was_cut_short_is_told(self):
        journal = self.converted()
        segment = next(journal.glob("*/*.mpj"))
        self.assertEqual(self.run_journal("cat", segment).stderr, "")
        whole = segment.read_bytes()
        for cut in (1, 48, 200):
            segment.write_bytes(whole[:-cut])
            self.assertIn("ends without its seal", self.run_journal("cat", segment).stderr)
        self.assertEqual(self.run_journal("cat", journal).stderr, "", "the last of a journal may be being written")

    def test_a_full_disk_is_named(self):
        journal = self.converted()
        done = self.run_journal("convert", "--to", "capture", journal, "-o", "/dev/full", status=1)
        self.assertIn("cannot write /dev/full: No space left on device", done.stderr)
        done = self.run_journal("convert", "--to", "capture", journal, "-o", self.path / "a.jsonl", status=1)
        self.assertIn("is there already", done.stderr)

    def test_mistakes_are_named(self):
        (self.path / "empty").mkdir()
        for args, told in (
            (("cat", self.path / "nowhere"), "nowhere"),
            (("cat", self.path / "empty"), "holds no journal"),
            (("cat", self.converted(), "--form", "x"), "--from"),
            (("cat", self.path / "j", "--from", "yesterday"), "yesterday"),
            (("cat", self.path / "j", "--exchange", "binanse"), "binance"),
            (("cat", self.path / "j", "--segment", "7"), "no such segment"),
            (("convert", "--to", "journal", self.path / "a.jsonl"), "-o DIR"),
            ((), "subcommand"),
        ):
            with self.subTest(args=args):
                self.assertIn(told, self.run_journal(*args, status=2).stderr)
        (self.path / "notes").write_text("hello\n")
        done = self.run_journal("convert", "--to", "journal", self.path / "notes", "-o", self.path / "x", status=2)
        self.assertIn("line 1", done.stderr)
        self.assertFalse(os.path.exists(self.path / "x"))

    def test_a_line_that_cannot_be_read_is_told_and_the_others_are_kept(self):
        lines = CAPTURE.splitlines(True)
        (self.path / "b.jsonl").write_text("".join(lines[:50]) + "garbage\n" + "".join(lines[50:]))
        done = self.run_journal("convert", "--to", "journal", self.path / "b.jsonl", "-o", self.path / "j", status=1)
        self.assertIn("b.jsonl: line 51", done.stderr)
        self.assertIn("1 lines cannot be read", done.stderr)
        printed = self.run_journal("cat", self.path / "j").stdout
        self.assertEqual("".join(line for line in printed.splitlines(True) if '"dir":"recv"' in line), CAPTURE)
        self.assertIn('"dir":"unreadable"', printed)

    def test_joins_two_captures_whose_lines_overlap(self):
        whole = CAPTURE.replace("raw\":\"", "raw\":\"long enough to tell it from all others: ")
        lines = whole.splitlines(True)
        (self.path / "one.jsonl").write_text("".join(lines[:120])[:-1])  # without its last line end
        (self.path / "two.jsonl").write_text("".join(lines[100:]))
        done = self.run_journal("join", self.path / "one.jsonl", self.path / "two.jsonl", "-o", self.path / "whole.jsonl")
        self.assertIn("20 lines stand in both", done.stdout)
        self.assertEqual((self.path / "whole.jsonl").read_text(), whole)
        done = self.run_journal("join", self.path / "one.jsonl", self.path / "two.jsonl", "-o", self.path / "whole.jsonl", status=1)
        self.assertIn("is there already", done.stderr)
        done = self.run_journal("join", self.path / "two.jsonl", self.path / "one.jsonl", "-o", self.path / "other.jsonl", status=2)
        self.assertIn("earlier recording first", done.stderr)
        self.assertFalse((self.path / "other.jsonl").exists())

    def test_help_has_examples(self):
        self.assertIn("Examples:", self.run_journal("--help").stdout)


if __name__ == "__main__":
    unittest.main()
