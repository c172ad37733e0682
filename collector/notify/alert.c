/*
 * alert.c - see alert.h.
 */
#include "collector/notify/alert.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/message_text.h"
#include "proto/base/error.h"

#define ALERT_ROW_VERSION   2
#define ALERT_ROW_OLDEST    1 /* without hold_until */
#define ALERT_FLAG_FIRING   1u
#define ALERT_FLAG_EXTERNAL 2u
#define ALERT_FLAG_TIMEOUT  4u
#define ALERT_FLAG_UPDATED  8u
#define ALERT_FLAG_RULELESS 16u
#define ALERT_NOTE_SHIFT    5 /* two bits */
#define ALERT_NOTE_MASK     3u
#define ALERT_FLAG_PASSED   128u

const char *alert_note_text(enum alert_note note, int64_t stale_since_ms,
                            char text[ALERT_NOTE_BYTES])
{
    char time[MESSAGE_TIME_BYTES];
    switch (note) {
    case ALERT_NOTE_STALE:
        (void)snprintf(text, ALERT_NOTE_BYTES, "数据中断：%s 起没有数据，不等于恢复",
                       message_short_time(stale_since_ms, time));
        return text;
    case ALERT_NOTE_FLAPPING:
        return "抖动：反复触发与恢复，平静后另行通知";
    case ALERT_NOTE_NO_DATA:
        return "无数据：数据中断已久，不再等待，并未见到恢复";
    case ALERT_NOTE_NONE:
        break;
    }
    return "";
}

void alert_write(const struct alert *alert, struct buf *out)
{
    uint64_t bits;
    memcpy(&bits, &alert->value, sizeof bits);
    buf_put_u8(out, ALERT_ROW_VERSION);
    buf_put_u8(out, (uint8_t)((alert->firing ? ALERT_FLAG_FIRING : 0u) |
                              (alert->external ? ALERT_FLAG_EXTERNAL : 0u) |
                              (alert->ends_by_timeout ? ALERT_FLAG_TIMEOUT : 0u) |
                              (alert->is_ruleless ? ALERT_FLAG_RULELESS : 0u) |
                              (alert->has_passed ? ALERT_FLAG_PASSED : 0u) |
                              ALERT_FLAG_UPDATED |
                              (unsigned)alert->note << ALERT_NOTE_SHIFT));
    buf_put_zigzag(out, alert->starts_ms);
    buf_put_zigzag(out, alert->ends_ms);
    buf_put_u64(out, bits);
    labels_write(alert->labels, out);
    labels_write(alert->annotations, out);
    buf_put_sized(out, bytes_of(alert->generator_url != NULL ? alert->generator_url : ""));
    buf_put_zigzag(out, alert->updated_ms);
    buf_put_zigzag(out, alert->hold_until_ms);
}

/* A C string of bytes that a row carries; NULL when out of memory. */
static const char *text_in(struct arena *arena, struct bytes bytes)
{
    char *text = arena_alloc(arena, bytes.size + 1, 1);
    if (text != NULL && bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    return text;
}

int alert_read(struct bytes row, struct arena *arena, struct alert *ret_alert)
{
    struct reader reader = reader_of(row);
    struct alert alert = {0};
    struct bytes url;
    uint64_t bits;
    uint8_t version = reader_u8(&reader), flags;
    int error;

    if (version < ALERT_ROW_OLDEST || version > ALERT_ROW_VERSION)
        return ERR_CORRUPT;
    flags = reader_u8(&reader);
    alert.firing = (flags & ALERT_FLAG_FIRING) != 0;
    alert.external = (flags & ALERT_FLAG_EXTERNAL) != 0;
    alert.ends_by_timeout = (flags & ALERT_FLAG_TIMEOUT) != 0;
    alert.is_ruleless = (flags & ALERT_FLAG_RULELESS) != 0;
    alert.has_passed = (flags & ALERT_FLAG_PASSED) != 0;
    alert.note = (enum alert_note)(flags >> ALERT_NOTE_SHIFT & ALERT_NOTE_MASK);
    alert.starts_ms = reader_zigzag(&reader);
    alert.ends_ms = reader_zigzag(&reader);
    bits = reader_u64(&reader);
    memcpy(&alert.value, &bits, sizeof bits);
    error = labels_read(&reader, arena, &alert.labels);
    if (error == 0)
        error = labels_read(&reader, arena, &alert.annotations);
    if (error != 0)
        return error == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
    url = reader_sized(&reader);
    alert.updated_ms =
        (flags & ALERT_FLAG_UPDATED) != 0 ? reader_zigzag(&reader) : alert.starts_ms;
    if (version >= 2)
        alert.hold_until_ms = reader_zigzag(&reader);
    if (reader.failed || reader_left(&reader) != 0)
        return ERR_CORRUPT;
    alert.generator_url = text_in(arena, url);
    if (alert.generator_url == NULL)
        return ERR_NOMEM;
    alert.fingerprint = labels_fingerprint(alert.labels);
    *ret_alert = alert;
    return 0;
}

int alert_copy(const struct alert *alert, struct alert **ret_copy)
{
    struct alert *copy = calloc(1, sizeof *copy);
    int error;

    if (copy == NULL)
        return ERR_NOMEM;
    *copy = *alert;
    copy->labels = NULL;
    copy->annotations = NULL;
    copy->generator_url = strdup(alert->generator_url != NULL ? alert->generator_url : "");
    error = copy->generator_url == NULL ? ERR_NOMEM : 0;
    if (error == 0)
        error = labels_build(alert->labels->pairs, alert->labels->count, NULL, &copy->labels);
    if (error == 0)
        error = labels_build(alert->annotations->pairs, alert->annotations->count, NULL,
                             &copy->annotations);
    if (error != 0) {
        alert_free(copy);
        return error;
    }
    *ret_copy = copy;
    return 0;
}

void alert_free(struct alert *alert)
{
    if (alert == NULL)
        return;
    labels_free(alert->labels);
    labels_free(alert->annotations);
    free((void *)(uintptr_t)alert->generator_url);
    free(alert);
}
