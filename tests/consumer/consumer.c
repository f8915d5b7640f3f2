/* What a user writes first: opens a dictionary in memory, stores, reads back. */
#include <stdio.h>
#include <string.h>

#include <dictsqlite.h>

int main(void)
{
    dsq_db *db;
    void *value;
    size_t size;
    int same;

    if (dsq_open(":memory:", NULL, &db) != DSQ_OK || dsq_put(db, "key", 3, "value", 5) != DSQ_OK ||
        dsq_get(db, "key", 3, &value, &size) != DSQ_OK) {
        return 1;
    }
    same = size == 5 && memcmp(value, "value", 5) == 0;
    dsq_free(value);
    printf("dictsqlite %s\n", dsq_version());
    return dsq_close(db) == DSQ_OK && same ? 0 : 1;
}
