"""The compiler of extension modules: a wrapper of the toolchain's.

    driver.py TOOLCHAIN LIBRARY c|c++ ARGUMENTS...

Compiles to bitcode. Links the bitcode of one extension module into one object, in which only a
function `start_PATH` is visible: the modules define many names twice. LIBRARY is the C++ library.
"""

import os
import subprocess
import sys
from pathlib import Path

# Exceptions are kept as calls (wasm/data/exceptions.c).
CXX = ["--driver-mode=g++", "-nostdinc++", "-fexceptions"]
# Without bulk memory, copies are calls of the C library: the verifier cannot prove some of those
# that the compiler writes into large functions.
FEATURES = ["-mnontrapping-fptoint", "-msign-ext", "-mmutable-globals", "-mmultivalue"]
FEATURES += ["-msimd128"]
EMULATED = ["SIGNAL", "GETPID", "PROCESS_CLOCKS"]
# Flags of floating-point operations, which WebAssembly lacks: numpy raises its errors by them
# (wasm/data/flags.c).
FLAGS = ["INVALID=1", "DIVBYZERO=4", "OVERFLOW=8", "UNDERFLOW=16"]
# meson's checks link programs, which bitcode would not fit.
CHECKS = "meson-private"


def start_of(output: str) -> str:
    """The function that starts the module in an output file of the build."""
    return "start_" + output.partition(".")[0].replace("/", "_")


def joined(toolchain: Path, words: list[str]) -> int:
    """Links bitcode into one object, which is optimised and has one visible function."""
    output = words[words.index("-o") + 1]
    inputs = [word for word in words if word.endswith((".o", ".a")) and word != output]
    name, start = Path(output).name.partition(".")[0], start_of(output)
    bitcode, source, begin = f"{output}.bc", f"{output}.c", f"{output}.start.o"
    Path(source).write_text(
        f"void *PyInit_{name}(void);\nvoid *{start}(void) {{ return PyInit_{name}(); }}\n"
    )
    tools = toolchain / "debian/usr/lib/llvm-19/bin"
    # The wrapper of clang says where LLVM's libraries are.
    wrapper = (toolchain / "bin/clang").read_text(encoding="utf-8")
    libraries = wrapper.partition("LD_LIBRARY_PATH=")[2].partition("\n")[0]
    env = dict(os.environ, LD_LIBRARY_PATH=libraries)
    steps: list[list[str | Path]] = [
        [toolchain / "bin/wcc", "-O2", "-emit-llvm", "-c", source, "-o", begin],
        [tools / "llvm-link", *inputs, begin, "-o", bitcode],
        [
            tools / "opt",
            "-passes=internalize,globaldce",
            f"-internalize-public-api-list={start}",
            bitcode,
            "-o",
            bitcode,
        ],
        [
            toolchain / "bin/llc",
            "-O3",
            "-filetype=obj",
            "-function-sections",
            "-data-sections",
            bitcode,
            "-o",
            output,
        ],
    ]
    for step in steps:
        status = subprocess.run(step, env=env, check=False).returncode
        if status != 0:
            return status
    return 0


def main(toolchain: Path, library: Path, language: str, *arguments: str) -> int:
    """Compiles, links, or answers the question of a check."""
    # The objects are not moved: there are no shared libraries.
    words = [word for word in arguments if word != "-fPIC"]
    if "-shared" in words:
        return joined(toolchain, words)
    options = [*FEATURES, *(f"-D_WASI_EMULATED_{name}" for name in EMULATED)]
    options += [f"-DFE_{flag}" for flag in FLAGS]
    output = words[words.index("-o") + 1] if "-o" in words else CHECKS
    if "-c" in words and CHECKS not in output:
        options.append("-emit-llvm")
    if language == "c++":
        options += [*CXX, "-isystem", f"{library}/include/wasm32-wasi/c++/v1"]
        if "-c" not in words and "-E" not in words:
            words += ["-nostdlib++", f"-L{library}/lib/wasm32-wasi", "-lc++", "-lc++abi"]
    return subprocess.run([toolchain / "bin/wcc", *options, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
