"""The guest package: it runs inside the sandbox and gives the text of a program its meaning.

The image calls `warm()` once, before the snapshot that every task starts from, and `run()` once in
each fresh instance. A task reads its settings from the host, runs its code as the body of a
function, and writes one JSON reply.

- `abi`: the constants of the boundary with the host
- `core`: one task: settings, code, result, errors, output, the event loop, the host
- `n8n`: the names that n8n offers to a Code node
- `http`: requests by the usual names: `urllib`, `requests`, `httpx`
- `policy`: which modules and built-ins user code may use, if the host limits them
- `measure`: benchmarks, spans and profiles
- `warmup`: loads modules and rehearses tasks before the snapshot
"""

from _serpentarium.core.extensions import extensions
from _serpentarium.core.task import run
from _serpentarium.measure import measure
from _serpentarium.n8n import modes
from _serpentarium.policy import guards
from _serpentarium.policy import hints as policy_hints
from _serpentarium.warmup import warm

__all__ = ["run", "warm"]

extensions.select_mode = modes.select
extensions.apply_policy = guards.apply
extensions.measure = measure.run
policy_hints.install()
