"""pyeryx: CPython as a WebAssembly component, in this process."""

import eryx
from serve import serve


def trivial() -> object:
    """A fresh sandbox, the task, the drop."""
    return eryx.Sandbox().execute("result = 1 + 2").result


def run(code: str) -> str:
    """What the code prints."""
    limits = eryx.ResourceLimits(execution_timeout_ms=600_000)
    return eryx.Sandbox(resource_limits=limits).execute(code).stdout_text


if __name__ == "__main__":
    serve(trivial, run)
