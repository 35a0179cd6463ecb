"""The test_*.py of this folder, counted as tests/run reads it."""

import importlib.util
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def main(names):
    # The runner of the client tests, which has the same name as the one of the drills.
    spec = importlib.util.spec_from_file_location("client_run", HERE.parent / "clients" / "run.py")
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    names = names or [path.stem for path in sorted(HERE.glob("test_*.py"))]
    return runner.report(unittest.TestLoader().loadTestsFromNames(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
