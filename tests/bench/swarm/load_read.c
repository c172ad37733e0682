/*
 * load_read.c - a load from frame files: remote-write bodies taken apart again.
 *
 * A series is known by the bytes of its labels, which every frame repeats; a table finds probe
 * and ref for them.  Order within a file is the order of time for every series in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "tests/bench/kit/frames.h"
#include "tests/bench/kit/request.h"
#include "tests/bench/swarm/load_parts.h"

#define ARENA_BYTES ((size_t)4 << 30)
#define TABLE_START ((size_t)1 << 16)

struct known {
    uint64_t hash;
    struct bytes labels; /* data NULL: the slot is free */
    uint32_t probe, ref;
};

struct known_table {
    struct known *slots;
    size_t capacity, count;
};

/* Room for one more element in a growing array. */
static int grow(void *array, size_t count, size_t *capacity, size_t element_bytes)
{
    void **memory = array;
    if (count < *capacity)
        return 0;
    size_t more = *capacity == 0 ? 64 : *capacity + *capacity / 2;
    void *larger = reallocarray(*memory, more, element_bytes);
    if (larger == NULL)
        return ERR_NOMEM;
    *memory = larger;
    *capacity = more;
    return 0;
}

static struct known *table_slot(const struct known_table *table, uint64_t hash,
                                struct bytes labels)
{
    size_t i = hash & (table->capacity - 1);
    while (table->slots[i].labels.data != NULL &&
           (table->slots[i].hash != hash || !bytes_equal(table->slots[i].labels, labels)))
        i = (i + 1) & (table->capacity - 1);
    return &table->slots[i];
}

static int table_grow(struct known_table *table)
{
    struct known_table larger = {.capacity =
                                     table->capacity == 0 ? TABLE_START : 2 * table->capacity};
    if (table->count * 2 < table->capacity)
        return 0;
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].labels.data != NULL)
            *table_slot(&larger, table->slots[i].hash, table->slots[i].labels) =
                table->slots[i];
    larger.count = table->count;
    free(table->slots);
    *table = larger;
    return 0;
}

static int find_probe(struct load *load, struct bytes instance, uint32_t *ret_probe)
{
    /* Hosts come one after the other: the last one found is the likeliest. */
    for (size_t i = load->probe_count; i > 0; i--)
        if (bytes_equal(bytes_of(load->probes[i - 1].instance), instance)) {
            *ret_probe = (uint32_t)(i - 1);
            return 0;
        }
    if (instance.size == 0 || instance.size >= LOAD_INSTANCE_BYTES)
        return ERR_MALFORMED;
    void *probes = load->probes;
    int error = grow(&probes, load->probe_count, &load->probe_capacity, sizeof *load->probes);
    if (error != 0)
        return error;
    load->probes = probes;
    struct load_probe *probe = &load->probes[load->probe_count];
    memset(probe, 0, sizeof *probe);
    memcpy(probe->instance, instance.data, instance.size);
    *ret_probe = (uint32_t)load->probe_count++;
    return 0;
}

/* Takes the labels apart: name, identity, and what is the series' own. */
static int define(struct load *load, struct bytes coded, uint32_t *ret_probe, uint32_t *ret_ref)
{
    struct label labels[SERIES_LABELS_MAX];
    struct label label;
    struct definition definition = {.type = METRIC_UNKNOWN};
    struct bytes instance = {0};
    size_t count = 0;
    struct reader reader = reader_of(coded);

    while (request_next_label(&reader, &label)) {
        if (bytes_equal(label.name, bytes_of("__name__")))
            definition.name = label.value;
        else if (bytes_equal(label.name, bytes_of("instance")))
            instance = label.value;
        else if (!bytes_equal(label.name, bytes_of("job")) && count < SERIES_LABELS_MAX)
            labels[count++] = label;
    }
    int error = reader.failed ? ERR_MALFORMED : find_probe(load, instance, ret_probe);
    if (error != 0)
        return error;
    struct label *kept = arena_alloc(&load->arena, count == 0 ? 1 : count, sizeof *kept);
    if (kept == NULL)
        return ERR_NOMEM;
    memcpy(kept, labels, count * sizeof *kept);
    definition.labels = kept;
    definition.label_count = count;
    struct load_probe *probe = &load->probes[*ret_probe];
    void *items = probe->definitions;
    error =
        grow(&items, probe->definition_count, &probe->definition_capacity, sizeof definition);
    if (error != 0)
        return error;
    probe->definitions = items;
    *ret_ref = (uint32_t)probe->definition_count;
    probe->definitions[probe->definition_count++] = definition;
    return 0;
}

