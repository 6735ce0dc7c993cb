"""pyeryx: CPython as a WebAssembly component, in this process."""

import eryx

from serve import serve

SANDBOX = eryx.Sandbox()


def trivial() -> object:
    """The task in a fresh state. Each call on one sandbox has one; a new sandbox takes up to twice
    as long.
    """
    return SANDBOX.execute("result = 1 + 2").result


def check_freshness() -> None:
    """Ends this peer if a task sees the state of another one."""
    SANDBOX.execute("import builtins, json; builtins.left = json.left = left = 1")
    look = (
        "import builtins, json; "
        "result = [hasattr(builtins, 'left'), hasattr(json, 'left'), 'left' in dir()]"
    )
    left = SANDBOX.execute(look).result
    if left != [False, False, False]:
        raise SystemExit(f"a task saw the state of another one: {left}")


def run(code: str) -> str:
    """The output of the code."""
    limits = eryx.ResourceLimits(execution_timeout_ms=600_000)
    return str(eryx.Sandbox(resource_limits=limits).execute(code).stdout_text)


if __name__ == "__main__":
    check_freshness()
    serve(trivial, run)
