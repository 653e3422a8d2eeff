"""Times the message router beside the Python router it replaces, from the store path under test.

    HOIST_ARTIFACT=STORE-PATH PYTHONPATH=…/python python3 bench.py

Checks the answers against a plain model first and exits 1 where one is wrong. The last line of
stdout is one JSON object of facts. Every figure is for the same messages, routed and taken again:

- `speedup`: batches of 256 that already lie in an array, over the heapq router. No Python object is
  made on the way, so this is the figure of a host that keeps its messages in arrays.
- `from_tuples_speedup`: the same batches packed from tuples and unpacked to tuples again: the
  figure of a host that keeps Python objects.
- `per_message_speedup`: a foreign call per message each way. The two calls alone take about as long
  as heapq's whole work, so this stays near 1, on some machines below it. Use batches.

Arrays, their addresses and the router are made once, as a host that runs on makes them.
"""

from __future__ import annotations

import ctypes
import gc
import heapq
import itertools
import json
import os
import random
import statistics
import struct
import sys
import time
from collections import deque

import hoist_runtime

MESSAGES, BATCH, CAPACITY = 20_000, 256, 65_536
TIME_BUDGET_S = 1.8
RECORD = struct.Struct("=iiiiqq")  # struct message
EMPTY = -1


class HeapqRouter:
    """The router that Python programs write first: a heap per tract, a dict per message."""

    def __init__(self, capacity):
        self.queues = ([], [])
        self.capacity = capacity
        self.numbers = itertools.count()

    def route(self, source, dest, priority, timestamp_ms, payload_size):
        if dest not in (0, 1) or not 0 <= priority <= 3:
            return -2
        queue = self.queues[dest]
        if len(queue) >= self.capacity:
            return -1
        number = next(self.numbers)
        message = {
            "source": source,
            "dest": dest,
            "priority": priority,
            "timestamp": timestamp_ms,
            "size": payload_size,
        }
        heapq.heappush(queue, (-priority, number, message))
        return number

    def next(self, tract):
        queue = self.queues[tract]
        return heapq.heappop(queue)[2] if queue else None


class Workload:
    """The same messages for every contender; each method routes and takes them all."""

    def __init__(self, library):
        rng = random.Random(3)
        self.library = library
        self.router = library.create_router(CAPACITY)
        self.heapq_router = HeapqRouter(CAPACITY)
        self.tuples = [
            (rng.randrange(2), rng.randrange(2), rng.randrange(4), at, rng.randrange(1, 4096))
            for at in range(MESSAGES)
        ]
        message = library.structs["message"]
        self.array = (message * MESSAGES)(
            *(message(s, d, p, size, at) for s, d, p, at, size in self.tuples)
        )
        self.packed = (message * BATCH)()
        self.out = (message * BATCH)()
        self.array_address, self.packed_address, self.out_address = map(
            ctypes.addressof, (self.array, self.packed, self.out)
        )

    def batches(self):
        route, take = self.library.route_messages_ffi, self.library.get_next_messages_ffi
        router, out = self.router, self.out_address
        for first in range(0, MESSAGES, BATCH):
            count = min(BATCH, MESSAGES - first)
            route(router, self.array_address + first * RECORD.size, count, None)
            take(router, 0, out, BATCH)
            take(router, 1, out, BATCH)

    def batches_from_tuples(self):
        route, take = self.library.route_messages_ffi, self.library.get_next_messages_ffi
        router, out = self.router, self.out_address
        packed, pack_into = self.packed, RECORD.pack_into
        taken_bytes = memoryview(self.out).cast("B")
        for first in range(0, MESSAGES, BATCH):
            batch = self.tuples[first : first + BATCH]
            at = 0
            for source, dest, priority, timestamp_ms, payload_size in batch:
                pack_into(packed, at, source, dest, priority, payload_size, timestamp_ms, 0)
                at += RECORD.size
            route(router, self.packed_address, len(batch), None)
            for tract in (0, 1):
                taken = take(router, tract, out, BATCH)
                for _ in RECORD.iter_unpack(taken_bytes[: taken * RECORD.size]):
                    pass

    def single_messages(self):
        route, take = self.library.route_message_ffi, self.library.get_next_message_ffi
        router = self.router
        for source, dest, priority, timestamp_ms, payload_size in self.tuples:
            route(router, source, dest, priority, timestamp_ms, payload_size)
        for tract in (0, 1):
            while take(router, tract) >= 0:
                pass

    def heapq(self):
        route, take = self.heapq_router.route, self.heapq_router.next
        for source, dest, priority, timestamp_ms, payload_size in self.tuples:
            route(source, dest, priority, timestamp_ms, payload_size)
        for tract in (0, 1):
            while take(tract) is not None:
                pass