static int find_series(struct load *load, struct known_table *table, struct bytes labels,
                       const struct known **ret_known)
{
    uint64_t hash = XXH3_64bits(labels.data, labels.size);
    if (table_grow(table) != 0)
        return ERR_NOMEM;
    struct known *slot = table_slot(table, hash, labels);
    if (slot->labels.data == NULL) {
        uint8_t *copy = arena_alloc(&load->arena, labels.size, 1);
        if (copy == NULL)
            return ERR_NOMEM;
        memcpy(copy, labels.data, labels.size);
        struct known known = {.hash = hash, .labels = {copy, labels.size}};
        int error = define(load, known.labels, &known.probe, &known.ref);
        if (error != 0)
            return error;
        *slot = known;
        table->count++;
    }
    *ret_known = slot;
    return 0;
}

static int add_tick(struct load_probe *probe, int64_t ts_ms)
{
    void *times = probe->tick_ms, *firsts = probe->tick_first;
    size_t capacity = probe->tick_capacity;
    int error = grow(&times, probe->tick_count, &capacity, sizeof *probe->tick_ms);
    probe->tick_ms = times;
    if (error == 0)
        error =
            grow(&firsts, probe->tick_count, &probe->tick_capacity, sizeof *probe->tick_first);
    probe->tick_first = firsts;
    if (error != 0)
        return error;
    probe->tick_ms[probe->tick_count] = ts_ms;
    probe->tick_first[probe->tick_count++] = probe->sample_count;
    return 0;
}

static int add_sample(struct load_probe *probe, uint32_t ref, double value, int64_t ts_ms)
{
    int64_t last_ms =
        probe->tick_count == 0 ? INT64_MIN : probe->tick_ms[probe->tick_count - 1];
    bool is_new = ts_ms > last_ms;
    if (ts_ms < last_ms)
        return ERR_MALFORMED;
    int error = is_new ? add_tick(probe, ts_ms) : 0;
    void *refs = probe->refs, *values = probe->values;
    size_t capacity = probe->sample_capacity;
    if (error == 0)
        error = grow(&refs, probe->sample_count, &capacity, sizeof *probe->refs);
    probe->refs = refs;
    if (error == 0)
        error =
            grow(&values, probe->sample_count, &probe->sample_capacity, sizeof *probe->values);
    probe->values = values;
    if (error != 0)
        return error;
    probe->refs[probe->sample_count] = ref;
    probe->values[probe->sample_count++] = value;
    size_t samples = probe->sample_count - probe->tick_first[probe->tick_count - 1];
    if (samples > probe->samples_max)
        probe->samples_max = samples;
    return 0;
}

static int read_file(struct load *load, struct known_table *table, const char *path,
                     struct diagnosis *why)
{
    struct frames frames;
    struct frame frame;
    struct buf raw = {0};
    int error = frames_open(path, &frames, why);
    if (error != 0)
        return error;
    while (error == 0 && frames_next(&frames, &frame)) {
        struct request_sample sample;
        const struct known *known;
        error = request_uncompress(frame.body, &raw);
        struct reader reader = reader_of(buf_bytes(&raw));
        while (error == 0 && request_next(&reader, &sample)) {
            error = find_series(load, table, sample.labels, &known);
            if (error == 0)
                error = add_sample(&load->probes[known->probe], known->ref, sample.value,
                                   sample.ts_ms);
        }
        if (error == 0 && reader.failed)
            error = ERR_MALFORMED;
    }
    if (error != 0)
        error = diagnose(why, error, "%s, step %u: %s", path, (unsigned)frame.step,
                         error == ERR_MALFORMED ? "not remote-write bodies in the order of time"
                                                : error_text(error));
    frames_close(&frames);
    buf_done(&raw);
    return error;
}

int load_read(char *const *paths, size_t count, struct load **ret_load, struct diagnosis *why)
{
    struct known_table table = {0};
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    arena_init(&load->arena, ARENA_BYTES);
    int error = 0;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_file(load, &table, paths[i], why);
    free(table.slots);
    if (error == 0 && load->probe_count == 0)
        error = diagnose(why, ERR_MALFORMED, "no samples in these files");
    if (error != 0) {
        load_free(load);
        return error;
    }
    *ret_load = load;
    return 0;
}
