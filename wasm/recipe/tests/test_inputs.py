"""Which revision of Debian's changes a build takes, and which parts of its patches."""

import contextlib
import io
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sources
from inputs import Changes, Fetcher, Inputs, Source
from report import BuildError
from store import Store, file_sha256


def archive(path: Path, files: dict[str, str]) -> Path:
    """Writes an archive of Debian's changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"debian/patches/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


class Mirror:
    """A mirror. `broken` revisions are in its lists, but their files are not there."""

    def __init__(self, revisions: list[str], broken: tuple[str, ...] = ()) -> None:
        self.revisions, self.broken = revisions, broken
        self.asked = 0

    def source_versions(self, _name: str) -> list[str]:
        """Lists the versions of all suites."""
        self.asked += 1
        return ["0.9-1", *(f"1.0-{revision}" for revision in self.revisions)]

    def download_source(self, name: str, version: str, into: Path, part: str) -> None:
        """Writes a file whose content is its revision."""
        assert part == "diff"
        if version.rpartition("-")[2] in self.broken:
            raise BuildError("404")
        archive(into / f"{name}_{version}.debian.tar.xz", {"series": version})


class Revisions(unittest.TestCase):
    """`Fetcher.settle`."""

    def setUp(self) -> None:
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.said = self.enterContext(contextlib.redirect_stderr(io.StringIO()))

    def settle(self, mirror: Mirror, locked: bool = False) -> str:
        """Returns the revision that a source pinned at `2` gets."""
        fetcher = Fetcher(Store(self.directory))
        vars(fetcher)["_apt"] = mirror
        changes = Changes("2", "pin", ("*",))
        source = Source("work", "suite", "1.0", "", changes)
        inputs = fetcher.settle(Inputs("", (), (source,), (), ()), locked)
        found = inputs.sources[0].debian
        assert found is not None
        if found is not changes:
            self.assertEqual(
                found.sha256,
                file_sha256(
                    self.directory / f"downloads/work-1.0/work_1.0-{found.revision}.debian.tar.xz"
                ),
            )
        return found.revision

    def test_the_pinned_revision_is_taken_while_it_can_be_had(self) -> None:
        self.assertEqual(self.settle(Mirror(["1", "2", "3"])), "2")
        gone = Mirror(["3"])
        self.assertEqual(self.settle(gone), "2")
        self.assertEqual((gone.asked, self.said.getvalue()), (0, ""))

    def test_a_newer_revision_is_taken_with_one_line(self) -> None:
        self.assertEqual(self.settle(Mirror(["9", "10", "3"])), "10")
        self.assertEqual(self.said.getvalue().count("\n"), 1)
        self.assertIn("revision 10 instead of 2", self.said.getvalue())
        later = Mirror(["11"])
        self.assertEqual((self.settle(later), later.asked), ("10", 0))

    def test_a_revision_without_files_is_passed_over(self) -> None:
        self.assertEqual(self.settle(Mirror(["3", "4"], broken=("4",))), "3")

    def test_a_locked_build_takes_the_pinned_revision_only(self) -> None:
        with self.assertRaisesRegex(BuildError, "does not offer the source of work 1.0-2"):
            self.settle(Mirror(["3"]), locked=True)
        self.assertEqual(self.settle(Mirror(["2", "3"]), locked=True), "2")

    def test_a_mirror_with_nothing_fits_no_build(self) -> None:
        with self.assertRaises(BuildError):
            self.settle(Mirror([]))


PATCH = """\
Subject: two files

--- a/Lib/test/test_x.py
+++ b/Lib/test/test_x.py
@@ -1 +1 @@
-a
+b
diff --git a/Lib/x.py b/Lib/x.py
index 1..2 100644
--- a/Lib/x.py
+++ b/Lib/x.py
@@ -1 +1 @@
--- not a header
+++ neither
diff --git a/Lib/test/new.py b/Lib/test/new.py
new file mode 100644
--- /dev/null
+++ b/Lib/test/new.py
@@ -0,0 +1 @@
+c
"""


class Patches(unittest.TestCase):
    """Debian's patches."""

    def test_those_of_the_pin_come_in_the_order_of_the_series(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            series = "# comment\nother.diff\nCVE-2.patch -p1\n\nCVE-1.patch\n"
            files = {"series": series, "CVE-1.patch": "1", "CVE-2.patch": "2", "other.diff": "3"}
            path = archive(Path(directory) / "changes.tar.xz", files)
            found = sources.patches(path, Changes("1", "", ("CVE-*",)))
        self.assertEqual(found, [("CVE-2.patch", "2"), ("CVE-1.patch", "1")])

    def test_parts_for_files_that_are_not_unpacked_are_left_out(self) -> None:
        kept = vars(sources)["_of_wanted"](PATCH, sources.without_tests)
        first, last = PATCH.index("--- a/Lib/test"), PATCH.index("diff --git a/Lib/x.py")
        end = PATCH.index("diff --git a/Lib/test/new.py")
        self.assertEqual(kept, PATCH[:first] + PATCH[last:end])


if __name__ == "__main__":
    unittest.main()
