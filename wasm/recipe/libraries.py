"""The C libraries of CPython's modules: what is unpacked, and how it is compiled."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from inputs import Fetcher, Inputs
from report import run
from sources import Tree, apply, environment, unpack
from toolchain import Toolchain

WASM_FEATURES = (
    "-mbulk-memory",
    "-mnontrapping-fptoint",
    "-msign-ext",
    "-mmutable-globals",
    "-mmultivalue",
    "-msimd128",
)


@dataclass(frozen=True)
class Library:
    """A library. `source` is its name in inputs.toml, `name` that for the linker's `-l`."""

    source: str
    name: str
    files: tuple[str, ...]
    flags: tuple[str, ...]
    licence: str
    headers: str = "."
    # Beginnings of the paths that are unpacked.
    wanted: tuple[str, ...] = ("",)


_XZ = "src/liblzma"
_XZ_FILES = {
    "check": "check crc32_fast crc64_fast sha256",
    "common": "common block_util easy_preset filter_common stream_flags_common vli_size "
    "alone_encoder block_buffer_encoder block_encoder block_header_encoder easy_buffer_encoder "
    "easy_encoder easy_encoder_memusage filter_buffer_encoder filter_encoder filter_flags_encoder "
    "index_encoder stream_buffer_encoder stream_encoder stream_flags_encoder vli_encoder "
    "alone_decoder auto_decoder block_buffer_decoder block_decoder block_header_decoder "
    "easy_decoder_memusage filter_buffer_decoder filter_decoder filter_flags_decoder index "
    "index_decoder index_hash lzip_decoder stream_buffer_decoder stream_decoder "
    "stream_flags_decoder string_conversion vli_decoder",
    "delta": "delta_common delta_decoder delta_encoder",
    "lz": "lz_decoder lz_encoder lz_encoder_mf",
    "lzma": "fastpos_table lzma2_decoder lzma2_encoder lzma_decoder lzma_encoder "
    "lzma_encoder_optimum_fast lzma_encoder_optimum_normal lzma_encoder_presets",
    "rangecoder": "price_table",
    "simple": "arm arm64 armthumb ia64 powerpc riscv simple_coder simple_decoder simple_encoder "
    "sparc x86",
}
_XZ_FILTERS = "LZMA1 LZMA2 DELTA X86 ARM ARM64 ARMTHUMB IA64 POWERPC RISCV SPARC".split()
_XZ_DEFINES = (
    "STDBOOL_H STDINT_H INTTYPES_H LIMITS_H STRING_H _BOOL __BUILTIN_BSWAPXX ENCODERS DECODERS "
    "LZIP_DECODER CHECK_CRC32 CHECK_CRC64 CHECK_SHA256 MF_HC3 MF_HC4 MF_BT2 MF_BT3 MF_BT4"
).split() + [f"{way}_{name}" for way in ("ENCODER", "DECODER") for name in _XZ_FILTERS]

# https://sqlite.org/compile.html. Debian's limit of variables and its extensions, as programs
# know them. Without threads, extensions from files, and mapped memory. Temporary tables are in
# memory, because files are too.
_SQLITE_DEFINES = (
    'DEFAULT_UNIX_VFS="unix"',
    "THREADSAFE=0",
    "OMIT_LOAD_EXTENSION",
    "MAX_MMAP_SIZE=0",
    "TEMP_STORE=2",
    "DEFAULT_MEMSTATUS=0",
    "MAX_VARIABLE_NUMBER=250000",
    "SOUNDEX",
    "ENABLE_COLUMN_METADATA",
    "ENABLE_DBSTAT_VTAB",
    "ENABLE_FTS3",
    "ENABLE_FTS3_PARENTHESIS",
    "ENABLE_FTS4",
    "ENABLE_FTS5",
    "ENABLE_MATH_FUNCTIONS",
    "ENABLE_RTREE",
)

