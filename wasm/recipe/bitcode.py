"""Runs LLVM's tools on bitcode."""

from dataclasses import dataclass
from pathlib import Path

from report import run
from sources import environment
from toolchain import Toolchain


@dataclass(frozen=True)
class Code:
    """A directory of bitcode and objects, and the tools that make them."""

    toolchain: Toolchain
    into: Path
    log: Path

    def run(self, tool: str, arguments: list[object]) -> None:
        """Runs a tool of LLVM."""
        run(
            [self.toolchain.tool(tool), *arguments],
            log=self.log,
            env=environment(self.toolchain),
            progress=lambda: "generating code",
        )

    def compile(self, bitcode: Path, options: list[str]) -> None:
        """Compiles bitcode to the object beside it."""
        fixed = ["-O3", "-filetype=obj", "-data-sections"]
        self.run("llc", [*fixed, *options, bitcode, "-o", bitcode.with_suffix(".o")])
