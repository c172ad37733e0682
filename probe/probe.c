#include "probe/probe.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "probe/definition.h"
#include "probe/host.h"
#include "probe/journal/journal.h"
#include "probe/log/log.h"
#include "probe/log/redact_key.h"
#include "probe/once.h"
#include "probe/scheduler.h"
#include "probe/self.h"
#include "probe/spool.h"
#include "probe/steer.h"
#include "probe/syslog/syslog.h"
#include "probe/transport.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/wire/plain.h"
#include "proto/wire/record.h"

#define PLAIN_BYTES_KEPT ((size_t)64 << 10)
#define EVENT_BYTES_MAX  ((size_t)64 << 10)
/* Until then a source may not have had its turn, and its series look as if they were gone. */
#define CROWDED_LEAST_NS ((mono_ns)600 * 1000 * 1000 * 1000)

struct probe {
    struct options *options;
    uv_loop_t *loop;
    mono_ns started;
    uint8_t boot_id[SPOOL_BOOT_ID_BYTES];
    struct curve_pair key;
    struct redact_key redact_key;
    bool has_redact_key; /* false: the log source makes one for this run */
    struct tick_clock ticks;
    struct spool *spool;
    struct emitter *emitter;
    struct scheduler *scheduler;
    struct transport *transport;
    struct buf plain;
    struct steer steer;
    uint64_t ticks_lost;
    bool is_failing; /* the spool takes nothing */
    bool step_was_told;
};

_Static_assert(HOST_BOOT_ID_BYTES == SPOOL_BOOT_ID_BYTES, "one boot id");

/* An event goes out with the next batch, as a record. */
static void add_event(void *context, const char *kind, const char *text)
{
    struct probe *probe = context;
    struct arena arena;
    struct buf coded = {0};
    struct wire_event event = {.kind = bytes_of(kind), .text = bytes_of(text)};

    arena_init(&arena, EVENT_BYTES_MAX);
    int error = record_encode_event(&event, &arena, &coded);
    if (error == 0)
        error = emitter_record_at(probe->emitter, RECORD_EVENT, tick_clock_now(&probe->ticks),
                                  buf_bytes(&coded));
    if (error != 0)
        log_warn("probe", "event %s could not be kept: %s", kind, error_text(error));
    buf_done(&coded);
    arena_reset(&arena);
}

static void take_policy(void *context, const struct policy_push *policy)
{
    struct probe *probe = context;
    if (steer_take(&probe->steer, policy, probe->scheduler, probe->emitter, add_event, probe))
        transport_policy(probe->transport, probe->steer.policy->version,
                         steer_fastest_interval(probe->options));
}

/* The tick's batch, or its next part, into the spool, definitions before it. */
static int keep_batch(struct probe *probe, uint64_t *ret_number)
{
    struct plain_batch batch;
    uint64_t first, count;

    struct bytes definitions = emitter_new_definitions(probe->emitter, &first, &count);
    if (count > 0) {
        int error = spool_add_definitions(probe->spool, first, count, definitions);
        if (error != 0)
            return error;
        emitter_definitions_kept(probe->emitter);
    }
    int error = emitter_seal(probe->emitter, &batch);
    if (error != 0)
        return error;
    buf_clear(&probe->plain);
    error = plain_write(&batch, &probe->plain);
    if (error != 0)
        return error;
    for (size_t i = 0; i < batch.late_count; i++)
        log_debug("probe", "late in the batch of tick %lld: %zu samples of %lld",
                  (long long)batch.tick_ms, batch.late[i].samples.count,
                  (long long)batch.late[i].ts_ms);
    log_debug("probe", "keeping the batch of tick %lld: %zu samples, %zu series ended",
              (long long)batch.tick_ms, batch.samples.count, batch.ended_count);
    return spool_append(probe->spool, batch.tick_ms, buf_bytes(&probe->plain),
                        emitter_changed_notes(probe->emitter), clock_unix_ms(&clock_system),
                        ret_number);
}

static void tell_clock_step(struct probe *probe)
{
    char text[160];
    if (!probe->ticks.is_held)
        probe->step_was_told = false;
    if (!probe->ticks.is_held || probe->step_was_told)
        return;
    probe->step_was_told = true;
    (void)snprintf(
        text, sizeof text,
        "the wall clock is %lld s behind the last tick; ticks go on by the monotonic "
        "clock",
        (long long)(probe->ticks.step_ms / MS_PER_SEC));
    log_warn("probe", "%s", text);
    if (probe->ticks.step_ms > TICK_STEP_REPORTED_MS)
        add_event(probe, "clock_stepped", text);
}

