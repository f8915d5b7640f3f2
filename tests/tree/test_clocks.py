"""Only the monotonic clock counts: what sets the time of day changes nothing that the library does."""

import re
import unittest

import tree

SHIPPED = ("core/", "persist/", "crypto/", "bindings/")
WALL = re.compile(r"\bCLOCK_REALTIME\w*|\bgettimeofday\b|\btime\s*\(|\btimespec_get\b"
                  r"|\bpthread_(?:cond_timedwait|mutex_timedlock)\b|\bsem_timedwait\b")


MONOTONIC_CONDITION = re.compile(r"pthread_condattr_setclock\([^;]*CLOCK_MONOTONIC\)")


def faults(path, text):
    code = tree.without_comments(text)
    found = WALL.findall(code)
    if MONOTONIC_CONDITION.search(code):
        found = [name for name in found if name != "pthread_cond_timedwait"]
    return [f"{path}: {name} is the time of day" for name in found]


class Clocks(unittest.TestCase):
    def test_what_is_shipped_reads_the_monotonic_clock_alone(self):
        paths = [path for path in tree.files(".c", ".h") if path.startswith(SHIPPED)]
        self.assertIn("core/platform.h", paths)
        self.assertEqual([fault for path in paths for fault in faults(path, tree.read(path))], [])

    def test_seeded_violations_are_caught(self):
        for code in ("clock_gettime(CLOCK_REALTIME, &now);", "clock_gettime(CLOCK_REALTIME_COARSE, &t);",
                     "gettimeofday(&now, NULL);", "seed = time(NULL);", "timespec_get(&t, TIME_UTC);",
                     "pthread_cond_timedwait(&c, &m, &t);"):
            with self.subTest(code=code):
                self.assertEqual(len(faults("core/event.c", code)), 1)

    def test_the_monotonic_clock_is_none(self):
        for code in ("clock_gettime(CLOCK_MONOTONIC, &now); uptime();",
                     "pthread_condattr_setclock(&a, CLOCK_MONOTONIC); pthread_cond_timedwait(&c, &m, &t);"):
            self.assertEqual(faults("core/event.c", code), [])


if __name__ == "__main__":
    unittest.main()
