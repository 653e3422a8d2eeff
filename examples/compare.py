"""Holds one library's `pattern_search_ffi` against another's, and both against exact sums.

    python3 compare.py LIBRARY REFERENCE

Both are loaded into this process and asked the same: random matrices, matrices full of equal rows,
rows of zeros, NaN, infinities and extreme magnitudes, empty ones, calls that must be refused, and
calls from several threads at once. Ends with exit code 1 and the case at the first difference;
the last line of a good run is one JSON object with what was compared.
"""

from __future__ import annotations

import ctypes
import json
import math
import random
import sys
import threading
from array import array

MAX_SCORE_ERROR = 1e-6
UNTOUCHED = -7
THREADS = 8

Case = tuple[str, array, array, int, int, int]


def load(path: str):
    function = ctypes.CDLL(path).pattern_search_ffi
    address, size = ctypes.c_void_p, ctypes.c_int32
    function.argtypes = [address, address, size, size, size, address, address]
    function.restype = ctypes.c_double
    return function


def floats(values) -> array:
    # One value more than none, so that an empty array has an address.
    return array("f", values) or array("f", [0.0])


def address(values: array) -> int:
    return values.buffer_info()[0]


def ask(function, case: Case):
    """Returns what the function returns, the rows and their scores, of which one is too many."""
    _, query, patterns, n, dim, top_k = case
    idx = array("i", [UNTOUCHED] * (top_k + 1))
    score = array("f", [UNTOUCHED] * (top_k + 1))
    result = function(
        address(query), address(patterns), n, dim, top_k, address(idx), address(score)
    )
    return result, list(idx), list(score)


def exact_scores(case: Case) -> list[float]:
    _, query, patterns, n, dim, _ = case
    query = query[:dim]
    query_norm = math.sqrt(math.fsum(q * q for q in query))
    scores = []
    for row in range(n):
        values = patterns[row * dim : (row + 1) * dim]
        if not all(map(math.isfinite, values)):
            scores.append(math.nan)
            continue
        norms = query_norm * math.sqrt(math.fsum(p * p for p in values))
        scores.append(math.fsum(q * p for q, p in zip(query, values)) / norms if norms else 0.0)
    return scores


def close(found: float, wanted: float, error: float = MAX_SCORE_ERROR) -> bool:
    return (math.isnan(found) and math.isnan(wanted)) or abs(found - wanted) <= error


def before(left: tuple[float, int], right: tuple[float, int]) -> bool:
    """The order of an answer: greater scores, then lower rows; NaN comes last."""
    if math.isnan(left[0]) != math.isnan(right[0]):
        return math.isnan(right[0])
    if left[0] != right[0] and not math.isnan(left[0]):
        return left[0] > right[0]
    return left[1] < right[1]


def compare(function, reference, case: Case) -> None:
    name, top_k = case[0], case[5]
    exact = exact_scores(case)
    elapsed, idx, score = ask(function, case)
    assert elapsed >= 0, f"{name}: refused with {elapsed}"
    assert (idx[top_k], score[top_k]) == (UNTOUCHED, UNTOUCHED), f"{name}: wrote too much"
    _, wanted_idx, wanted_score = ask(reference, case)
    assert len(set(idx[:top_k])) == top_k, f"{name}: a row twice in {idx}"
    for at in range(top_k):
        row, wanted = idx[at], wanted_idx[at]
        place = f"{name}: place {at}: row {row} ({score[at]}), wanted {wanted} ({wanted_score[at]})"
        assert close(score[at], exact[row]) and close(score[at], wanted_score[at]), place
        # Other rows than the reference's only where their exact scores cannot be told apart.
        may_swap = exact[row] != exact[wanted] and close(exact[row], exact[wanted], 2e-6)
        assert row == wanted or may_swap, place
        if at > 0:
            earlier = (score[at - 1], idx[at - 1])
            assert before(earlier, (score[at], row)), f"{place}: out of order"


def random_case(rng: random.Random, number: int) -> Case:
    n, dim = rng.randrange(70), rng.randrange(90)
    values = [rng.gauss(0, 1) for _ in range(n * dim)]
    query = floats(rng.gauss(0, 1) for _ in range(dim))
    return (f"random {number}", query, floats(values), n, dim, rng.randrange(n + 1))


def tied_case(rng: random.Random, number: int) -> Case:
    """Few different rows, each many times, and some that are no numbers."""
    n, dim = rng.randrange(1, 80), rng.randrange(1, 40)
    kinds = [[rng.gauss(0, 1) for _ in range(dim)] for _ in range(3)]
    kinds.append([0.0] * dim)
    kinds.append([3e38 * math.copysign(rng.random(), value) for value in kinds[0]])
    kinds.append([1e-44 * round(value * 3) for value in kinds[1]])
    kinds.append([math.nan] + kinds[0][1:])
    kinds.append(kinds[0][1:] + [rng.choice([math.inf, -math.inf])])
    values = [value for _ in range(n) for value in rng.choice(kinds)]
    query = floats([0.0] * dim if number % 10 == 0 else [rng.gauss(0, 1) for _ in range(dim)])
    return (f"tied {number}", query, floats(values), n, dim, rng.randrange(n + 1))


