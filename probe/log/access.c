/*
 * access.c - see access.h.
 */
#include "probe/log/access.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/log/gzip.h"
#include "probe/log/severity.h"
#include "proto/base/civil.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define OTHER        0
#define NO_RESULT    UINT8_MAX
#define METHOD_OTHER (ACCESS_METHODS - 1)
#define BACK_BYTES   ((size_t)64 << 10)
#define BACK_MOST    ((uint64_t)16 << 20) /* some milliseconds */
#define CELL_SLOTS   (sizeof((struct access *)0)->cell_slots / sizeof(uint16_t))

enum { SEVERITY_OF_ERROR = 4, SEVERITY_OF_WARNING = 5, SEVERITY_OF_INFO = 7 };

_Static_assert(ACCESS_CELLS_MAX + ACCESS_VHOSTS_MAX + 1 < CELL_SLOTS / 2, "slots stay free");
_Static_assert(BACK_BYTES <= GZIP_WINDOW_BYTES, "a look fits the window");
_Static_assert(ACCESS_RESULTS_MAX < NO_RESULT, "any result fits");

/* Prometheus's usual ones, and two for proxies and slow reports. */
const double access_bounds[ACCESS_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                              1,     2.5,  5,     10,   30,  60};

static const char *const methods[ACCESS_METHODS] = {
    "", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "other"};

const char *access_method_name(size_t method)
{
    return methods[method];
}

void access_settings_clear(struct access_settings *settings)
{
    for (size_t i = 0; i < settings->vhost_count; i++)
        free(settings->vhosts[i]);
    free(settings->vhosts);
    free(settings->vhost);
    *settings = (struct access_settings){0};
}

/* ---- the tables ------------------------------------------------------------------------- */

/* Where the cell is, or would be. */
static size_t slot_of(const struct access *access, size_t vhost, size_t method, uint32_t status)
{
    size_t at = ((vhost * ACCESS_METHODS + method) * 1021 + status * 37) % CELL_SLOTS;
    for (; access->cell_slots[at] != 0; at = (at + 1) % CELL_SLOTS) {
        const struct access_cell *cell = &access->cells[access->cell_slots[at] - 1];
        if (cell->vhost == vhost && cell->method == method && cell->status == status)
            break;
    }
    return at;
}

static size_t add_cell(struct access *access, size_t slot, size_t vhost, size_t method,
                       uint32_t status)
{
    size_t index = access->cell_count++;
    access->cells[index] = (struct access_cell){
        .vhost = (uint8_t)vhost, .method = (uint8_t)method, .status = (uint16_t)status};
    access->cell_slots[slot] = (uint16_t)(index + 1);
    return index;
}

static size_t find_cell(struct access *access, size_t vhost, size_t method, uint32_t status)
{
    size_t slot = slot_of(access, vhost, method, status);
    if (access->cell_slots[slot] != 0)
        return access->cell_slots[slot] - (size_t)1;
    if (access->cell_count < ACCESS_CELLS_MAX)
        return add_cell(access, slot, vhost, method, status);
    /* Each host has one place for all that came too late. */
    slot = slot_of(access, vhost, METHOD_OTHER, 0);
    return access->cell_slots[slot] != 0 ? access->cell_slots[slot] - (size_t)1
                                         : add_cell(access, slot, vhost, METHOD_OTHER, 0);
}

static size_t method_of(struct bytes name)
{
    for (size_t i = 0; i < METHOD_OTHER; i++)
        if (bytes_equal(name, bytes_of(methods[i])))
            return i;
    return METHOD_OTHER;
}

static size_t add_vhost(struct access *access, const char *name, const char *label)
{
    struct access_vhost *vhost = calloc(1, sizeof *vhost);
    if (vhost == NULL)
        return OTHER;
    memcpy(vhost->name, name, strlen(name) + 1);
    memcpy(vhost->label, label, strlen(label) + 1);
    access->vhosts[access->vhost_count] = vhost;
    return access->vhost_count++;
}

/* In lower case and without its port; false: no name of a host. */
static bool clean_name(struct bytes text, char name[ACCESS_NAME_BYTES])
{
    size_t size = 0;
    if (text.size >= ACCESS_NAME_BYTES)
        return false;
    for (; size < text.size; size++) {
        uint8_t byte = text.data[size];
        if (!isalnum(byte) && strchr(".-_:[]", byte) == NULL)
            return false;
        name[size] = (char)tolower(byte);
    }
    name[size] = '\0';
    char *colon = strrchr(name, ':');
    if (colon != NULL && colon[1] != '\0' &&
        strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
        (strchr(name, ':') == colon || colon[-1] == ']'))
        *colon = '\0';
    return true;
}

