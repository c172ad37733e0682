/*
 * silence.c - see silence.h.
 */
#include "collector/notify/silence.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define SILENCE_ROW_VERSION 1

int silence_new(const char *created_by, const char *comment, int64_t starts_ms, int64_t ends_ms,
                struct silence **ret_silence)
{
    struct silence *silence = calloc(1, sizeof *silence);
    if (silence == NULL)
        return ERR_NOMEM;
    silence->created_by = strdup(created_by);
    silence->comment = strdup(comment);
    silence->starts_ms = starts_ms;
    silence->ends_ms = ends_ms;
    if (silence->created_by == NULL || silence->comment == NULL) {
        silence_free(silence);
        return ERR_NOMEM;
    }
    *ret_silence = silence;
    return 0;
}

int silence_add_matcher(struct silence *silence, enum matcher_kind kind, struct bytes name,
                        struct bytes value, struct diagnosis *why)
{
    const size_t at = silence->matcher_count;
    struct matcher **longer;
    struct diagnosis inner = {0};
    int error;

    if (at == SILENCE_MATCHERS_MAX)
        return diagnose(why, ERR_LIMIT, "silence invalid: more than %zu matchers",
                        SILENCE_MATCHERS_MAX);
    if (name.size == 0 || !utf8_is_valid(name))
        return diagnose(
            why, ERR_INVALID,
            "silence invalid: invalid label matcher %zu: invalid label name \"%.*s\"", at,
            (int)(name.size > 64 ? 64 : name.size), (const char *)name.data);
    longer = realloc(silence->matchers, (at + 1) * sizeof(struct matcher *));
    if (longer == NULL)
        return ERR_NOMEM;
    silence->matchers = longer;
    error = matcher_new(kind, name, value, &longer[at], &inner);
    if (error == ERR_INVALID)
        return diagnose(
            why, error,
            "silence invalid: invalid label matcher %zu: invalid regular expression "
            "\"%.*s\": %s",
            at, (int)(value.size > 64 ? 64 : value.size), (const char *)value.data, inner.text);
    if (error != 0)
        return error;
    silence->matcher_count++;
    return 0;
}

void silence_free(struct silence *silence)
{
    if (silence == NULL)
        return;
    for (size_t i = 0; i < silence->matcher_count; i++)
        matcher_free(silence->matchers[i]);
    free(silence->matchers);
    free(silence->created_by);
    free(silence->comment);
    free(silence);
}

int silence_check(const struct silence *silence, struct diagnosis *why)
{
    size_t size = strlen(silence->created_by) + strlen(silence->comment);
    bool selects = false;

    for (size_t i = 0; i < silence->matcher_count; i++) {
        size += silence->matchers[i]->name.size + silence->matchers[i]->value.size;
        selects = selects || !matcher_matches_empty(silence->matchers[i]);
    }
    if (silence->matcher_count == 0)
        return diagnose(why, ERR_INVALID, "silence invalid: at least one matcher required");
    if (!selects)
        return diagnose(why, ERR_INVALID,
                        "silence invalid: at least one matcher must not match "
                        "the empty string");
    if (silence->ends_ms <= silence->starts_ms)
        return diagnose(why, ERR_INVALID,
                        "silence invalid: end time must not be before start time");
    if (size > SILENCE_BYTES_MAX)
        return diagnose(why, ERR_LIMIT,
                        "silence exceeded maximum size: %zu bytes (limit: %zu "
                        "bytes)",
                        size, SILENCE_BYTES_MAX);
    return 0;
}

enum silence_state silence_state(const struct silence *silence, int64_t now_ms)
{
    if (now_ms >= silence->ends_ms)
        return SILENCE_EXPIRED;
    return now_ms < silence->starts_ms ? SILENCE_PENDING : SILENCE_ACTIVE;
}

const char *silence_state_text(enum silence_state state)
{
    static const char *const texts[] = {"pending", "active", "expired"};
    return texts[state];
}

bool silence_matches(const struct silence *silence, const struct labels *labels)
{
    return matchers_match(silence->matchers, silence->matcher_count, labels);
}

bool silence_is_update(const struct silence *old, const struct silence *fresh, int64_t now_ms)
{
    if (!matchers_equal(old->matchers, old->matcher_count, fresh->matchers,
                        fresh->matcher_count))
        return false;
    switch (silence_state(old, now_ms)) {
    case SILENCE_PENDING:
        return fresh->starts_ms >= now_ms;
    case SILENCE_ACTIVE: /* clients show, and send back, whole seconds */
        return fresh->starts_ms / 1000 == old->starts_ms / 1000 && fresh->ends_ms >= now_ms;
    case SILENCE_EXPIRED:
        break;
    }
    return false;
}

int silence_make_id(char id[SILENCE_ID_BYTES])
{
    uint8_t b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return ERR_IO;
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40); /* RFC 4122: version 4, */
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80); /* variant 1 */
    (void)snprintf(id, SILENCE_ID_BYTES,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                   b[13], b[14], b[15]);
    return 0;
}

/* ---- rows -------------------------------------------------------------------------------- */

void silence_write(const struct silence *silence, struct buf *out)
{
    buf_put_u8(out, SILENCE_ROW_VERSION);
    buf_put_zigzag(out, silence->starts_ms);
    buf_put_zigzag(out, silence->ends_ms);
    buf_put_zigzag(out, silence->updated_ms);
    buf_put_sized(out, bytes_of(silence->created_by));
    buf_put_sized(out, bytes_of(silence->comment));
    buf_put_varint(out, silence->matcher_count);
    for (size_t i = 0; i < silence->matcher_count; i++) {
        buf_put_u8(out, (uint8_t)silence->matchers[i]->kind);
        buf_put_sized(out, silence->matchers[i]->name);
        buf_put_sized(out, silence->matchers[i]->value);
    }
}