def check(work):
    """Compares batches and single calls with a model; raises AssertionError on a difference."""
    rng = random.Random(5)
    library, router = work.library, work.library.create_router(MESSAGES)
    model = [[deque() for _ in range(4)] for _ in range(2)]

    def expect_next(tract):
        waiting = [queue for queue in reversed(model[tract]) if queue]
        return waiting[0].popleft() if waiting else None

    routed = 0
    while routed < MESSAGES:
        count = min(rng.randrange(1, 400), MESSAGES - routed)
        first = work.array_address + routed * RECORD.size
        ids = (ctypes.c_int32 * count)()
        accepted = library.route_messages_ffi(router, first, count, ctypes.addressof(ids))
        assert accepted == count, f"{accepted} of {count} messages were accepted"
        assert list(ids) == list(range(routed, routed + count)), "ids do not count up"
        for number in range(routed, routed + count):
            source, dest, priority, timestamp_ms, payload_size = work.tuples[number]
            record = (source, dest, priority, payload_size, timestamp_ms, number)
            model[dest][priority].append(record)
        routed += count

        tract = rng.randrange(2)
        taken = library.get_next_messages_ffi(router, tract, work.out_address, rng.randrange(BATCH))
        for found in RECORD.iter_unpack(bytes(work.out)[: taken * RECORD.size]):
            wanted = expect_next(tract)
            assert found == wanted, f"took {found}, wanted {wanted}"
        depth = sum(map(len, model[tract]))
        found = library.get_queue_depth_ffi(router, tract)
        assert found == depth, f"the depth is {found}, wanted {depth}"
    for tract in (0, 1):
        while (wanted := expect_next(tract)) is not None:
            found = library.get_next_message_ffi(router, tract)
            assert found == wanted[-1], f"took message {found}, wanted {wanted[-1]}"
        found = library.get_next_message_ffi(router, tract)
        assert found == EMPTY, f"an empty tract gives {found}, wanted {EMPTY}"
    library.destroy_router(router)


def measure(contenders):
    """Returns the median milliseconds of each contender, and the number of interleaved rounds."""
    gc.disable()  # it would scan the waiting dicts again and again, and flatter us
    times_ms = {contender: [] for contender in contenders}
    rounds, deadline = 0, time.perf_counter() + TIME_BUDGET_S
    while time.perf_counter() < deadline or rounds < 3:
        for contender in contenders if rounds % 2 == 0 else reversed(contenders):
            start = time.perf_counter_ns()
            contender()
            times_ms[contender].append((time.perf_counter_ns() - start) / 1e6)
        rounds += 1
    return [statistics.median(times) for times in times_ms.values()], rounds


def main():
    work = Workload(hoist_runtime.open_artifact(os.environ["HOIST_ARTIFACT"]))
    try:
        check(work)
    except AssertionError as wrong:
        print(f"message-router answers wrongly: {wrong}", file=sys.stderr)
        return 1
    contenders = [work.batches, work.batches_from_tuples, work.single_messages, work.heapq]
    (batches_ms, from_tuples_ms, single_ms, heapq_ms), rounds = measure(contenders)
    facts = {
        "speedup": round(heapq_ms / batches_ms, 1),
        "baseline": "heapq per tract, dict messages",
        "shape": f"{MESSAGES} messages in batches of {BATCH}, 2 tracts, 4 priorities",
        "native_ms": round(batches_ms, 4),
        "baseline_ms": round(heapq_ms, 3),
        "checked": True,
        "messages_per_second": round(MESSAGES / batches_ms * 1e3),
        "from_tuples_speedup": round(heapq_ms / from_tuples_ms, 2),
        "per_message_speedup": round(heapq_ms / single_ms, 2),
        "per_message_ns": round(single_ms / MESSAGES * 1e6),
        "rounds": rounds,
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
