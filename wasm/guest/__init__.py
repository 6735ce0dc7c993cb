"""What runs inside the sandbox: it gives the text of a Code node its meaning.

The image calls `warm()` once, before the snapshot that every task starts from, and `run()` once in each fresh instance.
A task reads its settings from the host, runs its code as the body of a function, and writes one JSON reply.

    task      the way of one task: settings, code, reply
    code      from text to a function
    source    the lines of that text, for tracebacks
    result    from the returned value to JSON
    errors    from an exception to JSON
    log       what was printed, on its way to the host
    printing  `print`
    streams   `sys.stdin`, `sys.stdout`, `sys.stderr`
    loop      asyncio without file descriptors
    names     what n8n offers to code by name; only what the code mentions is put there
    mentions  the look for those names
    running   the running task as those objects see it, and the one request for n8n's data
    helpers   `_helpers`
    plans     the requests behind it
    nodes     `_input`, `_node`, `_prev_node`
    pairing   the items of other nodes, and which was made from which
    workflow  `_workflow`, `_execution`, `_vars` and the rest
    calls     requests to n8n, blocking and awaited
    manual    `help`, and the JavaScript spelling of names
    policy    what user code may import and call, where that is limited
    inspection  the look at code before it runs
    guards    what stands in for functions that could lead past the policy
    measure   benchmarks, and marks around what is measured
    marks     marks in a program's text, which tell of its lines
    profile   what user code does, line by line
    seeding   `random`, seeded when it is first used
    wire      JSON and the ways to the host
    warmup    what is loaded and rehearsed before the snapshot
"""

from _serpentarium.task import run
from _serpentarium.warmup import warm

__all__ = ["run", "warm"]
