/*
 * fuzz_csv.c - a table is read or refused with a reason; what is read is text, and written
 * again with every field in quotes it is the same.
 */
#include <stdint.h>
#include <string.h>

#include "collector/ctl/csv.h"
#include "proto/base/buf.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct csv *csv, struct buf *out)
{
    for (size_t i = 0; i < csv->count; i++)
        for (size_t k = 0; k < csv->rows[i].count; k++) {
            const char *field = csv->rows[i].fields[k];
            must(utf8_is_valid(bytes_of(field)));
            buf_put_char(out, '"');
            for (; *field != '\0'; field++)
                buf_printf(out, *field == '"' ? "\"\"" : "%c", *field);
            buf_put_text(out, k + 1 < csv->rows[i].count ? "\"," : "\"\n");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct csv first, second;
    struct diagnosis why = {0};
    struct buf text = {0}, again = {0};

    arena_init(&arena, (size_t)64 << 20);
    int error = csv_read((struct bytes){data, size}, &arena, &first, &why);
    must((error == 0) == (why.text[0] == '\0'));
    if (error == 0) {
        write_again(&first, &text);
        must(csv_read(buf_bytes(&text), &arena, &second, &why) == 0);
        must(first.count == second.count);
        write_again(&second, &again);
        must(bytes_equal(buf_bytes(&text), buf_bytes(&again)));
    }
    buf_done(&text);
    buf_done(&again);
    arena_reset(&arena);
    return 0;
}
