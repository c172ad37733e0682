#include "probe/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define LATE_LEAST_MS 50
#define LATE_FRACTION 10
/* Between two looks at a source that has more: time for everything else on the loop. */
#define BETWEEN_MS 5

struct slot {
    struct scheduler *scheduler; /* NULL: the scheduler was closed under a busy worker */
    const struct source *source;
    void *state;
    int64_t interval_ms;
    int64_t due_ms;
    bool is_running;
    bool is_busy;      /* gather() is on a worker */
    bool has_gathered; /* came back after its batch was sealed */
    bool is_awaited;   /* by the open batch */
    bool has_succeeded;
    bool was_failing;
    uint32_t complaint; /* hash of the last one, 0: none */
    int gather_error;
    int64_t tick_ms; /* of the gather under way */
    int64_t gathered_ms;
    mono_ns began;
    double duration_seconds;
    uint64_t failures, late, skipped;
    struct source_env env; /* for the worker */
    uv_work_t work;
};

struct scheduler {
    struct scheduler_options options;
    struct slot **slots;
    size_t count;
    uv_loop_t *loop;
    uv_timer_t timer;    /* the next tick */
    uv_timer_t deadline; /* the open batch waits no longer */
    size_t closing;      /* handles not closed yet */
    bool is_open;        /* a batch waits for blocking sources */
    int64_t tick_ms;     /* of the open batch */
};

int scheduler_open(const struct scheduler_options *options, struct scheduler **ret_scheduler)
{
    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (scheduler == NULL)
        return ERR_NOMEM;
    scheduler->options = *options;
    *ret_scheduler = scheduler;
    return 0;
}

static void slot_free(struct slot *slot)
{
    if (slot->is_running && slot->source->stop != NULL)
        slot->source->stop(slot->state);
    free(slot->state);
    free(slot);
}

int scheduler_add(struct scheduler *scheduler, const struct source *source,
                  struct config *config, const struct config_node *node, int64_t interval_ms,
                  void **ret_state, struct diagnosis *why)
{
    must(interval_ms > 0);
    struct slot **slots =
        reallocarray(scheduler->slots, scheduler->count + 1, sizeof(struct slot *));
    if (slots == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    scheduler->slots = slots;
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    slot->scheduler = scheduler;
    slot->source = source;
    slot->interval_ms = interval_ms;
    slot->state = calloc(1, source->state_bytes == 0 ? 1 : source->state_bytes);
    int error = slot->state == NULL ? diagnose(why, ERR_NOMEM, "out of memory") : 0;
    if (error == 0 && source->configure != NULL)
        error = source->configure(slot->state, config, node, why);
    if (error != 0) {
        /* A configured but never started state is stopped too: it may own memory. */
        slot->is_running = slot->state != NULL;
        slot_free(slot);
        return diagnose(why, error, "source %s: %s", source->name, error_text(error));
    }
    scheduler->slots[scheduler->count++] = slot;
    if (ret_state != NULL)
        *ret_state = slot->state;
    return 0;
}

static struct source_env env_at(const struct scheduler *scheduler, const struct slot *slot,
                                int64_t tick_ms)
{
    struct source_env env = scheduler->options.env;
    env.now_ms = tick_ms;
    env.interval_ms = slot->interval_ms;
    return env;
}

static void seal(struct scheduler *scheduler)
{
    scheduler->is_open = false;
    for (size_t i = 0; i < scheduler->count; i++)
        scheduler->slots[i]->is_awaited = false;
    scheduler->options.sealed(scheduler->options.context, scheduler->tick_ms);
}

void scheduler_start(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    scheduler->tick_ms = now_ms;
    emitter_begin(scheduler->options.emitter, now_ms);
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        struct source_env env = env_at(scheduler, slot, now_ms);
        int error = slot->source->start == NULL
                        ? 0
                        : slot->source->start(slot->state, &env, scheduler->options.emitter);
        slot->is_running = error == 0;
        if (error == 0)
            continue;
        if (slot->source->stop != NULL)
            slot->source->stop(slot->state);
        if (error != ERR_NOTFOUND) {
            slot->failures++;
            log_warn("scheduler", "source %s does not start and is left out: %s",
                     slot->source->name, error_text(error));
        }
    }
    if (!emitter_is_empty(scheduler->options.emitter))
        seal(scheduler);
}