LIBRARIES = (
    Library(
        "zlib",
        "z",
        tuple(
            "adler32 crc32 deflate inffast inflate inftrees trees zutil compress uncompr "
            "infback".split()
        ),
        ("-O3",),
        "LICENSE",
    ),
    Library(
        "bzip2",
        "bz2",
        tuple("blocksort huffman crctable randtable compress decompress bzlib".split()),
        ("-O3",),
        "LICENSE",
    ),
    Library(
        "xz-utils",
        "lzma",
        tuple(f"{_XZ}/{part}/{file}" for part, some in _XZ_FILES.items() for file in some.split()),
        (
            "-O2",
            "-DNDEBUG",
            "-DSIZEOF_SIZE_T=4",
            "-DASSUME_RAM=128",
            "-DTUKLIB_SYMBOL_PREFIX=lzma_",
            '-DPACKAGE_NAME="xz"',
            "-DHAVE_VISIBILITY=0",
            # CPython's module has a static function of this name. Generating code in two parts
            # (link.py) makes it visible to the linker, which then takes it for both.
            "-Dlzma_free=liblzma_free",
            "-Isrc/common",
            *(f"-I{_XZ}/{part}" for part in ("api", *_XZ_FILES)),
            *(f"-DHAVE_{name}" for name in _XZ_DEFINES),
        ),
        "COPYING.0BSD",
        f"{_XZ}/api",
        ("src/common/", f"{_XZ}/", "COPYING"),
    ),
    Library(
        "sqlite3",
        "sqlite3",
        ("sqlite3",),
        (
            "-O2",
            "-DNDEBUG",
            "-Wno-everything",
            *(f"-DHAVE_{name}" for name in "READLINK LSTAT USLEEP LOCALTIME_R GMTIME_R".split()),
            *(f"-DSQLITE_{name}" for name in _SQLITE_DEFINES),
        ),
        "LICENSE.md",
        wanted=("src/", "ext/", "tool/", "main.mk", "VERSION", "manifest", "LICENSE.md"),
    ),
)


def build(
    library: Library,
    tree: Tree,
    inputs: Inputs,
    fetcher: Fetcher,
    toolchain: Toolchain,
    own_patches: list[Path],
    log: Path,
) -> None:
    """Unpacks and compiles a library in its directory of the tree."""
    directory = tree.library(library.source)

    def wanted(path: str) -> bool:
        return path.startswith(library.wanted)

    unpack(inputs.source(library.source), directory, wanted, fetcher, toolchain, log)
    for patch in own_patches:
        apply(patch, directory, toolchain, log, f"update {patch.name} for {library.source}")
    if library.source == "sqlite3":
        _amalgamate(directory, library, toolchain, log)
    _compile(library, directory, toolchain, log)


def _amalgamate(directory: Path, library: Library, toolchain: Toolchain, log: Path) -> None:
    """Puts SQLite's amalgamation in the place of its tree (https://sqlite.org/amalgamation.html).

    Its makefile compiles programs for this machine, and runs scripts of Tcl.
    """
    whole = directory.with_name(".sqlite3")
    directory.rename(whole)
    directory.mkdir()
    env = environment(toolchain)
    env["PATH"] = f"{toolchain.root / 'bin'}:{env['PATH']}"
    command: list[object] = [toolchain.tool("make"), "-f", whole / "main.mk", f"TOP={whole}"]
    command += [f"BCC={toolchain.tool('clang')}", "OPT_FEATURE_FLAGS=", "sqlite3.c"]
    advice = "install gcc and libc6-dev: the compiler or the C library's headers may be missing"
    (whole / "made").mkdir()
    run(command, log=log, cwd=whole / "made", env=env, advice=advice)
    for file in (whole / "made/sqlite3.c", whole / "made/sqlite3.h", whole / library.licence):
        shutil.copyfile(file, directory / file.name)
    shutil.rmtree(whole)


def _compile(library: Library, directory: Path, toolchain: Toolchain, log: Path) -> None:
    objects = [f"{file}.o" for file in library.files]
    for file, made in zip(library.files, objects, strict=True):
        command = [toolchain.tool("wcc"), *library.flags, *WASM_FEATURES]
        command += [f"-ffile-prefix-map={directory}=/{library.source}"]
        run([*command, "-c", f"{file}.c", "-o", made], log=log, cwd=directory)
    archive = f"lib{library.name}.a"
    run([toolchain.tool("llvm-ar"), "rcsD", archive, *objects], log=log, cwd=directory)
