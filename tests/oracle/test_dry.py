"""Scenarios with every feature can be made and rated, and their books hold every kind of line."""

import collections
import unittest

import features
from dry import Log
from invoices import Books
from scenario import Scenario

SEEDS = range(1, 21)


def rated(seed):
    """All documents of a seed, run by run, as worked out; the numbers of lines are given as they come."""
    log = Log(Scenario(seed, features.ALL))
    books = Books(log.events, log.books, log.overrides)
    for run in log.runs:
        documents = books.documents(run)
        for customer, document in documents.items():
            for n, line in enumerate(document.lines, 1):
                line.n = n
        books.finalise(run, documents, {customer: {"id": f"{run['id']}-{customer}", "issued_at": run["opened_at"]}
                                         for customer in documents})
    return books.final


class Dry(unittest.TestCase):
    def test_every_kind_of_line_comes_up(self):
        kinds = collections.Counter()
        for seed in SEEDS:
            with self.subTest(seed):
                documents = rated(seed)
                for document in documents:
                    kinds.update(line.kind for line in document.lines)
                    self.assertEqual(document.net, sum(document.nets))
        for kind in ("recurring", "advance", "usage", "percentage", "minimum", "discount", "maximum", "settled", "adjustment", "one_off"):
            self.assertGreater(kinds[kind], 0, kinds)

    def test_a_seed_alone_repeats_a_scenario(self):
        self.assertEqual(Scenario(7, features.ALL).steps, Scenario(7, features.ALL).steps)


if __name__ == "__main__":
    unittest.main()
