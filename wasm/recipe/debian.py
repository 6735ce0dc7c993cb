"""Fetches Debian packages and sources, also from suites that this machine has not configured.

apt runs with a private configuration (`APT_CONFIG`, apt.conf(5)). Mirror, keys and proxies are the
machine's. Lists and cache are private. Nothing is installed.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from report import BuildError, run

SUITES = ("bookworm", "trixie")
# Suite names that identify a mirror of Debian itself; derivatives use other names.
_DEBIAN_SUITES = {
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
}


@dataclass(frozen=True)
class Mirror:
    """A Debian mirror, and the keyring that signs it."""

    uri: str
    signed_by: str | None

    def stanza(self) -> str:
        """The deb822 stanza of this mirror for `SUITES` (sources.list(5))."""
        lines = [
            "Types: deb deb-src",
            f"URIs: {self.uri}",
            f"Suites: {' '.join(SUITES)}",
            "Components: main",
        ]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def _from_deb822(text: str) -> Mirror | None:
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(
                r"(?m)^([A-Za-z-]+):((?:.*\n?)(?:[ \t]+.*\n?)*)", stanza + "\n"
            )
        }
        suites, components = (
            set(fields.get("suites", "").split()),
            fields.get("components", "").split(),
        )
        if (
            suites & _DEBIAN_SUITES
            and "main" in components
            and fields.get("enabled", "yes") != "no"
        ):
            return Mirror(fields["uris"].split()[0], fields.get("signed-by"))
    return None


def _from_list(text: str) -> Mirror | None:
    for line in text.splitlines():
        entry = re.match(
            r"\s*deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<rest>.*)",
            line,
        )
        if entry and entry["suite"] in _DEBIAN_SUITES and "main" in entry["rest"].split():
            key = re.search(r"signed-by=(\S+)", entry["options"] or "")
            return Mirror(entry["uri"], key[1] if key else None)
    return None


def find_mirror(etc: Path = Path("/etc/apt")) -> Mirror:
    """Finds this machine's Debian mirror in its sources, in deb822 or one-line format."""
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        if mirror := _from_deb822(path.read_text(encoding="utf-8")):
            return mirror
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        if path.exists() and (mirror := _from_list(path.read_text(encoding="utf-8"))):
            return mirror
    raise BuildError(
        "  no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d\n"
        "  to do: build on Debian 12 or later, or add a Debian mirror with the component main"
    )


class PrivateApt:
    """apt with private state that offers all of `SUITES`."""

    def __init__(self, root: Path, log: Path) -> None:
        self._root = root
        self._log = log
        self._env = dict(os.environ, APT_CONFIG=str(root / "apt.conf"), LC_ALL="C")
        self._ready = False

    def _prepare(self) -> None:
        if self._ready:
            return
        missing = [
            tool
            for tool in ("apt-get", "apt-cache", "apt-config", "dpkg")
            if shutil.which(tool) is None
        ]
        if missing:
            raise BuildError(
                f"  not on this machine: {', '.join(missing)}\n  to do: build on Debian 12 or later"
            )
        shutil.rmtree(self._root, ignore_errors=True)
        for part in ("lists/partial", "cache/archives/partial", "sources"):
            (self._root / part).mkdir(parents=True)
        (self._root / "sources" / "debian.sources").write_text(find_mirror().stanza())
        (self._root / "apt.conf").write_text(self._configuration())
        advice = "check the network and the machine's package sources, then start again"
        command = ["apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"]
        run(command, log=self._log, env=self._env, advice=advice)
        self._ready = True

    def _configuration(self) -> str:
        # Machine configuration may run commands after an update, so only its network options stay.
        network = subprocess.run(
            ["apt-config", "dump"], capture_output=True, text=True, check=True
        ).stdout
        lines = [line for line in network.splitlines() if line.startswith("Acquire::")]
        lines += [
            'Dir::Etc::main "/dev/null";',
            'Dir::Etc::parts "/dev/null";',
            'Dir::Etc::sourcelist "/dev/null";',
            f'Dir::Etc::sourceparts "{self._root}/sources";',
            f'Dir::State::lists "{self._root}/lists";',
            f'Dir::Cache "{self._root}/cache";',
            'Acquire::Languages "none";',
        ]
        if os.geteuid() == 0:
            lines.append('APT::Sandbox::User "root";')
        return "\n".join(lines) + "\n"

    def _ask(self, *command: str) -> str:
        self._prepare()
        return subprocess.run(
            command, env=self._env, capture_output=True, text=True, check=False
        ).stdout

    def versions(self, name: str) -> list[str]:
        """The versions of a binary package that the mirror offers."""
        return re.findall(r"(?m)^Version: (\S+)$", self._ask("apt-cache", "show", name))

    def source_versions(self, name: str) -> list[str]:
        """The versions of a source package that the mirror offers."""
        shown = self._ask("apt-cache", "showsrc", "--only-source", name)
        return re.findall(r"(?m)^Version: (\S+)$", shown)

    def download(self, packages: list[str], into: Path) -> None:
        """Fetches binary packages, each `name=version` or `name/suite`. apt checks signatures."""
        self._prepare()
        into.mkdir(parents=True, exist_ok=True)
        advice = (
            "check the network; if a version is gone, wasm/recipe/inputs.toml needs its successor"
        )
        run(
            ["apt-get", "-q", "download", *packages],
            log=self._log,
            cwd=into,
            env=self._env,
            advice=advice,
        )

    def download_source(self, name: str, version: str, into: Path, part: str = "tar") -> None:
        """Fetches an archive of a source package: "tar" is upstream's, "diff" Debian's changes.

        Each is fetched alone, because a mirror that updates may lack the other.
        """
        self._prepare()
        into.mkdir(parents=True, exist_ok=True)
        command = [
            "apt-get",
            "-q",
            "source",
            "--only-source",
            "--download-only",
            f"--{part}-only",
            f"{name}={version}",
        ]
        run(
            command,
            log=self._log,
            cwd=into,
            env=self._env,
            advice="check the network, then start again",
        )
