"""pyeryx: CPython as a WebAssembly component, in this process."""

import eryx

from serve import serve

SANDBOX = eryx.Sandbox()


def trivial() -> object:
    """The task in a fresh state, which each call of one sandbox has; a sandbox for each task takes up to twice as long."""
    return SANDBOX.execute("result = 1 + 2").result


def check_freshness() -> None:
    """Ends this peer where a task finds what another one left."""
    SANDBOX.execute("import builtins, json; builtins.left = json.left = left = 1")
    look = "import builtins, json; result = [hasattr(builtins, 'left'), hasattr(json, 'left'), 'left' in dir()]"
    left = SANDBOX.execute(look).result
    if left != [False, False, False]:
        raise SystemExit(f"a task left something for the next one: {left}")


def run(code: str) -> str:
    """What the code prints."""
    limits = eryx.ResourceLimits(execution_timeout_ms=600_000)
    return eryx.Sandbox(resource_limits=limits).execute(code).stdout_text


if __name__ == "__main__":
    check_freshness()
    serve(trivial, run)
