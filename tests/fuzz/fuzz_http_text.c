/*
 * fuzz_http_text.c - what strangers write into a URL or a form: parameters, times, durations;
 * and JSON made of it, which must always be UTF-8 inside its quotes.
 */
#include <stdlib.h>

#include "collector/http/form.h"
#include "collector/http/json_write.h"
#include "collector/http/param.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(struct bytes text)
{
    struct buf out = {0};
    struct json_writer json = json_write_to(&out);
    json_write_string(&json, text);
    must(buf_ok(&out) && out.size >= 2 && out.data[0] == '"' && out.data[out.size - 1] == '"');
    for (size_t i = 1; i + 1 < out.size; i++)
        must(out.data[i] >= 0x20);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct form form;
    arena_init(&arena, 1 << 20);
    form_init(&form, &arena);
    if (form_add_encoded(&form, (struct bytes){data, size}) == 0) {
        for (size_t i = 0; i < form.count; i++) {
            int64_t ms = 0;
            size_t limit = 0;
            struct diagnosis why = {0};
            if (param_time(form.items[i].value, &ms, &why) != 0)
                must(why.text[0] != '\0');
            (void)param_duration(form.items[i].value, &ms, NULL);
            (void)param_limit(form.items[i].value, &limit, NULL);
        }
    }
    check_json((struct bytes){data, size});
    arena_reset(&arena);
    return 0;
}