/* Logs what the source complains of, once. */
static void hear_complaint(struct slot *slot)
{
    const char *text =
        slot->source->complaint == NULL ? NULL : slot->source->complaint(slot->state);
    uint32_t hash = text == NULL ? 0 : 2166136261u; /* FNV-1a */
    for (const char *at = text; at != NULL && *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    if (text != NULL && hash != slot->complaint)
        log_warn("scheduler", "source %s: %s", slot->source->name, text);
    slot->complaint = hash;
}

/* Books the end of a run. */
static void finish_run(struct scheduler *scheduler, struct slot *slot, int error)
{
    mono_ns now = clock_mono(scheduler->options.ticks->clock);
    slot->duration_seconds = (double)(now - slot->began) / 1e9;
    slot->has_succeeded = error == 0;
    if (error != 0)
        slot->failures++;
    if (error != 0 && !slot->was_failing)
        log_warn("scheduler", "source %s fails: %s; it is tried again every %lld ms",
                 slot->source->name, error_text(error), (long long)slot->interval_ms);
    else if (error == 0 && slot->was_failing)
        log_info("scheduler", "source %s works again", slot->source->name);
    slot->was_failing = error != 0;
}

static int64_t late_limit_ms(const struct slot *slot)
{
    int64_t limit_ms = slot->interval_ms / LATE_FRACTION;
    return limit_ms < LATE_LEAST_MS ? LATE_LEAST_MS : limit_ms;
}

/* Lets a source emit into the batch of `tick_ms`; `read_ms` is when a worker had finished
 * reading, 0: collect() reads itself. */
static void collect(struct scheduler *scheduler, struct slot *slot, int64_t tick_ms,
                    int64_t read_ms)
{
    struct emitter *emitter = scheduler->options.emitter;
    struct source_env env = env_at(scheduler, slot, tick_ms);
    size_t mark = emitter_mark(emitter);

    int error = slot->gather_error;
    if (error == 0 && slot->source->collect != NULL)
        error = slot->source->collect(slot->state, &env, emitter);
    hear_complaint(slot);
    int64_t end_ms = read_ms != 0 ? read_ms : tick_clock_now(scheduler->options.ticks);
    if (read_ms != 0 ? read_ms - slot->tick_ms > late_limit_ms(slot)
                     : end_ms - tick_ms > late_limit_ms(slot)) {
        slot->late++;
        (void)emitter_stamp_late(emitter, mark, end_ms);
    }
    finish_run(scheduler, slot, error);
    slot->gather_error = 0;
}

static void arm(struct scheduler *scheduler);

static void gather_on_worker(uv_work_t *work)
{
    struct slot *slot = work->data;
    slot->gather_error = slot->source->gather(slot->state, &slot->env);
}

static bool is_awaiting(const struct scheduler *scheduler)
{
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_awaited)
            return true;
    return false;
}

static void gathered(uv_work_t *work, int status)
{
    struct slot *slot = work->data;
    struct scheduler *scheduler = slot->scheduler;

    (void)status; /* nothing cancels it */
    slot->is_busy = false;
    if (scheduler == NULL) {
        slot_free(slot);
        return;
    }
    slot->gathered_ms = tick_clock_now(scheduler->options.ticks);
    if (!slot->is_awaited) {
        slot->has_gathered = true; /* the next tick takes it */
        return;
    }
    slot->is_awaited = false;
    collect(scheduler, slot, scheduler->tick_ms, slot->gathered_ms);
    if (!is_awaiting(scheduler)) {
        must(uv_timer_stop(&scheduler->deadline) == 0);
        seal(scheduler);
        arm(scheduler); /* what has more waited for this batch */
    }
}

static void run_blocking(struct scheduler *scheduler, struct slot *slot, int64_t tick_ms)
{
    slot->tick_ms = tick_ms;
    slot->env = env_at(scheduler, slot, tick_ms);
    slot->work.data = slot;
    if (uv_queue_work(scheduler->loop, &slot->work, gather_on_worker, gathered) != 0) {
        slot->gather_error = 0;
        finish_run(scheduler, slot, ERR_NOMEM);
        return;
    }
    slot->is_busy = true;
    slot->is_awaited = true;
}

