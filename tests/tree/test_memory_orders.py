"""Memory orders are written in core/atomic.h alone, and nobody uses a fence.

A fence is invisible to ThreadSanitizer: it would make its silence worth nothing.
"""

import re
import unittest

import tree

HOME = "core/atomic.h"
ORDER = re.compile(r"\bmemory_order_\w+|\b__ATOMIC_[A-Z]\w+|\batomic_\w+_explicit\b|\b__sync_\w+")
FENCE = re.compile(r"\b(?:__)?(?:c11_)?atomic_(?:thread|signal)_fence\b|\b__sync_synchronize\b"
                   r"|\bck_pr_fence_\w+|\bcmm_s?mp_\w*mb\b|\bcmm_[rw]?mb\b")


def faults(path, text):
    code = tree.without_comments(text)
    found = [f"{path}: fence {name}" for name in FENCE.findall(code)]
    if path != HOME:
        found += [f"{path}: {name} belongs in {HOME}" for name in ORDER.findall(code)
                  if not FENCE.fullmatch(name)]
    return found


class MemoryOrders(unittest.TestCase):
    def test_the_tree_names_orders_in_one_file_and_no_fence(self):
        paths = tree.files(".c", ".h", ".cpp")
        self.assertIn("core/status.h", paths)
        self.assertEqual([fault for path in paths for fault in faults(path, tree.read(path))], [])

    def test_seeded_violations_are_caught(self):
        for path, code in (
                ("core/table.c", "atomic_load(p, memory_order_acquire);"),
                ("core/table.c", "__atomic_load_n(p, __ATOMIC_ACQUIRE);"),
                ("core/table.c", "atomic_fetch_add_explicit(p, 1, order);"),
                ("stress/mixed.c", "__sync_fetch_and_add(&n, 1);"),
                (HOME, "atomic_thread_fence(memory_order_seq_cst);"),
                (HOME, "__atomic_thread_fence(__ATOMIC_SEQ_CST);"),
                (HOME, "__sync_synchronize();"),
                ("core/mpsc.c", "ck_pr_fence_load();"),
                ("core/reclaim.c", "cmm_smp_mb();")):
            with self.subTest(path=path, code=code):
                self.assertEqual(len(faults(path, code)), 1)

    def test_a_comment_or_a_literal_is_no_violation(self):
        self.assertEqual(faults("core/table.c", "/* memory_order_acquire */ // __ATOMIC_RELAXED\n"
                                                'puts("atomic_thread_fence /*");'), [])


if __name__ == "__main__":
    unittest.main()
