"""Runs the client tests named on the command line (all of them without names) and counts them.

A line for each test; the last lines name what was skipped and give the count, as tests/run reads it:

    SKIPPED test_slapos_node.NodeLife.test_life: needs Python 3.12 or newer
    COUNT 41 passed, 0 failed, 1 skipped
"""

import argparse
import pathlib
import sys
import time
import unittest


class Result(unittest.TextTestResult):
    """Counts whole tests: a test with several failed sub-tests is one failed test."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bad, self.passed, self.began = set(), 0, None

    def startTest(self, test):
        self.began = time.monotonic()
        unittest.TestResult.startTest(self, test)

    def stopTest(self, test):
        name = test.id()
        skipped = any(case is test for case, _ in self.skipped)
        word = "FAILED" if name in self.bad else "skipped" if skipped else "ok"
        self.passed += word == "ok"
        seconds = time.monotonic() - self.began if self.began else 0.0
        self.began = None
        self.stream.writeln(f"{word:>7} {seconds:6.2f} s  {name}")
        self.stream.flush()
        super().stopTest(test)

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.bad.add(test.id())

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.bad.add(test.id())

    def addSubTest(self, test, subtest, err):
        unittest.TestResult.addSubTest(self, test, subtest, err)
        if err is not None:
            self.bad.add(test.id())

    def addUnexpectedSuccess(self, test):
        unittest.TestResult.addUnexpectedSuccess(self, test)
        self.bad.add(test.id())

    addSuccess = unittest.TestResult.addSuccess
    addSkip = unittest.TestResult.addSkip
    addExpectedFailure = unittest.TestResult.addExpectedFailure


def main(arguments, stream=sys.stdout):
    here = pathlib.Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="module, module.Class or module.Class.test")
    parser.add_argument("--without", action="append", default=[], metavar="MODULE")
    options = parser.parse_args(arguments)
    names = options.names or [file.stem for file in sorted(here.glob("test_*.py")) if file.stem not in options.without]
    return report(unittest.TestLoader().loadTestsFromNames(names), stream)


def report(suite, stream=sys.stdout):
    runner = unittest.TextTestRunner(stream=stream, verbosity=0, resultclass=Result)
    result = runner.run(suite)
    for test, reason in result.skipped:
        print(f"SKIPPED {test.id()}: {reason}", file=stream)
    print(f"COUNT {result.passed} passed, {len(result.bad)} failed, {len(result.skipped)} skipped", file=stream)
    return 1 if result.bad or result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