static void run_slot(struct scheduler *scheduler, struct slot *slot, int64_t tick_ms)
{
    if (slot->has_gathered) {
        slot->has_gathered = false;
        /* Its own time is before this tick, whatever it was late by. */
        size_t mark = emitter_mark(scheduler->options.emitter);
        int64_t started_ms = slot->tick_ms;
        slot->tick_ms = slot->gathered_ms; /* not late twice */
        collect(scheduler, slot, tick_ms, slot->gathered_ms);
        slot->tick_ms = started_ms;
        slot->late++;
        (void)emitter_stamp_late(scheduler->options.emitter, mark, slot->gathered_ms);
    }
    if (slot->is_busy) {
        slot->skipped++;
        return;
    }
    slot->began = clock_mono(scheduler->options.ticks->clock);
    if (slot->source->blocking && slot->source->gather != NULL)
        run_blocking(scheduler, slot, tick_ms);
    else
        collect(scheduler, slot, tick_ms, 0);
}

/* The earliest tick of a source that is due; false if none is. */
static bool find_due(struct scheduler *scheduler, int64_t now_ms, int64_t *ret_tick_ms)
{
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        if (!slot->is_running || slot->due_ms > now_ms)
            continue;
        int64_t latest = tick_at_or_before(scheduler->options.ticks, now_ms, slot->interval_ms);
        if (latest > slot->due_ms) {
            slot->skipped += (uint64_t)((latest - slot->due_ms) / slot->interval_ms);
            slot->due_ms = latest;
        }
        if (slot->due_ms < earliest)
            earliest = slot->due_ms;
    }
    *ret_tick_ms = earliest;
    return earliest != INT64_MAX;
}

static void run_tick(struct scheduler *scheduler, int64_t tick_ms)
{
    scheduler->tick_ms = tick_ms;
    emitter_begin(scheduler->options.emitter, tick_ms);
    scheduler->is_open = true;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        if (!slot->is_running || slot->due_ms != tick_ms)
            continue;
        slot->due_ms += slot->interval_ms;
        run_slot(scheduler, slot, tick_ms);
    }
}

static bool has_more(const struct slot *slot)
{
    return slot->is_running && !slot->is_busy && slot->source->has_more != NULL &&
           slot->source->has_more(slot->state);
}

/* Is there a source that has more, and a way out for it? */
static enum scheduler_room room_between(const struct scheduler *scheduler)
{
    if (scheduler->is_open || scheduler->options.room == NULL)
        return SCHEDULER_ROOM_NONE;
    for (size_t i = 0; i < scheduler->count; i++)
        if (has_more(scheduler->slots[i]))
            return scheduler->options.room(scheduler->options.context);
    return SCHEDULER_ROOM_NONE;
}

/* A batch between two ticks, for sources that have more.  Nothing is due, so its time is before
 * the next tick's; a millisecond that has had a batch gets no other. */
static void look_between(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    if (now_ms <= scheduler->tick_ms)
        return;
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_running && scheduler->slots[i]->due_ms <= now_ms)
            return;
    scheduler->tick_ms = now_ms;
    emitter_begin(scheduler->options.emitter, now_ms);
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        if (!has_more(slot))
            continue;
        struct source_env env = env_at(scheduler, slot, now_ms);
        env.is_between = true;
        slot->began = clock_mono(scheduler->options.ticks->clock);
        finish_run(scheduler, slot,
                   slot->source->collect(slot->state, &env, scheduler->options.emitter));
    }
    seal(scheduler);
}

static void on_tick(uv_timer_t *timer);

static void on_deadline(uv_timer_t *timer)
{
    struct scheduler *scheduler = timer->data;
    if (scheduler->is_open)
        seal(scheduler);
    arm(scheduler);
}

/* How long the open batch may wait for its blocking sources. */
static int64_t patience_ms(const struct scheduler *scheduler)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_awaited && late_limit_ms(scheduler->slots[i]) < least)
            least = late_limit_ms(scheduler->slots[i]);
    return least;
}

