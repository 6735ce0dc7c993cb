"""Threads without parallelism: a started thread runs when another one waits.

WebAssembly gives a task one stack. The body of a started thread begins when the running thread
waits: for a lock, an event, a queue, the end of a thread, a result, or time. It then runs on top
of the waiting one, until it ends. If it waits itself, further threads run on top of it. A thread
that waits for something that no other thread can do any more is stopped, and the thread below goes
on. See docs/decisions/0041-threads.md.

- `schedule`: which thread runs, and what a wait does
- `locks`: `Lock` and `RLock`
- `standard`: the members of `threading`, `time`, `queue` that are replaced
- `pools`: `concurrent.futures`
- `processes`: `multiprocessing`, whose processes are threads
- `process_pools`: `multiprocessing.Pool`
"""

from _serpentarium.core.threads import pools, processes, standard


def install() -> None:
    """Replaces the members of the standard library, before the snapshot."""
    standard.install()
    pools.install()
    processes.install()