static int read_matchers(struct reader *reader, struct silence *silence)
{
    uint64_t count = reader_varint(reader);
    int error = count == 0 || count > SILENCE_MATCHERS_MAX ? ERR_CORRUPT : 0;
    for (uint64_t i = 0; error == 0 && i < count; i++) {
        uint8_t kind = reader_u8(reader);
        struct bytes name = reader_sized(reader), value = reader_sized(reader);
        if (reader->failed || kind > MATCH_NOT_REGEX)
            return ERR_CORRUPT;
        error = silence_add_matcher(silence, (enum matcher_kind)kind, name, value, NULL);
        error = error == 0 || error == ERR_NOMEM ? error : ERR_CORRUPT;
    }
    return error;
}

int silence_read(const char *id, struct bytes row, struct silence **ret_silence)
{
    struct reader reader = reader_of(row);
    struct silence *silence;
    int error;

    if (reader_u8(&reader) != SILENCE_ROW_VERSION || strlen(id) != SILENCE_ID_BYTES - 1)
        return ERR_CORRUPT;
    silence = calloc(1, sizeof *silence);
    if (silence == NULL)
        return ERR_NOMEM;
    memcpy(silence->id, id, SILENCE_ID_BYTES);
    silence->starts_ms = reader_zigzag(&reader);
    silence->ends_ms = reader_zigzag(&reader);
    silence->updated_ms = reader_zigzag(&reader);
    silence->created_by = bytes_copy_text(reader_sized(&reader));
    silence->comment = bytes_copy_text(reader_sized(&reader));
    error = silence->created_by == NULL || silence->comment == NULL ? ERR_NOMEM : 0;
    if (error == 0)
        error = read_matchers(&reader, silence);
    if (error == 0 && (reader.failed || reader_left(&reader) != 0))
        error = ERR_CORRUPT;
    if (error != 0) {
        silence_free(silence);
        return error;
    }
    *ret_silence = silence;
    return 0;
}

/* ---- all of them ------------------------------------------------------------------------- */

/* Where the id is, or where it would go. */
static size_t place_of(const struct silences *silences, const char *id)
{
    size_t low = 0, high = silences->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(silences->items[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct silence *silences_find(const struct silences *silences, const char *id)
{
    size_t at = place_of(silences, id);
    return at < silences->count && strcmp(silences->items[at]->id, id) == 0
               ? silences->items[at]
               : NULL;
}

int silences_reserve(struct silences *silences)
{
    size_t capacity = silences->capacity == 0 ? 16 : silences->capacity * 2;
    struct silence **longer;
    if (silences->count < silences->capacity)
        return 0;
    longer = realloc(silences->items, capacity * sizeof(struct silence *));
    if (longer == NULL)
        return ERR_NOMEM;
    silences->items = longer;
    silences->capacity = capacity;
    return 0;
}

void silences_put(struct silences *silences, struct silence *silence)
{
    size_t at = place_of(silences, silence->id);
    silences->version++;
    if (at < silences->count && strcmp(silences->items[at]->id, silence->id) == 0) {
        silence_free(silences->items[at]);
        silences->items[at] = silence;
        return;
    }
    must(silences->count < silences->capacity);
    memmove(&silences->items[at + 1], &silences->items[at],
            (silences->count - at) * sizeof(struct silence *));
    silences->items[at] = silence;
    silences->count++;
}

void silences_remove(struct silences *silences, const char *id)
{
    size_t at = place_of(silences, id);
    if (at == silences->count || strcmp(silences->items[at]->id, id) != 0)
        return;
    silences->version++;
    silence_free(silences->items[at]);
    silences->count--;
    memmove(&silences->items[at], &silences->items[at + 1],
            (silences->count - at) * sizeof(struct silence *));
}

void silences_free(struct silences *silences)
{
    for (size_t i = 0; i < silences->count; i++)
        silence_free(silences->items[i]);
    free(silences->items);
    *silences = (struct silences){0};
}

/* ---- what mutes one alert ---------------------------------------------------------------- */

int muting_refresh(struct muting *muting, const struct silences *silences,
                   const struct labels *labels, int64_t now_ms)
{
    const struct silence **found = NULL;
    size_t count = 0;

    if (muting->version == silences->version + 1)
        return 0;
    for (size_t i = 0; i < silences->count; i++) {
        const struct silence *silence = silences->items[i];
        if (silence_state(silence, now_ms) == SILENCE_EXPIRED ||
            !silence_matches(silence, labels))
            continue;
        if ((count & (count - 1)) == 0) { /* 0, 1, 2, 4, ... are full */
            const struct silence **longer =
                realloc(found, (count == 0 ? 1 : count * 2) * sizeof(struct silence *));
            if (longer == NULL) {
                free(found);
                return ERR_NOMEM;
            }
            found = longer;
        }
        found[count++] = silence;
    }
    free(muting->silences);
    *muting = (struct muting){silences->version + 1, found, count};
    return 0;
}

bool muting_is_active(const struct muting *muting, int64_t now_ms)
{
    for (size_t i = 0; i < muting->count; i++)
        if (silence_state(muting->silences[i], now_ms) == SILENCE_ACTIVE)
            return true;
    return false;
}

void muting_done(struct muting *muting)
{
    free(muting->silences);
    *muting = (struct muting){0};
}
