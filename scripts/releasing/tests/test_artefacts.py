"""Packs a small program as each artefact, and uses the artefacts as their users do."""

import json
import platform
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from releasing import check, check_image, manual
from releasing.archives import ar
from releasing.artefacts import SUMS, Names, pack
from releasing.project import TARGETS, Build, Project

# Answers `exec -`, and prints its other arguments.
PROGRAM = f"""#!/bin/sh
if [ "$1" = exec ]; then cat > /dev/null; echo {check.EXPECTED}; else echo "$@"; fi
"""
HELP = """Runs code

Usage: program <COMMAND>

Commands:
  exec  Runs one program
        with a limit
  help  Prints help

Options:
  -h  help
"""


class Artefacts(unittest.TestCase):
    """`artefacts.pack`."""

    project: Project
    builds: list[Build]
    made: dict[str, bytes]
    out: Path
    names: Names

    @classmethod
    def setUpClass(cls) -> None:
        cls.out = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        program = cls.out / "program"
        program.write_text(PROGRAM)
        cls.project = Project.read()
        cls.builds = [Build(t, program, "notices", ".TH", "2.36") for t in TARGETS.values()]
        cls.made = pack(cls.project, cls.builds)
        for name, content in cls.made.items():
            (cls.out / name).write_bytes(content)
        cls.names = Names(cls.project)

    def native(self) -> Build:
        """The build for this machine."""
        here = check_image.ARCHITECTURES[platform.machine()]
        return next(one for one in self.builds if one.target.container == here)

    def work(self) -> Path:
        """A directory of its own."""
        return Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_equal_inputs_give_equal_bytes(self) -> None:
        self.assertEqual(pack(self.project, self.builds), self.made)

    def test_the_sums_cover_all_artefacts(self) -> None:
        lines = self.made[SUMS].decode().splitlines()
        self.assertEqual({line.split("  ")[1] for line in lines}, set(self.made) - {SUMS})

    def test_no_artefact_names_a_placeholder_or_a_user(self) -> None:
        for name, content in self.made.items():
            self.assertNotIn(b"example.invalid", content, name)
        with tarfile.open(self.out / self.names.archive(self.native())) as archive:
            self.assertEqual(
                {(m.uid, m.uname, m.mtime) for m in archive}, {(0, "", self.project.time)}
            )

    def test_the_archive_unpacks(self) -> None:
        directory = check.archive(self.out / self.names.archive(self.native()), self.work())
        check.says_hello([directory / "bin" / self.project.name])
        bill = json.loads((directory / "sbom.cdx.json").read_text())
        names = {component["name"] for component in bill["components"]}
        self.assertLessEqual({"glibc", "wasmtime", "sqlite3", "requests"}, names)

    def test_windows_gets_what_it_can_use(self) -> None:
        [windows] = [one for one in self.builds if one.target.is_windows]
        directory = check.archive(self.out / self.names.archive(windows), self.work())
        self.assertEqual((directory / "bin/serpentarium.exe").read_text(), PROGRAM)
        self.assertFalse((directory / "share").exists())
        bill = json.loads((directory / "sbom.cdx.json").read_text())
        names = {component["name"] for component in bill["components"]}
        self.assertLessEqual({"mingw-w64", "windows-sys"}, names)
        with zipfile.ZipFile(self.out / self.names.wheel(windows)) as wheel:
            scripts = [name for name in wheel.namelist() if ".data/scripts/" in name]
        self.assertEqual([Path(name).name for name in scripts], ["serpentarium.exe"])
        self.assertFalse([name for name in self.made if name.endswith("_.deb")])

    def test_the_wheel_installs(self) -> None:
        check.wheel(self.out / self.names.wheel(self.native()), self.work())

    def test_the_debian_package_installs_and_purges(self) -> None:
        if not check.deb(self.project, self.out / self.names.deb(self.native()), self.work()):
            self.skipTest("no dpkg")

    def test_the_packages_of_npm_install(self) -> None:
        packages = [self.out / self.names.npm(one) for one in self.builds]
        if not check.npm(self.out / self.names.chooser, packages, self.work()):
            self.skipTest("no npm")

    def test_the_image_has_each_architecture(self) -> None:
        for build in (one for one in self.builds if one.target.container):
            work = self.work()
            config = check_image.unpack(self.out / self.names.image, build.target.container, work)
            self.assertEqual(config["architecture"], build.target.container)
            self.assertEqual((work / "usr/local/bin/serpentarium").read_text(), PROGRAM)

    def test_the_service_can_do_little(self) -> None:
        if not check.service():
            self.skipTest("no systemd-analyze")


class Manual(unittest.TestCase):
    """`manual.page`."""

    def test_the_page_has_each_command(self) -> None:
        self.assertEqual(manual.commands(HELP), ["exec"])
        page = manual.page(
            Project.read(), lambda *words: HELP if words == ("--help",) else ".a-'b'\\"
        )
        self.assertIn('.SH "serpentarium exec"\n.nf\n\\&.a\\-\\(aqb\\(aq\\e\n.fi', page)


class Tar(unittest.TestCase):
    """`archives`."""

    def test_ar_members_have_even_places(self) -> None:
        data = ar([("a", b"1"), ("b", b"22")], 0)
        self.assertEqual(len(data), 8 + 60 + 2 + 60 + 2)
        self.assertTrue(data.startswith(b"!<arch>\n"))


if __name__ == "__main__":
    unittest.main()
