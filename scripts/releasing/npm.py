"""Packs the executable for npm: a package for each target, and one that depends on all of them.

npm installs the package of the machine alone (`os` and `cpu` in package.json). `npx serpentarium`
then runs it.
"""

from collections.abc import Sequence
from typing import Any

from releasing.archives import Entry, program, tar_gz
from releasing.project import FILES, Build, Project, Target, as_json
from releasing.recipe import ROOT

# The oldest Node.js that has security releases.
NODE = ">=18"


def platform_package(project: Project, target: Target) -> str:
    """The name of a target's package."""
    return f"{project.name}-{target.node_os}-{target.node_cpu}"


def pack_platform(project: Project, build: Build) -> bytes:
    """The package with the executable of a target."""
    target = build.target
    manifest = _manifest(project, platform_package(project, target))
    manifest |= {"os": [target.node_os], "cpu": [target.node_cpu]}
    manifest["files"] = ["bin"]
    licences = project.licences(target) | {"NOTICES.txt": build.notices.encode()}
    entries = [
        Entry("package/package.json", as_json(manifest)),
        program(f"package/bin/{target.program}", build.executable.read_bytes()),
        *(Entry(f"package/{name}", text) for name, text in licences.items()),
    ]
    return tar_gz(entries, project.time)


def pack_chooser(project: Project, targets: Sequence[Target]) -> bytes:
    """The package that people name. It starts the executable of the machine."""
    manifest = _manifest(project, project.name)
    manifest["bin"] = {project.name: f"bin/{project.name}.js"}
    packages = [platform_package(project, target) for target in targets]
    manifest["optionalDependencies"] = dict.fromkeys(packages, project.version)
    entries = [
        Entry("package/package.json", as_json(manifest)),
        Entry("package/README.md", (ROOT / "README.md").read_bytes()),
        program(f"package/bin/{project.name}.js", (FILES / "npm" / "start.js").read_bytes()),
        *(Entry(f"package/{name}", text) for name, text in project.licences().items()),
    ]
    return tar_gz(entries, project.time)


def _manifest(project: Project, name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "name": name,
        "version": project.version,
        "description": project.description,
        "license": f"({project.licence})",
        "engines": {"node": NODE},
    }
    if project.homepage:
        manifest["homepage"] = project.homepage
    return manifest
