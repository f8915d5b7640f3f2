/*
 * A copier that was frozen for long inside its copy: the step is static, so that this program has
 * the file's text for itself, under other names.
 */
#define dsq_migration_start late_migration_start
#define dsq_migration_move late_migration_move
#define dsq_migration_help late_migration_help
#define dsq_migration_finish late_migration_finish
#include "core/table_resize.c"

#include "tests/core/fixture.h"

TestSuite(table_copy, .init = make_table, .fini = remove_table, .timeout = 60);

#define HASH UINT64_C(7)

static struct dsq_slots *old;
static struct dsq_slots *next;
static _Atomic uint64_t *slot;
static uint64_t frozen;

/* Moves the record's slot; what a copier remembers that had loaded the FROZEN word before. */
static void move_slot_of(struct dsq_record *record)
{
    old = root();
    cr_assert_eq(dsq_migration_start(old), DSQ_OK);
    next = dsq_load_acquire(&old->next);
    slot = slot_of(old, record);
    frozen = word_of(record) | WORD_FROZEN;
    dsq_migration_move(table, old, slot);
}

Test(table_copy, a_late_copier_does_not_bring_back_what_was_removed)
{
    struct dsq_record *record = put(HASH, "a", "1");
    dsq_read_lock();
    move_slot_of(record);
    cr_assert(take(HASH, text("a")));
    copy(table, next, slot, frozen);
    cr_assert_null(slot_of(next, record));
    cr_assert_null(find(HASH, text("a")));
    dsq_read_unlock();
}

Test(table_copy, a_late_copier_does_not_bring_back_what_was_replaced)
{
    struct dsq_record *record = put(HASH, "a", "1");
    dsq_read_lock();
    move_slot_of(record);
    struct dsq_record *newer = put(HASH, "a", "2");
    copy(table, next, slot, frozen);
    cr_assert_null(slot_of(next, record));
    cr_assert_eq(find(HASH, text("a")), newer);
    dsq_read_unlock();
}

Test(table_copy, a_late_copier_does_not_bring_back_what_was_removed_and_stored_anew)
{
    struct dsq_record *record = put(HASH, "a", "1");
    dsq_read_lock();
    move_slot_of(record);
    cr_assert(take(HASH, text("a")));
    struct dsq_record *anew = put(HASH, "a", "2");
    copy(table, next, slot, frozen);
    cr_assert_null(slot_of(next, record));
    cr_assert_eq(find(HASH, text("a")), anew);
    dsq_read_unlock();
}

Test(table_copy, a_late_copier_adds_no_second_copy)
{
    struct dsq_record *record = put(HASH, "a", "1");
    dsq_read_lock();
    move_slot_of(record);
    copy(table, next, slot, frozen);
    dsq_read_unlock();
    cr_assert_eq(dsq_load_relaxed(&next->used), 1);
}

Test(table_copy, a_late_copier_stops_where_the_next_generation_is_being_replaced_itself)
{
    struct dsq_record *record = put(HASH, "a", "1");
    dsq_read_lock();
    move_slot_of(record);
    cr_assert(take(HASH, text("a")));
    dsq_migration_finish(table, old);
    cr_assert_eq(dsq_migration_start(next), DSQ_OK);
    dsq_migration_finish(table, next);
    copy(table, next, slot, frozen);
    cr_assert_null(slot_of(next, record));
    cr_assert_null(find(HASH, text("a")));
    dsq_read_unlock();
}

Test(table_copy, a_removed_slot_of_another_key_with_the_tag_does_not_stop_a_copier)
{
    struct dsq_record *record = put(HASH, "a", "1");
    struct dsq_record *other = put(HASH, "b", "1");
    dsq_read_lock();
    move_slot_of(record);
    _Atomic uint64_t *second = slot_of(old, other);
    dsq_store_relaxed(&old->claim, old->chunk_count - 1); /* the help on the way is elsewhere */
    cr_assert(take(HASH, text("a")));
    cr_assert_eq(dsq_load_acquire(second), word_of(other));
    dsq_migration_move(table, old, second);
    cr_assert_eq(find(HASH, text("b")), other);
    dsq_read_unlock();
}