/* Series that are gone (processes, mounts, containers of last month) keep their refs until the
 * epoch ends: starting again begins one that knows only those of now. */
static void make_room_for_series(struct probe *probe)
{
    if (clock_mono(&clock_system) - probe->started < CROWDED_LEAST_NS ||
        !emitter_is_crowded(probe->emitter))
        return;
    log_info("probe", "%llu series are defined, most of them are gone: a new epoch begins",
             (unsigned long long)emitter_counts(probe->emitter)->series);
    probe->started = clock_mono(&clock_system);
    probe->options->wants_epoch = true;
    uv_stop(probe->loop);
}

/* One batch of the tick to the spool, and on its way.  False: it takes none now. */
static bool pass_on(struct probe *probe)
{
    uint64_t number = 0;

    int error = keep_batch(probe, &number);
    if (probe->plain.capacity > PLAIN_BYTES_KEPT)
        buf_done(&probe->plain);
    if (error != 0) {
        probe->ticks_lost++;
        if (!probe->is_failing)
            log_error("probe", "the spool takes no batch (%s): samples are lost, lines wait",
                      error_text(error));
        probe->is_failing = true;
        if (error == ERR_LIMIT)
            emitter_kept(probe->emitter); /* it will never fit, but the next part may */
        else
            emitter_not_kept(probe->emitter);
        return error == ERR_LIMIT;
    }
    if (probe->is_failing)
        log_info("probe", "the spool takes batches again");
    probe->is_failing = false;
    emitter_kept(probe->emitter);
    if (probe->transport != NULL)
        transport_batch(probe->transport, number);
    return true;
}

static void sealed(void *context, int64_t tick_ms)
{
    struct probe *probe = context;
    bool goes_on = true;
    (void)tick_ms; /* each batch has its own */

    tell_clock_step(probe);
    while (goes_on && !emitter_is_empty(probe->emitter))
        goes_on = pass_on(probe); /* if not, stale markers may wait still, and lines */
    if (goes_on)
        make_room_for_series(probe);
}

/* A backlog means that batches wait for the window, the line or the collector: lines are then
 * as safe in their files, and do not push samples out of the spool. */
static enum scheduler_room room_for_more(void *context)
{
    const struct probe *probe = context;
    if (probe->transport == NULL || probe->is_failing)
        return SCHEDULER_ROOM_NONE;
    const struct transport_counts *counts = transport_counts(probe->transport);
    if (!counts->is_approved)
        return SCHEDULER_ROOM_NONE;
    return transport_has_room(probe->transport) ? SCHEDULER_ROOM_NOW : SCHEDULER_ROOM_SOON;
}

static void fill_self(struct probe *probe, struct self_state *self)
{
    self->scheduler = probe->scheduler;
    self->emitter = probe->emitter;
    self->spool = probe->spool;
    self->transport = &probe->transport;
    self->ticks = &probe->ticks;
    self->started_ms = clock_unix_ms(&clock_system);
    self->ticks_lost = &probe->ticks_lost;
    self->policy = &probe->steer.policy;
}

/* What a source's state must know beside its configuration. */
static int prepare(void *context, const struct source *source, void *state,
                   struct diagnosis *why)
{
    struct probe *probe = context;
    int error = 0;
    if (source == &source_self)
        fill_self(probe, state);
    if (source == &source_syslog && probe->has_redact_key)
        syslog_source_set_key(state, &probe->redact_key);
    if (source == &source_journal && probe->has_redact_key)
        journal_source_set_key(state, &probe->redact_key);
    if (source != &source_log)
        return 0;
    if (probe->has_redact_key)
        log_source_set_key(state, &probe->redact_key);
    for (size_t i = 0; error == 0 && i < probe->options->glob_count; i++)
        error = log_source_add(state, probe->options->globs[i], why);
    if (error == 0)
        log_source_take_policy(state, &probe->steer.logs);
    return error;
}

