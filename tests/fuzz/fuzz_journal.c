/*
 * fuzz_journal.c - any bytes as the journal's export format: entries are the same in one go and
 * byte by byte, and their fields fit.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/journal/export.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct journal_export whole, pieces;
    journal_export_init(&whole);
    journal_export_init(&pieces);
    for (size_t at = 0, from = 0; at < size; from = at) {
        bool is_whole, is_whole_too = false;
        at += journal_export_take(&whole, (struct bytes){data + at, size - at}, &is_whole);
        must(at > from && at <= size);
        for (size_t i = from; i < at; i++)
            must(journal_export_take(&pieces, (struct bytes){data + i, 1}, &is_whole_too) == 1);
        must(is_whole == is_whole_too);
        for (enum journal_field field = 0; is_whole && field < JOURNAL_FIELDS; field++) {
            struct bytes one = journal_export_field(&whole, field);
            must(bytes_equal(one, journal_export_field(&pieces, field)));
            must(one.size <= JOURNAL_MESSAGE_BYTES);
        }
    }
    return 0;
}
