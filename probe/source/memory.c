/*
 * memory.c - what memory is used for, in the kernel's own words.
 *
 *     $ cat /proc/meminfo
 *     MemTotal:        3742148 kB      -> node_memory_MemTotal_bytes
 *     Active(anon):    2020004 kB      -> node_memory_Active_anon_bytes
 *     HugePages_Total:       0         -> node_memory_HugePages_Total (pages, no unit)
 *
 * Every line becomes a series, whatever its name: kernels keep adding some.  "kB" means 1024.
 *
 * MemAvailable came with 3.14 (and RHEL 6.6 behind a sysctl).  Without it dashboards stay
 * blank, so on older kernels it is estimated from what they do have, and the estimate is named
 * as such:
 *
 *     MemFree + Buffers + Cached + SReclaimable - Shmem - vm.min_free_kbytes, never below 0
 *
 * Shmem counts as Cached but cannot be dropped; min_free is what the kernel keeps for itself.
 */
#include <stdio.h>

#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define FIELDS_MAX      256
#define FIELD_BYTES_MAX 48 /* the longest name so far has 18; longer lines are passed over */
#define NAME_PREFIX     "node_memory_"
#define HELP_PREFIX     "Memory information field "
#define UNIT_SUFFIX     "_bytes"
#define BYTES_A_KB      1024.0

static const struct metric available = {"node_memory_MemAvailable_bytes", METRIC_GAUGE,
                                        "Memory information field MemAvailable_bytes.", NULL};
static const struct metric estimated = {
    "node_memory_MemAvailable_estimated", METRIC_GAUGE,
    "1 where the kernel has no MemAvailable and it is estimated from other fields.", NULL};

/* What the estimate is made of, in this order. */
enum part { PART_FREE, PART_BUFFERS, PART_CACHED, PART_RECLAIMABLE, PART_SHMEM, PARTS };
static const char *const part_names[PARTS] = {"MemFree", "Buffers", "Cached", "SReclaimable",
                                              "Shmem"};

/* One line of the file; the metric is made from its name. */
struct field {
    series_handle handle;
    int part; /* enum part, or -1 */
    bool is_available;
    struct metric metric;
    char name[sizeof NAME_PREFIX + FIELD_BYTES_MAX + sizeof UNIT_SUFFIX];
    char help[sizeof HELP_PREFIX + FIELD_BYTES_MAX + sizeof UNIT_SUFFIX + 1];
};

struct memory_state {
    struct procfile file;
    struct procfile min_free;
    struct readbuf text;
    struct tracked fields; /* of struct field, by the text before the colon */
    series_handle available, estimated;
};

static int memory_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct memory_state *memory = state;
    memory->fields.value_bytes = sizeof(struct field);
    memory->fields.limit = FIELDS_MAX;
    memory->available = memory->estimated = SERIES_NONE;
    int error = procfile_open(&memory->file, env->procfs, "meminfo");
    if (error != 0)
        return error;
    /* Without it there is no estimate; newer kernels do not need one. */
    (void)procfile_open(&memory->min_free, env->procfs, "sys/vm/min_free_kbytes");
    return 0;
}

/* "Active(anon)" as "Active_anon"; any other character that names may not hold as "_". */
static size_t field_name(struct bytes key, char name[FIELD_BYTES_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < key.size && size < FIELD_BYTES_MAX; i++) {
        char c = (char)key.data[i];
        bool is_fit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      (c >= '0' && c <= '9') || c == '_';
        if (is_fit)
            name[size++] = c;
        else if (c != ')')
            name[size++] = '_';
    }
    return size;
}

static void field_register(struct field *field, struct bytes key, bool is_kb,
                           struct emitter *out)
{
    char name[FIELD_BYTES_MAX];
    int size = (int)field_name(key, name);
    const char *unit = is_kb ? UNIT_SUFFIX : "";
    snprintf(field->name, sizeof field->name, "%s%.*s%s", NAME_PREFIX, size, name, unit);
    snprintf(field->help, sizeof field->help, "%s%.*s%s.", HELP_PREFIX, size, name, unit);
    field->metric = (struct metric){field->name, METRIC_GAUGE, field->help, NULL};
    field->handle = series_plain(out, &field->metric);
    field->part = -1;
    for (int part = 0; part < PARTS; part++)
        if (bytes_equal(key, bytes_of(part_names[part])))
            field->part = part;
    field->is_available = bytes_equal(key, bytes_of("MemAvailable"));
}

static void emit_estimate(struct memory_state *memory, const double parts[PARTS],
                          struct emitter *out)
{
    struct span text;
    uint64_t min_free_kb;
    if (procfile_read(&memory->min_free, &memory->text, &text) != 0 ||
        !scan_u64(&text, &min_free_kb))
        return;
    double value = parts[PART_FREE] + parts[PART_BUFFERS] + parts[PART_CACHED] +
                   parts[PART_RECLAIMABLE] - parts[PART_SHMEM] -
                   (double)min_free_kb * BYTES_A_KB;
    if (memory->available == SERIES_NONE)
        memory->available = series_plain(out, &available);
    if (memory->estimated == SERIES_NONE)
        memory->estimated = series_plain(out, &estimated);
    emit(out, memory->available, value > 0 ? value : 0);
    emit(out, memory->estimated, 1);
}

/* "Name:   123 kB"; false if the line is something else. */
static bool memory_line(struct span line, struct bytes *ret_key, double *ret_value,
                        bool *ret_is_kb)
{
    const char *colon = memchr(line.at, ':', span_size(line));
    uint64_t number;
    struct span unit;
    if (colon == NULL || colon == line.at || colon - line.at > FIELD_BYTES_MAX)
        return false;
    *ret_key = span_bytes((struct span){line.at, colon});
    line.at = colon + 1;
    if (!scan_u64(&line, &number))
        return false;
    *ret_is_kb = scan_word(&line, &unit) && span_is(unit, "kB");
    *ret_value = (double)number * (*ret_is_kb ? BYTES_A_KB : 1);
    return true;
}

static void field_gone(void *value, void *context)
{
    struct field *field = value;
    emitter_end(context, field->handle);
}

static int memory_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct memory_state *memory = state;
    struct span text, line;
    struct bytes key;
    double value, parts[PARTS] = {0};
    bool is_kb, is_new, has_any = false, has_available = false;
    int error = procfile_read(&memory->file, &memory->text, &text);
    if (error != 0)
        return error;

    tracked_begin(&memory->fields);
    while (scan_line(&text, &line)) {
        if (!memory_line(line, &key, &value, &is_kb))
            continue; /* 2.6 kernels and some vendors' have a table of other shape on top */
        has_any = true;
        struct field *field = tracked_touch(&memory->fields, key, &is_new);
        if (field == NULL)
            continue;
        if (is_new)
            field_register(field, key, is_kb, out);
        if (field->part >= 0)
            parts[field->part] = value;
        has_available |= field->is_available;
        emit(out, field->handle, value);
    }
    if (!has_any)
        return ERR_MALFORMED;
    tracked_sweep(&memory->fields, field_gone, out);
    if (!has_available)
        emit_estimate(memory, parts, out);
    return 0;
}

static void memory_stop(void *state)
{
    struct memory_state *memory = state;
    procfile_close(&memory->file);
    procfile_close(&memory->min_free);
    readbuf_done(&memory->text);
    tracked_done(&memory->fields, NULL, NULL);
}

const struct source source_memory = {
    .name = "memory",
    .summary = "memory by use, as /proc/meminfo names it",
    .state_bytes = sizeof(struct memory_state),
    .start = memory_start,
    .collect = memory_collect,
    .stop = memory_stop,
};
