/*
 * silence.c - what the collector saw of a host at the time: up, and "absent since".
 *
 * A stream is silent when nothing of it was stored for three of its intervals, and at least
 * 3.4 seconds: a beat that a dead link loses is sent again every fifth of a second
 * (probe/link.c), so two seconds without a link are no silence of a probe that beats every
 * second, once its connection has lost something: before that, TCP doubles the time.  Then the
 * time of its last tick is handed to the store, which shows a stale marker behind the last
 * sample of each of its series until later samples arrive.  `up` is written at the probe's
 * interval and never rewritten: 1 heard, 0 silent.  What has come and is not stored yet, because
 * the disk is slow, is no silence.
 *
 * A tick is news to its own stream only: a host whose clock was years ahead starts a new epoch
 * when it has been set right, and is heard although its ticks are older than the last ones.
 *
 * After a restart of the collector nobody has been heard; every stream gets the same grace
 * before it counts as silent, and no `up` is written for it until then.  The series of a host
 * that does not come back are told whose they are when it is found silent, a few hosts a turn.
 */
#include <endian.h>
#include <stdlib.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define MISSED_INTERVALS 3
#define SILENCE_MS_MIN   3400
#define UP_SAMPLES_MAX   4096
#define TURN_NS          ((mono_ns)100 * NS_PER_MS) /* for loading the series of the silent */

struct up_write {
    struct store_write write;
    struct store_sample samples[UP_SAMPLES_MAX];
    struct ingest *ingest;
};

struct walk {
    struct ingest *ingest;
    mono_ns now;
    int64_t now_ms;
    struct up_write *up;
    bool awaits; /* somebody's backlog */
    mono_ns next_silent;
};

static int64_t patience_ms(const struct key_entry *entry)
{
    int64_t ms = MISSED_INTERVALS * entry->interval_ms;
    return ms < SILENCE_MS_MIN ? SILENCE_MS_MIN : ms;
}

/* -- after a restart ------------------------------------------------------------------------ */

static int load_row(void *context, struct bytes key, struct bytes value)
{
    struct ingest *ingest = context;
    struct reader reader = reader_of(value);
    if (key.size != STREAM_KEY_BYTES - 8 || key.data[key.size - 1] != STREAM_NUMBERS)
        return 0;
    struct key_entry *entry = keys_find(&ingest->keys, key.data + 7);
    (void)reader_u8(&reader);
    int64_t last_tick_ms = reader_zigzag(&reader);
    if (entry != NULL && !reader.failed && last_tick_ms > entry->last_tick_ms) {
        uint64_t epoch;
        memcpy(&epoch, key.data + 7 + CURVE_KEY_BYTES, sizeof epoch);
        entry->last_tick_ms = last_tick_ms;
        entry->last_epoch = be64toh(epoch);
        entry->is_unclaimed = true;
        if (last_tick_ms > ingest->went_down_ms &&
            last_tick_ms <= clock_unix_ms(ingest->clock))
            ingest->went_down_ms = last_tick_ms;
    }
    return 0;
}

/* The store shows a host's silence on the series that it knows to be the host's. */
static void claim_series(struct ingest *ingest, struct key_entry *entry)
{
    struct stream *stream;
    entry->is_unclaimed = false;
    if (stream_load(ingest->store, entry->key, entry->last_epoch, &stream) != 0)
        return;
    for (uint64_t ref = 0; ref < stream->definition_count; ref++)
        if (stream->series[ref] != NULL)
            store_series_set_source(stream->series[ref], entry->source);
    stream_free(ingest->store, stream);
}

void silence_load(struct ingest *ingest)
{
    (void)store_state_scan(ingest->store, bytes_of("stream/"), load_row, ingest);
}

/* -- hearing -------------------------------------------------------------------------------- */

void silence_heard(struct ingest *ingest, struct key_entry *entry, int64_t tick_ms)
{
    if (tick_ms > entry->last_tick_ms)
        entry->last_tick_ms = tick_ms;
    entry->heard_mono_ns = clock_mono(ingest->clock);
    if (entry->absent) {
        entry->absent = false;
        store_set_absent(ingest->store, entry->source, 0);
        log_info("ingest", "%s is heard again", entry->instance);
    }
}

static void resolve_up(struct ingest *ingest, struct key_entry *entry)
{
    static const struct metadata metadata = {.type = METRIC_GAUGE};
    struct label pairs[SERIES_LABELS_MAX + 3];
    const struct labels *labels;
    size_t count = 0;
    pairs[count++] = (struct label){bytes_of(LABEL_NAME), bytes_of("up")};
    pairs[count++] = (struct label){bytes_of("job"), bytes_of(entry->job)};
    pairs[count++] = (struct label){bytes_of("instance"), bytes_of(entry->instance)};
    for (size_t i = 0; i < entry->label_count; i++)
        pairs[count++] = entry->labels[i];
    arena_reset(&ingest->scratch);
    if (labels_build(pairs, count, &ingest->scratch, &labels) == 0)
        (void)store_series_resolve(ingest->store, labels, &metadata, &entry->up);
    if (entry->up != NULL)
        store_series_set_source(entry->up, ~entry->source); /* it outlives the silence */
}