static bool is_wanted(const struct access_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->vhost_count; i++)
        if (strcmp(settings->vhosts[i], name) == 0)
            return true;
    return settings->vhost_count == 0;
}

static size_t find_vhost(struct access *access, struct bytes text,
                         const struct redaction *redaction, const struct redact_key *key)
{
    char name[ACCESS_NAME_BYTES], label[ACCESS_NAME_BYTES];
    uint64_t counts[REDACT_KIND_COUNT] = {0};
    if (access->settings->vhost != NULL)
        text = bytes_of(access->settings->vhost);
    if (!clean_name(text, name))
        return OTHER;
    for (size_t i = 1; i < access->vhost_count; i++)
        if (strcmp(access->vhosts[i]->name, name) == 0)
            return i;
    if (access->vhost_count > ACCESS_VHOSTS_MAX ||
        (access->settings->vhost == NULL && name[0] != '\0' &&
         !is_wanted(access->settings, name)))
        return OTHER;
    memcpy(label, name, sizeof label);
    redact(redaction, key, (uint8_t *)label, strlen(label), counts);
    return add_vhost(access, name, label);
}

static size_t find_result(struct access *access, struct bytes text)
{
    if (text.size == 0)
        return NO_RESULT;
    for (size_t i = 1; i < access->result_count; i++)
        if (bytes_equal(text, bytes_of(access->results[i].name)))
            return i;
    if (access->result_count > ACCESS_RESULTS_MAX || text.size >= ACCESS_RESULT_BYTES)
        return OTHER;
    for (size_t i = 0; i < text.size; i++)
        if (!isalpha(text.data[i]) && text.data[i] != '_')
            return OTHER;
    memcpy(access->results[access->result_count].name, text.data, text.size);
    return access->result_count++;
}

int access_new(const struct access_settings *settings, struct access **ret_access)
{
    struct access *access = calloc(1, sizeof *access);
    if (access == NULL)
        return ERR_NOMEM;
    access->settings = settings;
    access->format = settings->format;
    access->columns_offset = UINT64_MAX;
    (void)add_vhost(access, "other", "other");
    if (access->vhost_count == 0) {
        access_free(access);
        return ERR_NOMEM;
    }
    memcpy(access->results[OTHER].name, "other", sizeof "other");
    access->result_count = 1;
    *ret_access = access;
    return 0;
}

void access_free(struct access *access)
{
    if (access == NULL)
        return;
    for (size_t i = 0; i < access->vhost_count; i++)
        free(access->vhosts[i]);
    free(access);
}

/* ---- hits ------------------------------------------------------------------------------- */

static uint32_t severity_of_status(uint32_t status)
{
    return status >= 500   ? SEVERITY_OF_ERROR
           : status >= 400 ? SEVERITY_OF_WARNING
           : status > 0    ? SEVERITY_OF_INFO
                           : 0;
}

uint32_t access_take(struct access *access, struct bytes line,
                     const struct redaction *redaction, const struct redact_key *key)
{
    struct access_hit hit;
    must(access_has_room(access));
    enum access_answer answer = access_format_line(&access->format, line, &hit);
    if (answer == ACCESS_COMMENT && access->format.has_columns)
        (void)access_format_columns(&access->format, line);
    access->pending_bad += answer == ACCESS_BAD;
    if (answer != ACCESS_HIT)
        return 0;
    size_t vhost = find_vhost(access, hit.vhost, redaction, key);
    size_t cell = find_cell(access, vhost, method_of(hit.method), hit.status);
    /* A time of day without its date is none. */
    if (hit.ts_ms >= CIVIL_DAY_MS && hit.ts_ms > access->pending_last_ms)
        access->pending_last_ms = hit.ts_ms;
    access->pending[access->pending_count++] =
        (struct access_pending){.cell = (uint16_t)cell,
                                .vhost = (uint8_t)vhost,
                                .result = (uint8_t)find_result(access, hit.result),
                                .seconds = hit.seconds,
                                .upstream_seconds = hit.upstream_seconds,
                                .sent_bytes = hit.sent_bytes,
                                .received_bytes = hit.received_bytes};
    return severity_of_status(hit.status);
}