static int add_sources(struct probe *probe, struct diagnosis *why)
{
    struct options *options = probe->options;
    int error = 0;
    for (size_t i = 0; error == 0 && i < options->source_count; i++) {
        const struct options_source *source = &options->sources[i];
        error = scheduler_add_off(probe->scheduler, source->source, options->config,
                                  source->node, source->interval_ms, why);
        if (error == 0)
            error = scheduler_override(probe->scheduler, i, source->override, why);
        if (error == 0 && source->is_on)
            error = scheduler_configure(probe->scheduler, i, why);
    }
    return error;
}

/* Everything that measures; `sealed` may be called before the spool is there only by --once. */
static int open_sources(struct probe *probe, void (*on_sealed)(void *, int64_t),
                        struct diagnosis *why)
{
    const struct options *options = probe->options;
    struct scheduler_options scheduler = {
        .env = {.procfs = options->procfs,
                .sysfs = options->sysfs,
                .rootfs = options->rootfs,
                .live = options->is_live},
        .emitter = probe->emitter,
        .ticks = &probe->ticks,
        .sealed = on_sealed,
        .prepare = prepare,
        .room = room_for_more,
        .cpu_limit = options->cpu_limit_percent / 100,
        .context = probe,
    };
    int error = scheduler_open(&scheduler, &probe->scheduler);
    return error == 0 ? add_sources(probe, why) : diagnose(why, error, "out of memory");
}

/* The emitter learns the refs that the spool's epoch has given already. */
static int restore_definitions(struct probe *probe, struct diagnosis *why)
{
    struct spool_stream current =
        spool_stream_at(probe->spool, spool_stream_count(probe->spool) - 1);
    struct buf frame = {0};
    uint64_t ref = 0;
    int error = 0;

    while (error == 0 && ref < current.definition_count) {
        struct bytes items;
        uint64_t count;
        error =
            spool_read_definitions(probe->spool, current.epoch, ref, &frame, &items, &count);
        struct reader reader = reader_of(error == 0 ? items : (struct bytes){0});
        for (uint64_t i = 0; error == 0 && i < count; i++, ref++) {
            const uint8_t *from = reader.at;
            if (!definition_skip(&reader))
                error = ERR_CORRUPT;
            else
                error = emitter_restore(probe->emitter,
                                        (struct bytes){from, (size_t)(reader.at - from)});
        }
    }
    buf_done(&frame);
    return error == 0 ? 0 : diagnose(why, error, "definitions: %s", error_text(error));
}

static int open_spool(struct probe *probe, struct diagnosis *why)
{
    const struct options *options = probe->options;
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/spool", options->state) >= (int)sizeof path)
        return diagnose(why, ERR_LIMIT, "%s: path too long", options->state);
    struct spool_options spool = {.directory = path,
                                  .limit_bytes = options->spool_limit_bytes,
                                  .age_limit_ms = options->spool_age_ms,
                                  .wants_epoch = options->wants_epoch,
                                  .io = &file_io_system};
    memcpy(spool.boot_id, probe->boot_id, sizeof spool.boot_id);
    int error = spool_open(&spool, &probe->spool, why);
    if (error == 0)
        probe->options->wants_epoch = false;
    if (error == 0)
        error = emitter_open(spool_notes(probe->spool), &probe->emitter);
    if (error == 0)
        error = restore_definitions(probe, why);
    return error;
}

static int open_key(struct probe *probe, struct diagnosis *why)
{
    const struct options *options = probe->options;
    char secret[PATH_MAX], public[PATH_MAX];
    int fits;

    int error = file_make_directories(options->state, why);
    if (error != 0)
        return error;
    if (options->key_file != NULL)
        fits = snprintf(secret, sizeof secret, "%s", options->key_file);
    else
        fits = snprintf(secret, sizeof secret, "%s/probe.key", options->state);
    if (fits < 0 || fits >= (int)sizeof secret - 8)
        return diagnose(why, ERR_LIMIT, "%s: path too long", options->state);
    /* NAME.key has its public half in NAME.pub, anything else in NAME.pub behind it. */
    size_t length = strlen(secret);
    size_t stem = length > 4 && strcmp(secret + length - 4, ".key") == 0 ? length - 4 : length;
    (void)snprintf(public, sizeof public, "%.*s.pub", (int)stem, secret);
    return curve_load_or_make(secret, public, &probe->key, why);
}