static void arm(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_running && scheduler->slots[i]->due_ms < next_ms)
            next_ms = scheduler->slots[i]->due_ms;
    if (next_ms == INT64_MAX)
        return; /* nothing to measure */
    /* A millisecond that has begun counts as gone in now_ms, so this never wakes too early;
     * woken a little early by the timer's own grain, on_tick() finds nothing and arms again. */
    uint64_t wait_ms = next_ms > now_ms ? (uint64_t)(next_ms - now_ms) : 0;
    if (wait_ms > BETWEEN_MS && room_between(scheduler) != SCHEDULER_ROOM_NONE)
        wait_ms = BETWEEN_MS;
    uv_update_time(scheduler->loop);
    must(uv_timer_start(&scheduler->timer, on_tick, wait_ms, 0) == 0);
}

static void on_tick(uv_timer_t *timer)
{
    struct scheduler *scheduler = timer->data;
    int64_t tick_ms;

    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    while (find_due(scheduler, now_ms, &tick_ms)) {
        if (scheduler->is_open) {
            must(uv_timer_stop(&scheduler->deadline) == 0);
            seal(scheduler);
        }
        run_tick(scheduler, tick_ms);
        if (!is_awaiting(scheduler)) {
            seal(scheduler);
            continue;
        }
        must(uv_timer_start(&scheduler->deadline, on_deadline, (uint64_t)patience_ms(scheduler),
                            0) == 0);
    }
    if (room_between(scheduler) == SCHEDULER_ROOM_NOW)
        look_between(scheduler);
    arm(scheduler);
}

int scheduler_run(struct scheduler *scheduler, uv_loop_t *loop)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    scheduler->loop = loop;
    if (uv_timer_init(loop, &scheduler->timer) != 0 ||
        uv_timer_init(loop, &scheduler->deadline) != 0)
        return ERR_IO;
    scheduler->timer.data = scheduler;
    scheduler->deadline.data = scheduler;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        slot->due_ms = tick_after(scheduler->options.ticks, now_ms, slot->interval_ms);
    }
    arm(scheduler);
    return 0;
}

void scheduler_once(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    scheduler->tick_ms = now_ms;
    emitter_begin(scheduler->options.emitter, now_ms);
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        if (!slot->is_running)
            continue;
        slot->began = clock_mono(scheduler->options.ticks->clock);
        slot->env = env_at(scheduler, slot, now_ms);
        slot->gather_error = slot->source->blocking && slot->source->gather != NULL
                                 ? slot->source->gather(slot->state, &slot->env)
                                 : 0;
        slot->tick_ms = now_ms;
        collect(scheduler, slot, now_ms, now_ms); /* a single look is never late */
    }
}

static void handle_closed(uv_handle_t *handle)
{
    struct scheduler *scheduler = handle->data;
    if (--scheduler->closing == 0)
        free(scheduler);
}

void scheduler_close(struct scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        if (slot->is_busy)
            slot->scheduler = NULL; /* gathered() frees it */
        else
            slot_free(slot);
    }
    free(scheduler->slots);
    if (scheduler->loop == NULL) {
        free(scheduler);
        return;
    }
    scheduler->closing = 2;
    uv_close((uv_handle_t *)&scheduler->timer, handle_closed);
    uv_close((uv_handle_t *)&scheduler->deadline, handle_closed);
}

size_t scheduler_count(const struct scheduler *scheduler)
{
    return scheduler->count;
}

struct source_report scheduler_report(const struct scheduler *scheduler, size_t index)
{
    must(index < scheduler->count);
    const struct slot *slot = scheduler->slots[index];
    return (struct source_report){.name = slot->source->name,
                                  .interval_ms = slot->interval_ms,
                                  .duration_seconds = slot->duration_seconds,
                                  .is_running = slot->is_running,
                                  .has_succeeded = slot->has_succeeded,
                                  .is_busy = slot->is_busy,
                                  .failures = slot->failures,
                                  .late = slot->late,
                                  .skipped = slot->skipped};
}
