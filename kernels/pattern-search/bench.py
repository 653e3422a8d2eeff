"""Times `pattern_search_ffi` beside the Python it replaces, from the store path under test.

    HOIST_ARTIFACT=STORE-PATH PYTHONPATH=…/python python3 bench.py

Checks the answers against float64 first and exits 1 where one is wrong. The last line of stdout
is one JSON object of facts; `speedup` is baseline_ms / native_ms, medians of interleaved rounds.

A native search is timed as a caller pays for it: fresh output arrays and address look-ups each
time. Only the matrix's address is looked up once, because a caller keeps the matrix.
"""

from __future__ import annotations

import gc
import json
import math
import os
import random
import statistics
import sys
import time
from array import array

import hoist_runtime

# One BLAS thread, and the kernel that the BLAS itself picks for this CPU: a fair baseline.
for inherited in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(inherited, None)
for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

try:
    import numpy
except ImportError:
    numpy = None

ROWS, DIM, TOP_K, QUERIES = 1000, 1024, 10, 8
TIME_BUDGET_S = 1.5
NATIVE_CALLS_PER_ROUND = 16
MAX_SCORE_ERROR = 1e-6


class NumpySide:
    """Matrix and queries as float32 arrays; the baseline is numpy called once per row."""

    baseline_name = "per-row numpy dot and norms, list sort"

    def __init__(self, search):
        rng = numpy.random.default_rng(7)
        self.search = search
        self.patterns = rng.standard_normal((ROWS, DIM), dtype=numpy.float32)
        self.patterns[ROWS // 2] = 0
        self.queries = list(rng.standard_normal((QUERIES, DIM), dtype=numpy.float32))
        self.rows = list(self.patterns)
        self.patterns_address = self.patterns.ctypes.data

    def native(self, query):
        idx = numpy.empty(TOP_K, numpy.int32)
        score = numpy.empty(TOP_K, numpy.float32)
        elapsed_ms = self.search(
            query.ctypes.data,
            self.patterns_address,
            ROWS,
            DIM,
            TOP_K,
            idx.ctypes.data,
            score.ctypes.data,
        )
        return elapsed_ms, idx, score

    def baseline(self, query):
        dot, norm = numpy.dot, numpy.linalg.norm
        scores = []
        for number, row in enumerate(self.rows):
            norms = float(norm(query) * norm(row))
            scores.append((number, float(dot(query, row)) / norms if norms else 0.0))
        scores.sort(key=lambda hit: hit[1], reverse=True)
        return scores[:TOP_K]

    def exact_scores(self, query):
        rows, query = self.patterns.astype(numpy.float64), query.astype(numpy.float64)
        norms = numpy.linalg.norm(rows, axis=1) * numpy.linalg.norm(query)
        dots = rows @ query
        return numpy.divide(dots, norms, out=numpy.zeros(ROWS), where=norms > 0).tolist()


class PythonSide:
    """The same with `array.array` and plain Python, for a machine without numpy."""

    baseline_name = "pure Python sums of products, list sort (numpy is absent)"

    def __init__(self, search):
        rng = random.Random(7)

        def floats():
            return array("f", [rng.gauss(0, 1) for _ in range(DIM)])

        self.search = search
        self.rows = [floats() for _ in range(ROWS)]
        self.rows[ROWS // 2] = array("f", bytes(4 * DIM))
        self.queries = [floats() for _ in range(QUERIES)]
        self.patterns = array("f")
        for row in self.rows:
            self.patterns.extend(row)
        self.patterns_address = hoist_runtime.address(self.patterns)

    def native(self, query):
        idx, score = array("i", bytes(4 * TOP_K)), array("f", bytes(4 * TOP_K))
        elapsed_ms = self.search(
            query.buffer_info()[0],
            self.patterns_address,
            ROWS,
            DIM,
            TOP_K,
            idx.buffer_info()[0],
            score.buffer_info()[0],
        )
        return elapsed_ms, idx, score

    def baseline(self, query):
        query_norm = math.sqrt(sum(q * q for q in query))
        scores = []
        for number, row in enumerate(self.rows):
            norms = query_norm * math.sqrt(sum(p * p for p in row))
            dot = sum(q * p for q, p in zip(query, row))
            scores.append((number, dot / norms if norms else 0.0))
        scores.sort(key=lambda hit: hit[1], reverse=True)
        return scores[:TOP_K]

    def exact_scores(self, query):
        query_norm = math.sqrt(math.fsum(q * q for q in query))
        scores = []
        for row in self.rows:
            norms = query_norm * math.sqrt(math.fsum(p * p for p in row))
            scores.append(math.fsum(q * p for q, p in zip(query, row)) / norms if norms else 0.0)
        return scores


def check(side, queries):
    """Returns the greatest score error over `queries`; raises AssertionError on a wrong answer."""
    worst = 0.0
    for query in queries:
        exact = side.exact_scores(query)
        expected = sorted(range(ROWS), key=lambda row: (-exact[row], row))[:TOP_K]
        elapsed_ms, idx, score = side.native(query)
        assert elapsed_ms >= 0, f"pattern_search_ffi refused the call with {elapsed_ms}"
        found = [int(row) for row in idx]
        assert found == expected, f"rows {found}, wanted {expected}"
        error = max(abs(float(each) - exact[row]) for each, row in zip(score, expected))
        assert error <= MAX_SCORE_ERROR, f"a score is off by {error:.1e}"
        worst = max(worst, error)
        slow = [row for row, _ in side.baseline(query)]
        assert slow == expected, f"the baseline gives rows {slow}, wanted {expected}"
    refused = side.search(None, side.patterns_address, ROWS, DIM, TOP_K, None, None)
    assert refused == -1.0, f"a null query gives {refused}, wanted -1"
    return worst


def measure(side):
    """Returns the median milliseconds of a native search and of the baseline, and the rounds."""
    gc.disable()  # it would run in the baseline, which makes objects, and flatter us
    native_ms, baseline_ms = [], []
    deadline = time.perf_counter() + TIME_BUDGET_S
    while time.perf_counter() < deadline or len(baseline_ms) < 3:
        query = side.queries[len(baseline_ms) % QUERIES]
        baseline_ms.append(timed_ms(side.baseline, query))
        side.native(query)  # the baseline pushed the matrix out of the near caches
        calls = [timed_ms(side.native, query) for _ in range(NATIVE_CALLS_PER_ROUND)]
        native_ms.append(statistics.median(calls))
    return statistics.median(native_ms), statistics.median(baseline_ms), len(baseline_ms)


def timed_ms(call, argument):
    start = time.perf_counter_ns()
    call(argument)
    return (time.perf_counter_ns() - start) / 1e6


def main():
    search = hoist_runtime.open_artifact(os.environ["HOIST_ARTIFACT"]).pattern_search_ffi
    side = NumpySide(search) if numpy else PythonSide(search)
    if not numpy:
        print("numpy is absent: comparing with pure Python", file=sys.stderr)
    try:
        max_score_error = check(side, side.queries if numpy else side.queries[:1])
    except AssertionError as wrong:
        print(f"pattern-search answers wrongly: {wrong}", file=sys.stderr)
        return 1
    native_ms, baseline_ms, rounds = measure(side)
    facts = {
        "speedup": round(baseline_ms / native_ms, 1),
        "baseline": side.baseline_name,
        "shape": f"{ROWS} x {DIM}, top {TOP_K}",
        "native_ms": round(native_ms, 4),
        "baseline_ms": round(baseline_ms, 3),
        "checked": True,
        "max_score_error": max_score_error,
        "gigabytes_per_second": round(4e-6 * ROWS * DIM / native_ms, 1),
        "rounds": rounds,
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