/* A key that cannot be kept is no reason to measure nothing, nor to send a number. */
static void open_redact_key(struct probe *probe)
{
    struct diagnosis why = {0};
    probe->has_redact_key =
        redact_key_load_or_make(probe->options->state, &probe->redact_key, &why) == 0;
    if (!probe->has_redact_key)
        log_warn("log", "%s; numbers are masked with a key of this run", why.text);
}

static int open_transport(struct probe *probe, uv_loop_t *loop, struct diagnosis *why)
{
    const struct options *options = probe->options;
    struct transport_options transport = {
        .endpoint = options->endpoint,
        .collector_key = options->collector_key,
        .key = &probe->key,
        .boot_id = {probe->boot_id, sizeof probe->boot_id},
        .job = options->job,
        .instance = options->instance,
        .token = options->token,
        .labels = options->labels,
        .label_count = options->label_count,
        .interval_ms = steer_fastest_interval(options),
        .policy_version = probe->steer.policy->version,
        .spool = probe->spool,
        .clock = &clock_system,
        .event = add_event,
        .policy = take_policy,
        .context = probe,
    };
    return transport_open(loop, &transport, &probe->transport, why);
}

static void tell_epoch(struct probe *probe)
{
    char text[120];
    const char *reason = spool_epoch_reason(probe->spool);
    if (reason == NULL)
        return;
    (void)snprintf(text, sizeof text, "epoch %016llx begun: %s",
                   (unsigned long long)spool_epoch(probe->spool), reason);
    log_info("spool", "%s", text);
    add_event(probe, "epoch_begun", text);
}

int probe_start(uv_loop_t *loop, struct options *options, uint64_t ticks_missed,
                struct probe **ret_probe, struct diagnosis *why)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    probe->options = options;
    probe->loop = loop;
    probe->started = clock_mono(&clock_system);
    probe->ticks_lost = ticks_missed;
    buf_init(&probe->plain, BATCH_PLAIN_BYTES_MAX);
    int error = steer_open(options, &probe->steer, why);
    if (error == 0)
        error = host_boot_id(probe->boot_id, why);
    if (error == 0)
        error = open_key(probe, why);
    if (error == 0)
        error = open_spool(probe, why);
    if (error == 0) {
        /* A new epoch's ticks owe nothing to the old one's. */
        int64_t last_ms =
            spool_epoch_reason(probe->spool) == NULL ? spool_last_tick_ms(probe->spool) : 0;
        tick_clock_init(&probe->ticks, &clock_system,
                        XXH3_64bits(probe->key.public_key, sizeof probe->key.public_key),
                        last_ms);
        /* Before the sources: libzmq's thread connects while they open their files. */
        error = open_transport(probe, loop, why);
    }
    if (error == 0) {
        open_redact_key(probe);
        error = open_sources(probe, sealed, why);
    }
    if (error == 0) {
        emitter_begin(probe->emitter, tick_clock_now(&probe->ticks));
        tell_epoch(probe);
        scheduler_start(probe->scheduler);
        error = scheduler_run(probe->scheduler, loop);
    }
    if (error != 0) {
        (void)diagnose(why, error, "%s", error_text(error));
        probe_stop(probe);
        return error;
    }
    *ret_probe = probe;
    return 0;
}

void probe_stop(struct probe *probe)
{
    if (probe == NULL)
        return;
    transport_close(probe->transport);
    scheduler_close(probe->scheduler);
    emitter_close(probe->emitter);
    spool_close(probe->spool);
    buf_done(&probe->plain);
    steer_done(&probe->steer);
    free(probe);
}

static void nothing_sealed(void *context, int64_t tick_ms)
{
    (void)context;
    (void)tick_ms;
}

int probe_once(struct options *options, struct diagnosis *why)
{
    struct probe probe = {.options = options};
    struct buf out = {0};

    int error = emitter_open(NULL, &probe.emitter);
    tick_clock_init(&probe.ticks, &clock_system, 0, 0);
    if (error == 0)
        error = open_sources(&probe, nothing_sealed, why);
    if (error == 0) {
        scheduler_start(probe.scheduler);
        scheduler_once(probe.scheduler);
        error = once_print(probe.emitter, &out);
    }
    if (error == 0 && fwrite(out.data, 1, out.size, stdout) != out.size)
        error = diagnose(why, ERR_IO, "stdout: cannot be written");
    buf_done(&out);
    scheduler_close(probe.scheduler);
    emitter_close(probe.emitter);
    return error;
}