bool access_has_room(const struct access *access)
{
    return access->pending_count < ACCESS_PENDING_MAX;
}

static void add_duration(struct access_durations *durations, double seconds)
{
    size_t bucket = 0;
    if (seconds < 0)
        return;
    while (bucket < ACCESS_BUCKETS && seconds > access_bounds[bucket])
        bucket++;
    durations->buckets[bucket]++;
    durations->sum_seconds += seconds;
    durations->count++;
}

void access_commit(struct access *access)
{
    for (size_t i = 0; i < access->pending_count; i++) {
        const struct access_pending *hit = &access->pending[i];
        struct access_vhost *vhost = access->vhosts[hit->vhost];
        access->cells[hit->cell].count++;
        if (hit->result != NO_RESULT)
            access->results[hit->result].count++;
        vhost->sent_bytes += hit->sent_bytes;
        vhost->received_bytes += hit->received_bytes;
        add_duration(&vhost->request, hit->seconds);
        add_duration(&vhost->upstream, hit->upstream_seconds);
    }
    access->bad += access->pending_bad;
    access->last_ms = access->pending_last_ms;
    access->pending_count = 0;
    access->pending_bad = 0;
}

void access_rollback(struct access *access)
{
    access->pending_count = 0;
    access->pending_bad = 0;
    access->pending_last_ms = access->last_ms;
    access->columns_offset = UINT64_MAX; /* columns of lines that stay may be taken already */
}

/* ---- columns ---------------------------------------------------------------------------- */

/* The last #Fields line that begins in the text. */
static bool take_last_columns(struct access *access, struct bytes text, bool is_start)
{
    static const char mark[] = "\n#Fields:";
    const uint8_t *last = NULL, *at = text.data;
    if (is_start && text.size >= sizeof mark - 2 &&
        memcmp(text.data, mark + 1, sizeof mark - 2) == 0)
        last = text.data;
    while (text.size > 0 && (at = memmem(at, text.size - (size_t)(at - text.data), mark,
                                         sizeof mark - 1)) != NULL)
        last = ++at;
    if (last == NULL)
        return false;
    size_t left = text.size - (size_t)(last - text.data);
    const uint8_t *end = memchr(last, '\n', left);
    return end != NULL &&
           access_format_columns(&access->format, (struct bytes){last, (size_t)(end - last)});
}

static ssize_t read_at(int fd, uint8_t *to, size_t size, uint64_t offset)
{
    ssize_t got;
    do
        got = pread(fd, to, size, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got;
}

/* The first bytes of the file, or of what was compressed to it. */
static size_t read_first(int fd, bool is_gzip, uint8_t *to, size_t size)
{
    size_t got = 0;
    if (is_gzip)
        return gzip_first(fd, to, size, &got) == 0 ? got : 0;
    ssize_t plain = read_at(fd, to, size, 0);
    return plain > 0 ? (size_t)plain : 0;
}

void access_look_back(struct access *access, int fd, bool is_gzip, uint64_t order,
                      uint64_t offset)
{
    /* A line of columns may lie across two looks: they overlap. */
    static const size_t overlap = 4096;
    if (!access->format.has_columns ||
        (access->columns_order == order && access->columns_offset == offset))
        return;
    access->columns_order = order;
    access->columns_offset = offset;
    access->format = access->settings->format;
    uint8_t *text = fd < 0 || offset == 0 ? NULL : malloc(BACK_BYTES);
    if (text == NULL)
        return;
    bool is_found = false;
    uint64_t end = offset;
    while (!is_gzip && !is_found && end > 0 && offset - end < BACK_MOST) {
        uint64_t start = end > BACK_BYTES ? end - BACK_BYTES : 0;
        ssize_t got = read_at(fd, text, (size_t)(end - start), start);
        if (got <= 0)
            break;
        is_found = take_last_columns(access, (struct bytes){text, (size_t)got}, start == 0);
        end = start == 0 ? 0 : start + overlap;
    }
    size_t got = is_found ? 0 : read_first(fd, is_gzip, text, BACK_BYTES);
    if (got > offset)
        got = (size_t)offset;
    (void)take_last_columns(access, (struct bytes){text, got}, true);
    free(text);
}
