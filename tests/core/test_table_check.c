#include "tests/core/fixture.h"

TestSuite(table_check, .init = make_table, .fini = remove_table, .timeout = 60);

static const char *check(void)
{
    const char *broken;
    dsq_read_lock();
    broken = dsq_table_check(table);
    dsq_read_unlock();
    return broken;
}

static _Atomic uint64_t *slot_holding(const struct dsq_record *record)
{
    struct dsq_slots *slots = dsq_load_acquire(&table->root);
    for (uint64_t i = 0; i < slots->slot_count; i++) {
        if (word_record(dsq_load_acquire(&slots->words[i])) == record) {
            return &slots->words[i];
        }
    }
    cr_assert_fail("the record is in no slot");
    return NULL;
}

Test(table_check, a_table_that_was_used_is_in_order)
{
    cr_assert_null(check());
    for (uint64_t i = 0; i < 5000; i++) {
        put_number(i);
        cr_assert(i % 500 != 0 || check() == NULL);
    }
    cr_assert_null(check());
}

Test(table_check, a_migration_half_done_is_finished_and_in_order)
{
    for (uint64_t i = 0; i < 40; i++) {
        put_number(i);
    }
    cr_assert_eq(dsq_migration_start(dsq_load_acquire(&table->root)), DSQ_OK);
    dsq_migration_help(table, dsq_load_acquire(&table->root));
    cr_assert_null(check());
    cr_assert_null(dsq_load_acquire(&dsq_load_acquire(&table->root)->next));
}

Test(table_check, a_foreign_tag_is_found)
{
    struct dsq_record *record = put(7, "a", "1");
    _Atomic uint64_t *slot = slot_holding(record);
    dsq_store_release(slot, word_of(record) ^ (UINT64_C(1) << 50));
    cr_assert_not_null(strstr(check(), "tag"));
    dsq_store_release(slot, word_of(record));
    cr_assert_null(check());
}

Test(table_check, a_record_off_its_probe_is_found)
{
    struct dsq_record *record = put(7, "a", "1");
    _Atomic uint64_t *slot = slot_holding(record);
    dsq_store_release(slot, WORD_EMPTY);
    dsq_store_release(slot + GROUP_SLOTS, word_of(record));
    cr_assert_not_null(strstr(check(), "S1"));
    dsq_store_release(slot + GROUP_SLOTS, WORD_EMPTY);
    dsq_store_release(slot, word_of(record));
}

Test(table_check, a_hole_in_a_group_is_found)
{
    struct dsq_record *record = put(7, "a", "1");
    _Atomic uint64_t *slot = slot_holding(record);
    dsq_store_release(slot + 2, WORD_REMOVED);
    cr_assert_not_null(strstr(check(), "S7"));
    dsq_store_release(slot + 2, WORD_EMPTY);
}

Test(table_check, a_frozen_slot_is_found)
{
    struct dsq_record *record = put(7, "a", "1");
    _Atomic uint64_t *slot = slot_holding(record);
    dsq_store_release(slot, word_of(record) | WORD_FROZEN);
    cr_assert_not_null(strstr(check(), "frozen"));
    dsq_store_release(slot, word_of(record));
}

Test(table_check, a_wrong_counter_is_found)
{
    put(7, "a", "1");
    dsq_add_relaxed(&table->census, DSQ_CENSUS_VALUE);
    cr_assert_not_null(strstr(check(), "counter"));
    dsq_sub_relaxed(&table->census, DSQ_CENSUS_VALUE);
    cr_assert_null(check());
}
