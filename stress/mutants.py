"""Deliberately broken builds, each of which a stress program has to catch.

    python3 stress/mutants.py [--list] [--seconds N] [NAME ...]

Every mutant replaces one passage of the product by a wrong one, in a copy of the tree under build/mutants.
The programs named with it then run one after the other until one of them fails: that one has caught the mutant.
A mutant that none of them catches means that the stress programs are blind there, and fails this command.

The passages are matched exactly and must occur once: a change of the product that touches one shows here.
"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutants"

# Which build a program is taken from, and the CMake preset behind it.
PRESETS = {"perturb": "perturb", "asan": "asan", "tsan": "tsan", "unit": "dev"}

MEMORY = "mixed --threads 4 --capacity 4 --keys 64 --mode memory"
# More threads than there are stripes of retired records, up to 16 cores.
MEMORY_CROWD = "mixed --threads 20 --capacity 4 --keys 64 --mode memory"
CROWDED = "mixed --threads 4 --capacity 4 --keys 64 --mode lazy"
THROUGH = "mixed --threads 4 --capacity 4 --keys 64 --mode writethrough"
GROWING = "mixed --threads 4 --capacity unbounded --keys 20000 --mode memory"
LINEARIZE_GROWING = "linearize --threads 4 --keys 16 --storm 2 --whole 0 --mode memory"
LINEARIZE_CROWDED = "linearize --threads 4 --keys 16 --capacity 4 --mode lazy"
# More keys than stay hot, and rounds long enough for a key to be written, committed and evicted in one.
LINEARIZE_COLD = "linearize --threads 4 --keys 256 --capacity 32 --operations 8000 --whole 0 --mode lazy"
LINEARIZE_LENGTHS = "linearize --threads 4 --whole 16 --map table"
LINEARIZE_THROUGH = "linearize --threads 4 --keys 16 --capacity 4 --mode writethrough"
LINEARIZE_WHOLE = "linearize --threads 4 --keys 16 --capacity 4 --whole 32 --mode lazy"
LINEARIZE_KILL_THROUGH = "linearize --threads 4 --keys 4 --kill 20 --mode writethrough"
LINEARIZE_KILL_LAZY = "linearize --threads 4 --keys 16 --operations 4000 --kill 10 --mode lazy"
QUEUE = "queue_order --threads 4"
NOTIFY = "notify --threads 4"
RECLAIM = "reclaim_age --threads 4 --cap 65536"
CRASH_LAZY = "crash --threads 4 --rounds 100000 --mode lazy"
CRASH_THROUGH = "crash --threads 4 --rounds 100000 --mode writethrough"
POWER_LAZY = "power_cut --rounds 100 --mode lazy"
POWER_THROUGH = "power_cut --rounds 100 --mode writethrough"
FREEZE_LAZY = "freeze --threads 4 --freezes 100000 --mode lazy --patience 5"
SEALED_CROWDED = CROWDED + " --encrypt 1"
SEALED_CRASH = CRASH_THROUGH + " --encrypt 1"
TAMPERING = "tests/test_bindings_tampering"
SEALED = "tests/test_persist_sealed"
SEALER = "tests/test_crypto_sealer"
KEYRING = "tests/test_crypto_keyring"
NOTICES = "tests/test_persist_notify"
# Where a schedule that shows it comes up once in minutes: every schedule with one preemption.
SCHEDULES = "tests/test_core_schedules"


@dataclasses.dataclass
class Mutant:
    """One broken build: what is broken, where, and who should notice."""

    name: str
    what: str
    edits: list  # (file, passage, what takes its place)
    programs: list
    build: str = "perturb"


# Each is caught within seconds, and all need one build.
QUICK = ("no-placeholder", "evicts-dirty", "pushed-after-publishing", "tag-trusted", "early-promotion",
         "acknowledged-before-commit", "group-cut")

# Two harnesses have to notice it: one that kills, one that cuts the power.
TELLS_EARLY = [("persist/tier_write.c",
                """        status = tier_wait(tier, write->record, error);""",
                """        (void)error;""")]

MUTANTS = [
    Mutant("published-relaxed", "the slot's compare-and-swap in publish orders nothing",
           [("core/table.c",
             """    happened = dsq_cas_acq_rel(place->slot, &expected, word_of(record));""",
             """    happened = dsq_cas_relaxed(place->slot, &expected, word_of(record));""")],
           [MEMORY], build="tsan"),
    Mutant("no-placeholder", "a miss installs its row if the key is still absent, without LOADING",
           [("persist/tier_lease.c",
             """    } else if (!*retry) {
        dsq_perturb();""",
             """    } else if (!*retry) {
        if (lease->own && !promote_always) {
            take_out(tier, lease->placeholder);
        }
        dsq_perturb();"""),
            ("persist/tier_lease.c",
             """static int read_row(""",
             """static void take_out(struct dsq_tier *tier, struct dsq_record *placeholder);

static int read_row("""),
            ("persist/tier_lease.c",
             """    if (promoted) {
        lease->own = false;
        tier_release(tier, lease->placeholder);""",
             """    if (promoted) {
        lease->own = false;"""),
            ("persist/tier_read.c",
             """    if (place.record != lease->placeholder) {""",
             """    if (place.record != NULL) {""")],
           [LINEARIZE_COLD]),
    Mutant("reads-before-the-commit", "readers hear of a commit when the next one begins",
           [("persist/sqlite_store.c",
             """    dsq_sqlite_readers_advance(&self->readers);
    self->in_transaction = false;""",
             """    self->in_transaction = false;"""),
            ("persist/sqlite_store.c",
             """    self->in_transaction = true;""",
             """    self->in_transaction = true;
    dsq_sqlite_readers_advance(&self->readers);""")],
           [LINEARIZE_CROWDED]),
    Mutant("evicts-dirty", "the clock hand evicts records that are not committed yet",
           [("core/clock.c",
             """    if (dsq_record_state(record) != DSQ_RECORD_CLEAN) {
        return 0;
    }
    sweep->met_clean""",
             """    if (record->kind == DSQ_RECORD_LOADING) {
        return 0;
    }
    sweep->met_clean""")],
           [CROWDED]),
    Mutant("tombstone-dropped-early", "the clock hand evicts tombstones before their commit",
           [("core/clock.c",
             """    if (dsq_record_state(record) != DSQ_RECORD_CLEAN) {""",
             """    if (record->kind != DSQ_RECORD_TOMBSTONE &&
        dsq_record_state(record) != DSQ_RECORD_CLEAN) {""")],
           [CROWDED]),
    Mutant("pushed-after-publishing", "a record is published first and queued afterwards",
           [("persist/tier_write.c",
             """    if (tier->committer != NULL) {
        push(tier, write);
        dsq_perturb();
    }
    if (!dsq_table_publish(shard, place, write->record)) {
        return tier->committer != NULL ? renew(tier, write) : DSQ_EXISTS;
    }""",
             """    if (!dsq_table_publish(shard, place, write->record)) {
        return DSQ_EXISTS;
    }
    dsq_perturb();
    if (tier->committer != NULL) {
        push(tier, write);
    }""")],
           [LINEARIZE_CROWDED, CRASH_LAZY]),
    Mutant("replaced-not-settled", "a PENDING record is replaced without being made READY",
           [("persist/tier_write.c",
             """    tier_settle(tier, replaced);
    dsq_perturb();""",
             """    dsq_perturb();""")],
           [LINEARIZE_CROWDED, CRASH_LAZY]),
    Mutant("seen-not-settled", "a reader returns a PENDING record without making it READY",
           [("persist/tier_read.c",
             """            dsq_record_touch(found);
            tier_settle(tier, found);
            return found;""",
             """            dsq_record_touch(found);
            return found;""")],
           [LINEARIZE_WHOLE, CRASH_LAZY]),
    Mutant("no-grace-period", "an unlinked record is freed at once",
           [("core/reclaim.c",
             """        retire_record(reclaim, record);""",
             """        (void)retire_record;
        dsq_record_free(record);""")],
           [MEMORY], build="asan"),
    Mutant("no-grace-period-for-batches", "the reclaimer frees what it took without waiting for readers",
           [("core/reclaim.c",
             """    urcu_bp_synchronize_rcu();
""",
             """""")],
           [RECLAIM]),
    Mutant("taken-after-grace-period", "what was retired during a grace period is freed at its end",
           [("core/reclaim.c",
             """    struct dsq_mpsc_node *objects = take(&reclaim->objects, &object_bytes);
""",
             """    struct dsq_mpsc_node *objects;

    urcu_bp_synchronize_rcu();
    objects = take(&reclaim->objects, &object_bytes);
"""),
            ("core/reclaim.c",
             """    urcu_bp_synchronize_rcu();
    dsq_annotate_acquire""",
             """    dsq_annotate_acquire""")],
           [RECLAIM]),
    Mutant("cap-ignored", "writers do not wait at the cap of what is retired",
           [("core/reclaim.c",
             """        dsq_store_seq_cst(&reclaim->full, true);""",
             """        dsq_event_signal(&reclaim->wake);""")],
           [RECLAIM]),
    Mutant("reader-not-announced", "a read-side section is not announced to the reclaimer",
           [("core/reclaim.h",
             """    urcu_bp_read_lock();""",
             """""")],
           [MEMORY, RECLAIM], build="asan"),
    Mutant("expected-across-sections", "a put carries its place from one read section into another",
           [("persist/tier_write.c",
             """        status = dsq_table_locate(shard, hash, key, &place);
        if (status == DSQ_OK) {
            status = dsq_write_try""",
             """        status = dsq_table_locate(shard, hash, key, &place);
        dsq_read_unlock();
        dsq_perturb();
        dsq_read_lock();
        if (status == DSQ_OK) {
            status = dsq_write_try""")],
           [MEMORY], build="asan"),
    Mutant("tag-trusted", "a tag that matches is taken for the key",
           [("core/table.c",
             """        if (record != NULL && dsq_record_has_key(record, hash, key)) {
            return record;
        }
        matches""",
             """        if (record != NULL) {
            return record;
        }
        matches""")],
           [GROWING]),
    Mutant("removed-slot-reused", "an insertion takes a slot that was REMOVED",
           [("core/table.c",
             """        if (word == WORD_EMPTY && probe_empty(slots, slot, &word, &outcome)) {""",
             """        if ((word & ~WORD_TAG) == WORD_REMOVED &&
            dsq_load_acquire(&slots->next) == NULL) {
            place->record = NULL;
            return PROBED_VACANT;
        }
        if (word == WORD_EMPTY && probe_empty(slots, slot, &word, &outcome)) {""")],
           [LINEARIZE_CROWDED, MEMORY]),
    Mutant("not-frozen", "a slot is copied without being frozen first",
           [("core/table_resize.c",
             """        if (dsq_cas_acq_rel(slot, &word, word | WORD_FROZEN)) {
            word |= WORD_FROZEN;
        }""",
             """        break;""")],
           [SCHEDULES], build="unit"),
    Mutant("moved-slot-written", "a writer changes a slot that is being moved",
           [("core/table.c",
             """        if (dsq_load_acquire(&slots->next) != NULL) {
            dsq_migration_move(table, slots, slot);""",
             """        if (dsq_load_acquire(&slots->next) != NULL && (word & WORD_FROZEN) == 0) {
            dsq_migration_move(table, slots, slot);""")],
           [LINEARIZE_GROWING, GROWING]),
    Mutant("removed-means-moved", "a slot removed while it was to be moved is taken for a moved one",
           [("core/table.c",
             """            if ((dsq_load_acquire(slot) & WORD_MOVED) != 0) {
                return PROBED_FORWARD;
            }
            continue;""",
             """            return PROBED_FORWARD;""")],
           [LINEARIZE_GROWING]),
    Mutant("late-copier-resurrects", "a copier that meets a removed slot does not look at its own again",
           [("core/table_resize.c",
             """            if (dsq_load_acquire(old_slot) != frozen) {
                return;
            }""",
             """            (void)old_slot;""")],
           [LINEARIZE_GROWING, LINEARIZE_CROWDED, GROWING]),
    Mutant("early-promotion", "a chunk counts as moved before its slots are",
           [("core/table_resize.c",
             """    for (uint64_t i = 0; i < CHUNK_SLOTS; i++) {
        dsq_migration_move(""",
             """    dsq_store_release(&slots->done[chunk], 1);
    for (uint64_t i = 0; i < CHUNK_SLOTS; i++) {
        dsq_migration_move(""")],
           [GROWING, LINEARIZE_GROWING]),
    Mutant("next-not-closed", "an insertion goes on to the next table without closing its slot here",
           [("core/table.c",
             """    return dsq_cas_acq_rel(slot, word, WORD_CLOSED);""",
             """    (void)slot;
    (void)word;
    return true;""")],
           [LINEARIZE_GROWING, GROWING]),
    Mutant("witness-reread", "a change reports what it finds afterwards, not what it replaced",
           [("persist/tier_change.c",
             """        verdict = remove_or_write(attempt, place);
    } else {""",
             """        verdict = remove_or_write(attempt, place);
        dsq_perturb();
        if (verdict == VERDICT_HAPPENED && present != NULL) {
            struct dsq_record *again =
                dsq_table_find(attempt->shard, attempt->hash, attempt->key);
            if (again != NULL && again != attempt->write.record &&
                again->kind == DSQ_RECORD_VALUE && dsq_record_try_acquire(again)) {
                tier_release(attempt->tier, present);
                attempt->seen = again;
            }
        }
    } else {"""),
            ("persist/tier_change.c",
             """#include "persist/tier_internal.h"
""",
             """#include "core/perturb.h"
#include "persist/tier_internal.h"
""")],
           [LINEARIZE_GROWING]),
    Mutant("counted-after-the-change", "a change of the number of values is not announced before it",
           [("core/table.c",
             """        dsq_add_acq_rel(&table->census, 1);
""",
             """        (void)table;
"""),
            ("core/table.c",
             """(happened ? change * DSQ_CENSUS_VALUE : 0) - 1)""",
             """happened ? change * DSQ_CENSUS_VALUE : 0)""")],
           [LINEARIZE_LENGTHS]),
    Mutant("evicted-while-copied", "a record is evicted in the next table while its copier is at work",
           [("core/clock.c",
             """    if (victim->slots != root) {
        dsq_migration_move_key(shard, root, record);
    }
""",
             """    (void)root;
""")],
           [SCHEDULES], build="unit"),
    Mutant("ripe-list-shared", "two writers may take the same list of ripe records",
           [("core/reclaim.c",
             """        list = dsq_exchange_acq_rel(&stripe->ripe, NULL);
    }
    if (list == NULL &&""",
             """        list = dsq_load_acquire(&stripe->ripe);
        dsq_perturb();
        dsq_store_release(&stripe->ripe, NULL);
    }
    if (list == NULL &&""")],
           [MEMORY_CROWD], build="asan"),
    Mutant("complete-cleared-late", "the hot tier says that it is complete after an eviction",
           [("core/clock.c",
             """        dsq_store_release(&map->complete, false);""",
             """        (void)map;""")],
           [CROWDED]),
    Mutant("acknowledged-before-commit", "a writethrough write returns without waiting for its commit",
           TELLS_EARLY,
           [LINEARIZE_KILL_THROUGH, CRASH_THROUGH]),
    Mutant("told-before-power", "a writethrough write returns without waiting for its commit",
           TELLS_EARLY,
           [POWER_THROUGH]),
    Mutant("synchronous-off", "a commit does not wait for the disk",
           [("persist/sqlite_store.c",
             """set_syncs(self, kind == DSQ_COMMIT_DURABLE && !self->synchronous_normal);""",
             """set_syncs(self, false && kind == DSQ_COMMIT_DURABLE);""")],
           [POWER_THROUGH]),
    Mutant("committed-out-of-order", "the committer leaves some records to a later batch",
           [("persist/committer_batch.c",
             """        } else if (dsq_record_state(record) != DSQ_RECORD_PENDING) {
            unlink_node""",
             """        } else if (dsq_record_state(record) != DSQ_RECORD_PENDING &&
                   (record->kind == DSQ_ITEM_MARKER || committer->scans++ % 4 != 0)) {
            unlink_node""")],
           [POWER_LAZY]),
    Mutant("evicted-before-fold", "records count as clean once they are in the journal",
           [("persist/committer_batch.c",
             """        dsq_record_move(batch->records[i], DSQ_RECORD_READY, DSQ_RECORD_DURABLE);""",
             """        dsq_record_move(batch->records[i], DSQ_RECORD_READY, DSQ_RECORD_CLEAN);""")],
           [CROWDED]),
    Mutant("dropped-before-applied", "a fold's rows leave the journal before its slices",
           [("persist/fold.c",
             """    fold->applied = end;
    if (end == fold->closed.count) {
        fold->stage = DSQ_FOLD_DROPPING;
    }""",
             """    fold->applied = end;
    if (end == fold->closed.count) {
        end_fold(fold);
    }"""),
            ("persist/fold.c",
             """            fold->stage = DSQ_FOLD_APPLYING;
            break;""",
             """            fold->stage = DSQ_FOLD_DROPPING;
            break;"""),
            ("persist/fold.c",
             """        end_fold(fold);
    }
    return status;""",
             """        fold->stage = DSQ_FOLD_APPLYING;
    }
    return status;"""),
            ("persist/fold.c",
             """static int sort_some(""",
             """static void end_fold(struct dsq_fold *fold);

static int sort_some(""")],
           [POWER_THROUGH]),
    Mutant("dropped-newest-first", "the journal loses its newest rows first",
           [("persist/sqlite_store_open.c",
             """"SELECT min(id) FROM journal",""",
             """"SELECT max(id) FROM journal",""")],
           [POWER_THROUGH]),
    Mutant("read-before-commit", "a writethrough read returns a value whose commit is pending",
           [("persist/tier_read.c",
             """    int status = tier_wait(tier, *record, error);

    if (status == DSQ_OK && (*record)->kind""",
             """    int status = DSQ_OK;

    (void)error;
    if (status == DSQ_OK && (*record)->kind""")],
           [LINEARIZE_KILL_THROUGH, CRASH_THROUGH]),
    Mutant("flush-does-not-wait", "a flush returns without waiting for its marker",
           [("persist/tier.c",
             """    return dsq_committer_flush(tier->committer, deadline_ns, error);""",
             """    (void)deadline_ns;
    (void)error;
    return DSQ_OK;""")],
           [LINEARIZE_WHOLE, LINEARIZE_KILL_LAZY, CRASH_LAZY]),
    Mutant("waits-for-pending", "the committer waits for a PENDING record instead of stepping over",
           [("persist/committer_batch.c",
             """            previous = node; /* stepped over */
        }""",
             """            break;
        }""")],
           [FREEZE_LAZY]),
    Mutant("queue-newest-first", "the queue gives what it took in the order of the stack",
           [("core/mpsc.c",
             """    return (struct dsq_mpsc_node *)oldest;""",
             """    for (entry = NULL; oldest != NULL;) {
        ck_stack_entry_t *newer = oldest->next;

        oldest->next = entry;
        entry = oldest;
        oldest = newer;
    }
    return (struct dsq_mpsc_node *)entry;""")],
           [QUEUE]),
    Mutant("mailbox-read-after-taking", "a mailbox is emptied first and its descriptor read afterwards",
           [("core/mailbox.c",
             """    uint64_t writes;

""",
             """    uint64_t writes;

    mailbox->taken = turn_round(dsq_exchange_acq_rel(&mailbox->head, NULL));
    dsq_perturb();
"""),
            ("core/mailbox.c",
             """    dsq_perturb();
    mailbox->taken = turn_round(dsq_exchange_acq_rel(&mailbox->head, NULL));
}""",
             """}""")],
           [NOTIFY]),
    Mutant("failure-told-once", "a marker that is queued after the store has failed is told nothing",
           [("persist/committer_thread.c",
             """    set_state(committer, DSQ_COMMITTER_FAILED);
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->work);

        dsq_batch_fail_notices(committer, &committer->error);
""",
             """    dsq_batch_fail_notices(committer, &committer->error);
    set_state(committer, DSQ_COMMITTER_FAILED);
    for (;;) {
        uint32_t ticket = dsq_event_ticket(&committer->work);

""")],
           [NOTICES], build="unit"),
    Mutant("quiet-record-unwaited", "who waits for a record that was pushed quietly does not wake the thread",
           [("persist/committer.c",
             """    wake_for_quiet(committer);
    dsq_add_relaxed""",
             """    (void)wake_for_quiet;
    dsq_add_relaxed""")],
           [NOTICES], build="unit"),
    Mutant("carried-not-told", "what is taken from the queue of a failed store is not said to be carried",
           [("persist/committer_batch.c",
             """        committer->cut_short = true;
        dsq_store_seq_cst(&committer->carrying, true);
""",
             """        committer->cut_short = true;
""")],
           [NOTICES], build="unit"),
    Mutant("queue-taken-in-two-steps", "a push between the look at the queue and its emptying is lost",
           [("core/mpsc.c",
             """    ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&queue->stack);
    ck_stack_entry_t *oldest = NULL;
""",
             """    ck_stack_entry_t *entry = ck_pr_load_ptr(&queue->stack.head);
    ck_stack_entry_t *oldest = NULL;

    ck_pr_store_ptr(&queue->stack.head, NULL);
""")],
           [QUEUE]),
    Mutant("group-cut", "the committer commits a part of a batch",
           [("persist/committer_batch.c",
             """            if (!is_complete(group)) {
                return cut;
            }""",
             """            (void)is_complete;""")],
           [CRASH_LAZY, CRASH_THROUGH]),
    Mutant("stale-opened-page", "a page that is overwritten stays among those that are kept opened",
           [("persist/sealed_vfs.c",
             """    int result = dsq_sealed_write(file, file->page, PAGE_BYTES, file->first + offset);
    if (file->kind == DSQ_SEAL_PAGE) {""",
             """    int result = dsq_sealed_write(file, file->page, PAGE_BYTES, file->first + offset);
    if (file->kind != DSQ_SEAL_PAGE) {""")],
           [SEALED_CROWDED]),
    Mutant("gathered-too-long", "the frame that ends a transaction stays gathered",
           [("persist/sealed_wal.c",
             """    if (file->ends_transaction) {
        file->ends_transaction = false;
        return write_gathered(file);
    }""",
             """    file->ends_transaction = false;""")],
           [SEALED_CROWDED, SEALED_CRASH]),
    Mutant("recovery-takes-errors", "a frame that does not open is an error in recovery, too",
           [("persist/sealed_wal.c",
             "result == SQLITE_IOERR_DATA && dsq_sealed_shm_recovers(&file->vfs->shm)",
             "result == SQLITE_IOERR_DATA && false")],
           [TAMPERING], build="unit"),
    Mutant("torn-zeros-count", "in recovery a page that does not open is zeros, and its frame counts",
           [("persist/sealed_wal.c",
             "        memset(bytes, 0, (size_t)size);\n        result = SQLITE_OK;",
             "        memset(bytes + header_size, 0, (size_t)(size - header_size));\n        result = SQLITE_OK;")],
           [TAMPERING], build="unit"),
    Mutant("page-1-cached-early", "the page that SQLite reads before a transaction is kept opened",
           [("persist/sealed_vfs.c",
             "    int result = read_sealed(file, 0, file->page);",
             "    int result = read_page(file, 0, file->page);")],
           [SEALED], build="unit"),
    Mutant("page-anywhere", "a page may lie anywhere in the file",
           [("persist/sealed_vfs.c",
             """    return (struct dsq_seal_place){.kind = file->kind, .number = (uint64_t)index + 1};""",
             """    (void)index;
    return (struct dsq_seal_place){.kind = file->kind, .number = 1};""")],
           [TAMPERING], build="unit"),
    Mutant("file-not-bound", "the identity of the file is not authenticated",
           [("crypto/sealer.c",
             """    memcpy(name, sealer->file_id, DSQ_FILE_ID_BYTES);
""",
             """    memset(name, 0, DSQ_FILE_ID_BYTES);
""")],
           [SEALER], build="unit"),
    Mutant("nonce-stands-still", "the counter of nonces does not count",
           [("crypto/sealer.c",
             "put_number(nonce + SESSION_BYTES, dsq_add_relaxed(&sealer->counter, 1), COUNTER_BYTES);",
             "put_number(nonce + SESSION_BYTES, dsq_load_relaxed(&sealer->counter), COUNTER_BYTES);")],
           [SEALER], build="unit"),
    Mutant("child-seals", "a forked child goes on with its parent's nonces",
           [("crypto/sealer.c",
             "    if (sealer->fork_generation != dsq_fork_generation()) {",
             "    if (sealer->fork_generation > dsq_fork_generation()) {")],
           [SEALER], build="unit"),
    Mutant("superblock-unauthenticated", "the superblock's mac is not looked at",
           [("crypto/keyring.c",
             "    return sodium_memcmp(mac, superblock->mac, sizeof mac) == 0",
             "    return sodium_memcmp(mac, superblock->mac, sizeof mac) <= 0")],
           [KEYRING], build="unit"),
    Mutant("newest-copy-first", "a change of the superblock begins with the copy that counts",
           [("persist/sealed_vfs.c",
             """        result = write_copy(plain.file, superblock, 1 - *newest);
        *newest = result == SQLITE_OK ? 1 - *newest : *newest;""",
             """        result = write_copy(plain.file, superblock, *newest);
        *newest = 1 - *newest;""")],
           [SEALED], build="unit"),
]


class Failed(Exception):
    """The table of mutants does not fit the tree, or something does not build."""


def run(command, **options):
    """A command whose output is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def copy_tree(source):
    """The tracked files as they are now, under source; untouched ones keep their times."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        origin, target = ROOT / name, source / name
        if not origin.is_file():
            continue
        if not target.exists() or origin.read_bytes() != target.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, target)


def configure(source, preset):
    """A build directory: with unit tests or with the stress programs."""
    build = WORK / preset
    unit = preset == PRESETS["unit"]
    run(["cmake", "-S", source, "-B", build, "--preset", preset, "-DDSQ_BUILD_PYTHON=OFF",
         f"-DDSQ_BUILD_TESTS={'ON' if unit else 'OFF'}", "-DDSQ_WERROR=OFF", "-DDSQ_PERTURB=ON"],
        cwd=source)
    return build


def build_programs(build, programs):
    """Builds what is out of date."""
    targets = sorted({pathlib.Path(program.split()[0]).name for program in programs})
    run(["cmake", "--build", build, "--target", *targets, "--parallel", str(os.cpu_count() or 2)])


def check_table():
    """Every passage occurs exactly once in its file."""
    for mutant in MUTANTS:
        for path, old, _ in mutant.edits:
            found = (ROOT / path).read_text(encoding="utf-8").count(old)
            if found != 1:
                raise Failed(f"{mutant.name}: its passage occurs {found} times in {path}, not once")


def takes_seconds(program):
    """Whether a program runs for a time rather than for a number of rounds."""
    return program.split()[0] in ("mixed", "linearize", "queue_order", "reclaim_age")


def is_caught_by(build, program, seconds, seed):
    """Seconds until the program failed, or None if it did not."""
    name, *arguments = program.split()
    command = [build / name] if "/" in name else [build / "stress" / name, *arguments,
                                                  "--seed", str(seed)]
    if takes_seconds(program):
        command += ["--seconds", str(seconds)]
    environment = dict(os.environ)
    environment["TSAN_OPTIONS"] = f"suppressions={ROOT}/stress/tsan.supp:history_size=7:exitcode=66:halt_on_error=1"
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=environment, start_new_session=True)
    try:
        # A program of rounds is cut off by the clock; one that hangs well beyond its time has failed too.
        status = child.wait(timeout=seconds + 60 if takes_seconds(program) else seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        child.wait()
        return time.monotonic() - start if takes_seconds(program) else None
    return time.monotonic() - start if status != 0 else None


def try_mutant(mutant, source, seconds, seed):
    """The line of the table for one mutant, and whether it was caught."""
    build = WORK / PRESETS[mutant.build]
    intact = {path: (source / path).read_text(encoding="utf-8") for path, _, _ in mutant.edits}
    for path, old, new in mutant.edits:
        text = (source / path).read_text(encoding="utf-8")
        (source / path).write_text(text.replace(old, new), encoding="utf-8")
    try:
        build_programs(build, mutant.programs)
        spent = 0.0
        for program in mutant.programs:
            caught = is_caught_by(build, program, seconds, seed)
            if caught is not None:
                return True, f"{spent + caught:6.1f} s  {program}"
            spent += seconds
        return False, f"{spent:6.1f} s  NOT CAUGHT by " + "; ".join(mutant.programs)
    finally:
        for path, text in intact.items():
            (source / path).write_text(text, encoding="utf-8")


def check_intact(chosen, builds, seconds, seed):
    """None of the programs fails on the product as it is."""
    for preset, build in builds.items():
        programs = sorted({program for mutant in chosen
                           if PRESETS[mutant.build] == preset for program in mutant.programs})
        build_programs(build, programs)
        for program in programs:
            if is_caught_by(build, program, seconds, seed) is not None:
                raise Failed(f"{preset}: {program} fails on the intact product")


def main():
    """Parses the options, tries the mutants and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--quick", action="store_true", help="a few of them")
    parser.add_argument("--seconds", type=int, default=60, help="for each program")
    parser.add_argument("--intact-seconds", type=int, default=3,
                        help="for each program on the intact product, first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    options = parser.parse_args()

    names = QUICK if options.quick else options.names
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    check_table()
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:26} {mutant.what}")
        return 0
    source = WORK / "source"
    copy_tree(source)
    builds = {preset: configure(source, preset)
              for preset in sorted({PRESETS[mutant.build] for mutant in chosen})}
    check_intact(chosen, builds, options.intact_seconds, options.seed)
    missed = 0
    for mutant in chosen:
        caught, line = try_mutant(mutant, source, options.seconds, options.seed)
        missed += not caught
        print(f"{mutant.name:26} {line}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} mutants caught; seed {options.seed}")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(str(failure))