def edge_cases() -> list[Case]:
    one = floats([1.0, 0.0])
    cases: list[Case] = [
        ("no rows", one, floats([]), 0, 2, 0),
        ("none wanted", one, floats([1.0, 0.0]), 1, 2, 0),
        ("no values", floats([]), floats([]), 5, 0, 3),
        ("parallel", floats([0.1] * 33), floats([0.1] * 33 + [-0.1] * 33), 2, 33, 2),
        ("all equal", one, floats([3.0, 4.0] * 500), 500, 2, 500),
        ("only NaN", one, floats([math.nan] * 14), 7, 2, 4),
    ]
    for scale in [3.4e38, 1e30, 1e18, 1e-13, 1e-20, 1.2e-38, 1e-44]:
        rows = floats([scale, 0.0, 0.0, scale, -scale, 0.0, scale, scale])
        cases.append((f"scale {scale}", floats([scale, 0.0]), rows, 4, 2, 4))
    long = [math.sin(at) for at in range(50_000)]
    cases.append(("long", floats(long), floats(long + long[::-1]), 2, 50_000, 2))
    return cases


def check_refusals(function) -> int:
    """Calls that must be refused, with their codes, and leave the outputs as they were."""
    query, patterns = floats([1.0, 0.0]), floats([0.0, 1.0, 3.0, 0.0])
    bad_query, worse_query = floats([1.0, math.inf]), floats([math.nan, 0.0])
    idx, score = array("i", [UNTOUCHED] * 4), array("f", [UNTOUCHED] * 4)
    q, p, i, s = map(address, (query, patterns, idx, score))
    most = 2**31 - 1
    refusals = [
        ((None, p, 2, 2, 2, i, s), -1),
        ((q, None, -1, 2, 2, i, s), -1),
        ((q, p, 2, 2, 2, None, s), -1),
        ((q, p, 2, 2, 2, i, None), -1),
        ((q + 1, p, -1, 2, 2, i, s), -2),
        ((q, p + 2, 2, 2, 2, i, s), -2),
        ((q, p, 2, 2, 2, i, s + 3), -2),
        ((q, p, -1, 2, 2, i, s), -3),
        ((q, p, 2, -(2**31), 2, i, s), -3),
        ((q, p, 2, 2, -1, i, s), -3),
        ((q, p, most, most, 2, i, s), -3),
        ((q, p, 2, 2, 3, i, s), -4),
        ((address(bad_query), p, 2, 2, 3, i, s), -4),
        ((address(bad_query), p, 2, 2, 2, i, s), -5),
        ((address(worse_query), p, 2, 2, 2, i, s), -5),
        ((address(bad_query), p, 2, 2, 0, i, s), -5),
    ]
    for arguments, code in refusals:
        found = function(*arguments)
        assert found == code, f"refusal {arguments}: {found}, wanted {code}"
        assert list(idx) + list(score) == [UNTOUCHED] * 8, f"refusal {arguments}: wrote"
    return len(refusals)


def check_overlap(function) -> None:
    query, patterns, idx = floats([1.0, 0.0]), floats([0.0, 1.0, 3.0, 0.0]), array("i", [0, 0])
    start = address(patterns)
    assert function(address(query), start, 2, 2, 2, address(idx), start) >= 0
    assert (list(idx), list(patterns)[:2]) == ([1, 0], [1.0, 0.0]), "outputs over inputs"


def check_threads(function, cases: list[Case]) -> None:
    """Threads that the library did not start, each with an answer of its own."""
    wanted = [ask(function, case)[1] for case in cases]
    wrong: list[str] = []

    def work() -> None:
        for case, rows in zip(cases, wanted):
            if ask(function, case)[1] != rows:
                wrong.append(case[0])

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"another answer in a thread: {wrong[:3]}"


def main(library: str, reference_library: str) -> int:
    function, reference = load(library), load(reference_library)
    rng = random.Random(5)
    cases = [random_case(rng, number) for number in range(200)]
    cases += [tied_case(rng, number) for number in range(200)]
    cases += edge_cases()
    try:
        refusals = check_refusals(function)
        for case in cases:
            compare(function, reference, case)
        check_overlap(function)
        check_threads(function, cases)
    except AssertionError as difference:
        print(difference, file=sys.stderr)
        return 1
    print(json.dumps({"cases": len(cases), "refusals": refusals, "threads": THREADS}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
