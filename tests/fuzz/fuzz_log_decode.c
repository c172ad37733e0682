/*
 * fuzz_log_decode.c - any bytes as a log: events that cover the run in order, and text that is
 * UTF-8 whatever the encoding was said to be.
 *
 * First byte: encoding and switches; second: room and whether events span lines.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "probe/log/decode.h"
#include "probe/log/multiline.h"
#include "probe/log/severity.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_run(struct cutter *cutter, size_t room)
{
    uint8_t *text = malloc(room);
    struct log_event event;
    size_t end = 0;
    must(text != NULL);
    while (cutter_next(cutter, text, room, &event)) {
        must(event.start >= end && event.end > event.start);
        must(event.end <= cutter->run.size && event.end == cutter->at);
        must(event.text_bytes <= room);
        must(utf8_is_valid((struct bytes){text, event.text_bytes}));
        must(severity_of((struct bytes){text, event.text_bytes}) < SEVERITY_COUNT);
        end = event.end;
    }
    must(cutter->at >= end && cutter->at <= cutter->run.size);
    must(!cutter->is_full || cutter->run.size < 4 || cutter->at > 0);
    must(!cutter->is_last || cutter->at == cutter->run.size);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pattern *pattern = NULL;
    if (size < 2)
        return 0;
    if ((data[1] & 0x80) != 0)
        must(pattern_new("^\\S", &pattern, NULL) == 0);
    struct cutter cutter = {.encoding = (enum log_encoding)(data[0] % 6),
                            .first_line = pattern,
                            .run = {data + 2, size - 2},
                            .is_full = (data[0] & 0xc0) == 0x40,
                            .is_last = (data[0] & 0xc0) == 0x80,
                            .is_idle = (data[0] & 0xc0) == 0xc0,
                            .skipping = (data[0] & 0x20) != 0};
    check_run(&cutter, 4 + (data[1] & 0x7fu));
    pattern_free(pattern);
    return 0;
}
