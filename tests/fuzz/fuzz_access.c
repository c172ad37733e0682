/*
 * fuzz_access.c - any words as a format, any bytes as lines: what is read lies in the line, and
 * sums are those of the lines.
 *
 * The first line is the format; the others are lines of the log.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/log/access.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hit(struct bytes line, const struct access_hit *hit)
{
    const struct bytes texts[] = {hit->vhost, hit->method, hit->result};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        must(texts[i].size == 0 || (texts[i].data >= line.data &&
                                    texts[i].data + texts[i].size <= line.data + line.size));
    must(hit->status == 0 || (hit->status >= 100 && hit->status <= 999));
    must(hit->seconds >= -1 && hit->upstream_seconds >= -1);
}

static void take_lines(struct access *access, const uint8_t *data, size_t size)
{
    static const struct redaction redaction = {.numbers = REDACT_NUMBERS};
    static const struct redact_key key;
    uint64_t hits = 0, sum = 0;
    for (size_t at = 0; at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t end = newline == NULL ? size : (size_t)(newline - data);
        struct bytes line = {data + at, end - at};
        struct access_hit hit;
        bool is_hit = access_format_line(&access->format, line, &hit) == ACCESS_HIT;
        if (is_hit)
            check_hit(line, &hit);
        hits += is_hit;
        must(access_take(access, line, &redaction, &key) < 9);
        if (!access_has_room(access) || end % 3 == 0)
            access_commit(access);
        at = end + 1;
    }
    access_commit(access);
    for (size_t i = 0; i < access->cell_count; i++)
        sum += access->cells[i].count;
    must(sum == hits && access->vhost_count <= ACCESS_VHOSTS_MAX + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct access_settings settings = {0};
    struct access *access;
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    if (newline == NULL)
        return 0;
    char *format = strndup((const char *)data, (size_t)(newline - data));
    must(format != NULL);
    if (access_format_read(format, &settings.format, NULL) == 0) {
        must(access_new(&settings, &access) == 0);
        take_lines(access, newline + 1, size - (size_t)(newline - data) - 1);
        access_free(access);
    }
    free(format);
    return 0;
}