void silence_retire(struct ingest *ingest, const struct key_entry *entry, bool is_retired)
{
    const int64_t since_ms = is_retired ? STORE_RETIRED_MS : 0;
    store_set_absent(ingest->store, entry->source, since_ms);
    store_set_absent(ingest->store, ~entry->source, since_ms);
}

/* -- the timer ------------------------------------------------------------------------------ */

static void up_written(struct store_write *write, int error)
{
    struct up_write *up = write->context;
    struct rules *rules = up->ingest->rules;
    if (error == 0 && rules != NULL)
        rules_touch_without_witness(rules, write->samples, write->sample_count);
    free(up);
}

static void write_up(struct walk *walk, struct key_entry *entry)
{
    if (walk->now < entry->up_due_mono_ns)
        return;
    if (entry->up == NULL)
        resolve_up(walk->ingest, entry);
    if (walk->up == NULL) {
        walk->up = calloc(1, sizeof *walk->up);
        if (walk->up == NULL)
            return;
        walk->up->ingest = walk->ingest;
    }
    struct store_write *write = &walk->up->write;
    if (entry->up == NULL || write->sample_count == UP_SAMPLES_MAX)
        return; /* the next timer takes the rest */
    walk->up->samples[write->sample_count++] =
        (struct store_sample){entry->up, walk->now_ms, entry->absent ? 0 : 1};
    entry->up_due_mono_ns = walk->now + (mono_ns)entry->interval_ms * NS_PER_MS;
}

/* The newest batch comes first, so a host that has more has a hole in its numbers. */
static bool has_delivered(const struct key_entry *entry)
{
    if (entry->session == NULL)
        return false;
    for (const struct stream *at = entry->session->streams; at != NULL; at = at->next)
        if (at->stored.count > 0)
            return false;
    return true;
}

/* Has it something to tell of the time when the collector was down?  Not if it was silent before
 * that, nor once it has delivered. */
static bool is_awaited(const struct ingest *ingest, const struct key_entry *entry,
                       bool heard_since_start)
{
    if (heard_since_start)
        return !entry->absent && !has_delivered(entry);
    return entry->last_tick_ms >= ingest->went_down_ms - patience_ms(entry) &&
           entry->last_tick_ms != 0;
}

/* Batches of it have come and wait for the disk, which may take seconds for a sync: then it is
 * the probe's last word that counts, and a host that has died meanwhile is still found. */
static bool waits_for_store(const struct session *session)
{
    for (const struct stream *at = session->streams; at != NULL; at = at->next)
        if ((at->flying != NULL && at->flying->batch_count > 0) ||
            (at->gathering != NULL && at->gathering->batch_count > 0))
            return true;
    return false;
}

static void look_at(void *context, struct key_entry *entry)
{
    struct walk *walk = context;
    if (entry->standing != KEY_APPROVED)
        return;
    mono_ns heard = entry->heard_mono_ns;
    bool heard_since_start = heard > walk->ingest->started_mono;
    if (heard < walk->ingest->started_mono)
        heard = walk->ingest->started_mono;
    if (walk->ingest->store_refuses && entry->session != NULL)
        heard = walk->now; /* it speaks; it is we who do not store */
    else if (entry->session != NULL && entry->session->heard_mono > heard &&
             waits_for_store(entry->session))
        heard = entry->session->heard_mono;
    const mono_ns silent_from = heard + (mono_ns)patience_ms(entry) * NS_PER_MS;
    bool silent = walk->now >= silent_from;
    if (!silent && silent_from < walk->next_silent)
        walk->next_silent = silent_from;
    if (silent && !entry->absent && entry->is_unclaimed) {
        if (clock_mono(walk->ingest->clock) - walk->now > TURN_NS)
            return; /* a turn must not keep batches waiting; the next goes on */
        claim_series(walk->ingest, entry);
    }
    if (silent && !entry->absent) {
        entry->absent = true;
        store_set_absent(walk->ingest->store, entry->source,
                         entry->last_tick_ms > 0 ? entry->last_tick_ms : 1);
        entry->up_due_mono_ns = 0;
        log_warn("ingest", "%s has gone silent; its last tick is %lld", entry->instance,
                 (long long)entry->last_tick_ms);
    }
    if (!walk->ingest->told_delivered)
        walk->awaits = walk->awaits || is_awaited(walk->ingest, entry, heard_since_start);
    if (entry->absent || heard_since_start)
        write_up(walk, entry);
}

mono_ns silence_timer(struct ingest *ingest, mono_ns now)
{
    const int64_t now_ms =
        ingest->rules != NULL ? rules_now_ms(ingest->rules) : clock_unix_ms(ingest->clock);
    struct walk walk = {ingest, now, now_ms, NULL, false, UINT64_MAX};
    keys_each(&ingest->keys, look_at, &walk);
    if (!walk.awaits && !ingest->told_delivered && ingest->rules != NULL) {
        ingest->told_delivered = true;
        rules_set_delivered(ingest->rules);
    }
    if (walk.up == NULL)
        return walk.next_silent;
    if (walk.up->write.sample_count == 0) {
        free(walk.up);
        return walk.next_silent;
    }
    walk.up->write.samples = walk.up->samples;
    walk.up->write.done = up_written;
    walk.up->write.context = walk.up;
    walk.up->write.is_essential = true;
    if (store_write_submit(ingest->store, &walk.up->write) != 0)
        free(walk.up);
    return walk.next_silent;
}
