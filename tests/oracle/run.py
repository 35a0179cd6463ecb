"""Plays random months against a real server and compares every invoice with what the documents say it must be.

    python3 tests/oracle/run.py --seeds 1-100 --binary target/release/slapledger
    python3 tests/oracle/run.py --fresh 20

A line for each seed, the first difference of one that fails and how to repeat it, and at the end

    COUNT 100 passed, 0 failed, 0 skipped

Before that the oracle itself is tested (test_*.py here), and errors are planted in what the first seeds read: each must be
found. What the binary lacks is named in a line `SKIPPED`, unless `--features` says what to use.
"""

import argparse
import concurrent.futures
import os
import pathlib
import sys
import time
import traceback
import unittest

import features
import oracle
import plant
from play import play
from scenario import BEGIN, Scenario
from wire import Refused, Wire
from zones import text

ROOT = pathlib.Path(__file__).resolve().parents[2]


def seeds_of(word):
    """`7`, `1-100`, or several of them with commas."""
    found = []
    for piece in word.split(","):
        low, _, high = piece.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def one_seed(seed, binary, wanted, planted):
    """Sentences about what is wrong with a seed, how many lines were compared, and how long it took."""
    began = time.monotonic()
    try:
        with Wire(binary, text(BEGIN)) as wire:
            play(Scenario(seed, wanted), wire)
            seen = oracle.read(wire)
        if planted:
            plant.alter_amount(seen)
        return seed, oracle.check(seen), oracle.lines_in(seen), time.monotonic() - began
    except Refused as refused:
        return seed, [str(refused)], 0, time.monotonic() - began
    except Exception:
        return seed, [traceback.format_exc()], 0, time.monotonic() - began


def planted_errors(seeds, binary, wanted):
    """Each error is planted in the first seed that has what it takes and passes; what was planted, and what was not found or
    could not be planted."""
    found, waiting = set(), None
    for seed in seeds:
        try:
            with Wire(binary, text(BEGIN)) as wire:
                play(Scenario(seed, wanted), wire)
                seen = oracle.read(wire)
        except Refused:
            continue  # told when the seed's turn comes
        if oracle.lines_in(seen) <= 3 or oracle.check(seen):
            continue
        waiting = set() if waiting is None else waiting
        for name, altered in plant.alterations(seen):
            if altered is None and name not in found:
                waiting.add(name)
            elif name not in found:
                if not oracle.check(altered):
                    return found, [f"planted in seed {seed} and not found: {name}"]
                found.add(name)
        waiting -= found
        if not waiting:
            break
    if waiting is None:
        return found, [f"no seed of {seeds} has lines and passes, so nothing could be planted"]
    return found, [f"not planted, as no seed of {seeds} has what it takes: {name}" for name in sorted(waiting)]


def tested():
    """Runs the tests of the oracle itself; how many passed and failed."""
    suite = unittest.TestLoader().discover(str(pathlib.Path(__file__).resolve().parent))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    return result.testsRun - failed, failed


def features_of(word, binary):
    """`auto`: what the binary has; `all`: everything; or names."""
    if word == "all":
        return features.ALL
    if word != "auto":
        return frozenset(word.split(","))
    with Wire(binary, text(BEGIN)) as wire:
        return features.of_server(wire.call("GET", "/openapi.json"))


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=seeds_of, metavar="1-100", help="which seeds; 1-100, if nothing is said")
    parser.add_argument("--fresh", type=int, metavar="N", help="so many seeds that nobody has tried")
    parser.add_argument("--binary", default=os.environ.get("SLAPLEDGER_BIN") or ROOT / "target/release/slapledger")
    parser.add_argument("--features", default="auto", help="auto (what the binary has), all, or names with commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--plant", action="store_true", help="alter one amount by one minor unit: every seed must fail")
    options = parser.parse_args(arguments)
    seeds = options.seeds or ([] if options.fresh else seeds_of("1-100"))
    seeds += [int.from_bytes(os.urandom(4), "big") for _ in range(options.fresh or 0)]
    wanted = features_of(options.features, options.binary)
    missing = sorted(features.ALL - wanted)
    skipped = int(bool(missing) and options.features == "auto")
    if skipped:
        print(f"SKIPPED oracle: the binary has no {', '.join(missing)}", flush=True)
    passed, failed = tested()
    if not options.plant:
        found, missed = planted_errors(seeds[:20], options.binary, wanted)
        if found and len(seeds) < 20:  # a few seeds need not have everything
            missed = [sentence for sentence in missed if not sentence.startswith("not planted")]
        print("\n".join(missed) or f"{len(found)} kinds of planted errors are found", flush=True)
        failed += bool(missed)
        passed += not missed
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(one_seed, seed, options.binary, wanted, options.plant) for seed in seeds]
        for task in tasks:
            seed, found, lines, seconds = task.result()
            print(f"{'FAILED' if found else 'ok':>7} {seconds:6.2f} s  seed {seed}, {lines} lines", flush=True)
            if found:
                failed += 1
                print(f"    {found[0]}" + (f"\n    and {len(found) - 1} more" if len(found) > 1 else ""))
                print(f"    again: python3 tests/oracle/run.py --seeds {seed} --features {options.features} "
                      f"--binary {options.binary}", flush=True)
            passed += not found
    print(f"COUNT {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
