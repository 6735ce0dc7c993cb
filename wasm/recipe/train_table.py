"""Finds the functions that tasks call through pointers, for the start of the function table.

Runs the programs below as tasks, and meanwhile reads the function table of the running instance
from the memory of the process. An entry that is not zero was called.
"""

import json
import os
import re
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import link
import table
import toolchain as tools
from bitcode import Code
from build import WASM, ensure_built
from compile import Flavour, compile_library
from configure import configure
from inputs import Fetcher, load
from module import read
from report import BuildError, fail_line, say, step
from store import Store

# Bytes that the sandbox reserves for a table: TABLE_ELEMENTS of src/sandbox/engine.rs, 8 each.
TABLE_BYTES = 32_768 * 8
SECONDS = 2.0
# Entries that each task fills in, at least; other memory may look like a table with fewer.
LEAST = 5
PROGRAMS = (
    "return 1 + 2",
    "return [{'json': {'a': i['json']['a'] + 1}} for i in [{'json': {'a': 1}}]]",
    "import json, re\nreturn re.sub('a', 'b', json.dumps({'a': 1}))",
    "with open('a', 'w') as f: f.write('x')\nreturn 1",
    "with open('a', 'w') as f: f.write('x')\nwith open('a') as f: return f.read()",
    "import os\nos.makedirs('/tmp/a/b')\nreturn os.listdir('/tmp'), os.path.exists('x')",
    "import sqlite3\nreturn sqlite3.connect(':memory:').execute('select 1').fetchone()",
    "import requests\nreturn 1",
    "def f(): raise ValueError('x')\nf()",
    "print('a', 1, 2.5, [1], {'a': 1})",
    "class A:\n  def __init__(self, x): self.x = x\n  def __repr__(self): return f'{self.x!r}'\n"
    "  @property\n  def y(self): return self.x\nreturn [repr(A(i)) + str(A(i).y) for i in (1, 2)]",
    "d = {str(i): i * 1.5 for i in range(9)}\n"
    "return sorted(d.items(), key=lambda p: -p[1]), sum(d.values()), '|'.join(d), f'{1.5:.2f}'",
    "from datetime import datetime, timedelta, UTC\n"
    "return datetime(2024, 1, 2).isoformat(), str(timedelta(days=1)), datetime.now(UTC).year",
    "import re\nreturn re.findall(r'(\\w+)@', 'a@b'), 'Ab'.lower().replace('a', 'x').encode()",
    "import json, base64, hashlib\nx = json.loads(json.dumps({'a': [1, 2.5, None, True, 'x']}))\n"
    "return x, base64.b64encode(b'a').decode(), hashlib.sha256(b'a').hexdigest()",
    "import csv, io\nreturn list(csv.DictReader(io.StringIO('a,b\\n1,2\\n')))",
    "from collections import Counter, defaultdict\nfrom itertools import groupby\n"
    "d = defaultdict(list)\nd['a'].append(1)\n"
    "return Counter('aba').most_common(), dict(d), [k for k, g in groupby('aab')]",
    "import asyncio\nasync def f(x):\n  await asyncio.sleep(0)\n  return x\n"
    "return await asyncio.gather(f(1), f(2))",
    "import math, random, uuid, time\n"
    "return math.sqrt(2), random.random(), str(uuid.uuid4()), time.time()",
    "try:\n  {}['a']\nexcept KeyError as e:\n  return str(e), isinstance(e, LookupError)",
    "def g():\n  for i in range(3): yield i\ns = set(g())\nx, *y = s\n"
    "return list(zip(s, reversed(y))), list(map(str, s)), s | {9}, 7 // 2, 2 ** 70, int('7')",
)


def bench() -> Path:
    """Builds the benchmark that runs tasks, and returns its executable."""
    command = ["cargo", "bench", "--bench", "fresh_task", "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=WASM.parent, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return Path(next(one["executable"] for one in reversed(messages) if one.get("executable")))


def called(program: Path, code: str) -> set[int]:
    """Returns the entries that tasks with this code fill in."""
    command = [str(program), "--code", code, "--tasks", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        time.sleep(0.5)
        found: set[int] = set()
        places = _places(running.pid)
        end = time.monotonic() + SECONDS
        with Path(f"/proc/{running.pid}/mem").open("rb", buffering=0) as memory:
            while time.monotonic() < end:
                seen = {place: _entries(memory.fileno(), place) for place in places}
                filled = {place: entries for place, entries in seen.items() if len(entries) > LEAST}
                found.update(*filled.values())
                # Tasks use one slot. A look at all places takes longer than a task.
                places = list(filled) or places
        running.kill()
    return found


def _places(process: int) -> list[int]:
    """Returns the addresses at which a table may be."""
    pattern = r"(?m)^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0\s*$"
    maps = Path(f"/proc/{process}/maps").read_text("utf-8")
    ranges = [(int(start, 16), int(end, 16)) for start, end in re.findall(pattern, maps)]
    whole = [(start, end) for start, end in ranges if (end - start) % TABLE_BYTES == 0]
    return [place for start, end in whole for place in range(start, end, TABLE_BYTES)]


def _entries(memory: int, place: int) -> set[int]:
    """Returns the entries that are filled in, if a table is there: each is odd then."""
    # Fast for the many places that are empty.
    data = os.pread(memory, TABLE_BYTES // 2, place).rstrip(b"\0")
    values = struct.unpack(f"<{(len(data) + 7) // 8}Q", data.ljust((len(data) + 7) // 8 * 8, b"\0"))
    filled = {i: value for i, value in enumerate(values) if value}
    return set(filled) if all(value & 1 for value in filled.values()) else set()


def named(store: Store) -> dict[int, str]:
    """Links the module again, with names, and returns the names of the table's entries."""
    inputs = load(WASM / "recipe" / "inputs.toml")
    flavour = Flavour(lto=True)
    objects = ensure_built(store, flavour, 1, locked=False) / "work" / "objects"
    fetcher = Fetcher(store)
    inputs = fetcher.settle(inputs, locked=False)
    toolchain, key = tools.prepare(store, inputs, fetcher)
    configured, key = configure(store, inputs, fetcher, toolchain, key, WASM)
    tree, _ = compile_library(store, configured, key, toolchain, flavour, WASM, 1)
    target, log = objects / "named.wasm", store.log("table")
    link.Linker(WASM, tree, toolchain, log).run(link.generated(objects), [], target)
    module = read(target)
    target.unlink()
    own = table.defined(objects / "rest.bc", Code(toolchain, objects, log))
    names = {entry: module.names.get(function, "") for entry, function in module.table.items()}
    bases = {entry: table.base_name(name) for entry, name in names.items()}
    return {entry: name for entry, name in bases.items() if name in own}


def main() -> int:
    """Writes the list; returns the exit status, 0 or 1."""
    try:
        names = named(Store.for_user())
        program = bench()
        counts: Counter[int] = Counter()
        with step("Running tasks"):
            for code in PROGRAMS:
                counts.update(called(program, code))
    except (BuildError, OSError, subprocess.CalledProcessError) as error:
        fail_line(str(error))
        return 1
    # Entries of most programs come first, then those of the earlier programs.
    found = [names[entry] for entry, _ in counts.most_common() if entry in names]
    (WASM / table.LIST).write_text("".join(f"{name}\n" for name in dict.fromkeys(found)), "utf-8")
    say(f"{WASM / table.LIST}: {len(found)} functions; build with scripts/build-python")
    return 0


if __name__ == "__main__":
    sys.exit(main())
