#include "probe/scheduler_parts.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define LATE_LEAST_MS 50
#define LATE_LOOK_MS  500
#define LATE_FRACTION 10
/* Between two looks at a source that has more: time for everything else on the loop. */
#define BETWEEN_MS 5

int scheduler_open(const struct scheduler_options *options, struct scheduler **ret_scheduler)
{
    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (scheduler == NULL)
        return ERR_NOMEM;
    scheduler->options = *options;
    *ret_scheduler = scheduler;
    return 0;
}

void slot_free(struct slot *slot)
{
    /* One that was configured and not started may own memory, too. */
    if (slot->is_running && slot->source->stop != NULL)
        slot->source->stop(slot->state);
    free(slot->state);
    config_free(slot->own);
    free(slot->override);
    free(slot);
}

/* An empty slot at the end. */
static struct slot *add_slot(struct scheduler *scheduler, const struct source *source,
                             struct config *config, const struct config_node *node,
                             int64_t interval_ms)
{
    must(interval_ms > 0 && scheduler->count < UINT16_MAX - 1);
    struct slot **slots =
        reallocarray(scheduler->slots, scheduler->count + 1, sizeof(struct slot *));
    if (slots == NULL)
        return NULL;
    scheduler->slots = slots;
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        return NULL;
    slot->scheduler = scheduler;
    slot->source = source;
    slot->config = config;
    slot->node = node;
    slot->interval_ms = interval_ms;
    slot->owner = (uint16_t)(scheduler->count + 1);
    scheduler->slots[scheduler->count++] = slot;
    return slot;
}

/* Gives an empty slot its state; on failure it stays empty. */
int slot_configure(struct slot *slot, struct diagnosis *why)
{
    const struct scheduler_options *options = &slot->scheduler->options;
    const struct source *source = slot->source;
    struct config *own = NULL;
    int error = 0;
    void *state = calloc(1, source->state_bytes == 0 ? 1 : source->state_bytes);
    if (state == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    if (slot->override != NULL)
        error = config_parse("policy", bytes_of(slot->override), &own, why);
    if (error == 0 && source->configure != NULL)
        error = source->configure(state, own != NULL ? own : slot->config,
                                  own != NULL ? config_root(own) : slot->node, why);
    if (error == 0 && options->prepare != NULL)
        error = options->prepare(options->context, source, state, why);
    if (error != 0) {
        /* A configured but never started state is stopped too: it may own memory. */
        if (source->stop != NULL)
            source->stop(state);
        free(state);
        config_free(own);
        return diagnose(why, error, "source %s: %s", source->name, error_text(error));
    }
    slot->state = state;
    slot->own = own;
    return 0;
}

int scheduler_add_off(struct scheduler *scheduler, const struct source *source,
                      struct config *config, const struct config_node *node,
                      int64_t interval_ms, struct diagnosis *why)
{
    if (add_slot(scheduler, source, config, node, interval_ms) == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    return 0;
}

int scheduler_configure(struct scheduler *scheduler, size_t index, struct diagnosis *why)
{
    must(index < scheduler->count && scheduler->slots[index]->state == NULL);
    return slot_configure(scheduler->slots[index], why);
}

int scheduler_add(struct scheduler *scheduler, const struct source *source,
                  struct config *config, const struct config_node *node, int64_t interval_ms,
                  void **ret_state, struct diagnosis *why)
{
    int error = scheduler_add_off(scheduler, source, config, node, interval_ms, why);
    if (error == 0)
        error = scheduler_configure(scheduler, scheduler->count - 1, why);
    if (error == 0 && ret_state != NULL)
        *ret_state = scheduler->slots[scheduler->count - 1]->state;
    return error;
}

static struct source_env env_at(const struct scheduler *scheduler, const struct slot *slot,
                                int64_t tick_ms)
{
    struct source_env env = scheduler->options.env;
    env.now_ms = tick_ms;
    env.interval_ms = slot_interval_ms(slot);
    return env;
}

void scheduler_seal(struct scheduler *scheduler)
{
    scheduler->is_open = false;
    for (size_t i = 0; i < scheduler->count; i++)
        scheduler->slots[i]->is_awaited = false;
    scheduler->options.sealed(scheduler->options.context, scheduler->tick_ms);
}

/* Lets a configured source open what it reads. */
static void start(struct scheduler *scheduler, struct slot *slot, int64_t now_ms)
{
    struct source_env env = env_at(scheduler, slot, now_ms);
    emitter_set_owner(scheduler->options.emitter, slot->owner);
    int error = slot->source->start == NULL
                    ? 0
                    : slot->source->start(slot->state, &env, scheduler->options.emitter);
    emitter_set_owner(scheduler->options.emitter, 0);
    slot->succeeded_ms = now_ms;
    slot->is_running = slot->has_succeeded = error == 0;
    if (error == 0)
        return;
    if (slot->source->stop != NULL)
        slot->source->stop(slot->state);
    if (error != ERR_NOTFOUND) {
        slot->failures++;
        log_warn("scheduler", "source %s does not start and is left out: %s",
                 slot->source->name, error_text(error));
    }
}

void scheduler_start(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    scheduler->tick_ms = now_ms;
    emitter_begin(scheduler->options.emitter, now_ms);
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->state != NULL)
            start(scheduler, scheduler->slots[i], now_ms);
    scheduler->has_told = !emitter_is_empty(scheduler->options.emitter);
    if (scheduler->has_told)
        scheduler_seal(scheduler);
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

const char *slot_title(const struct slot *slot)
{
    if (slot->source->title == NULL || slot->state == NULL) /* off: nobody knows its title */
        return slot->source->name;
    return slot->source->title(slot->state);
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
                 slot_title(slot), error_text(error), (long long)slot->interval_ms);
    else if (error == 0 && slot->was_failing)
        log_info("scheduler", "source %s works again", slot_title(slot));
    slot->was_failing = error != 0;
}

/* A first look opens what it reads, and has no tick before or behind it to be taken for. */
static int64_t late_limit_ms(const struct slot *slot)
{
    int64_t limit_ms = slot_interval_ms(slot) / LATE_FRACTION;
    int64_t least_ms = slot->scheduler->is_look ? LATE_LOOK_MS : LATE_LEAST_MS;
    return limit_ms < least_ms ? least_ms : limit_ms;
}

/* Lets a source emit into the batch of `tick_ms`; `read_ms` is when a worker had finished
 * reading, 0: collect() reads itself. */
static void collect(struct scheduler *scheduler, struct slot *slot, int64_t tick_ms,
                    int64_t read_ms)
{
    struct emitter *emitter = scheduler->options.emitter;
    struct source_env env = env_at(scheduler, slot, tick_ms);
    size_t mark = emitter_mark(emitter);

    int error = scheduler_cost_collect(scheduler, slot, &env, slot->gather_error);
    hear_complaint(slot);
    int64_t end_ms = read_ms != 0 ? read_ms : tick_clock_now(scheduler->options.ticks);
    if (read_ms != 0 ? read_ms - slot->tick_ms > late_limit_ms(slot)
                     : end_ms - tick_ms > late_limit_ms(slot)) {
        slot->late++;
        (void)emitter_stamp_late(emitter, mark, end_ms);
    }
    finish_run(scheduler, slot, error);
    if (error == 0)
        slot->succeeded_ms = tick_ms;
    slot->gather_error = 0;
}

static void gather_on_worker(uv_work_t *work)
{
    struct slot *slot = work->data;
    mono_ns began = scheduler_cost_now(NULL);
    slot->gather_error = slot->source->gather(slot->state, &slot->env);
    slot->gather_ns = scheduler_cost_now(NULL) - began;
}

static bool is_awaiting(const struct scheduler *scheduler)
{
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_awaited)
            return true;
    return false;
}

static void come_back(struct slot *slot)
{
    struct scheduler *scheduler = slot->scheduler;

    slot->is_busy = false;
    if (scheduler == NULL) {
        slot_free(slot);
        return;
    }
    scheduler_cost_end(slot);
    slot->gathered_ms = tick_clock_now(scheduler->options.ticks);
    if (!slot->is_awaited) {
        slot->has_gathered = true; /* the next tick takes it */
        return;
    }
    slot->is_awaited = false;
    collect(scheduler, slot, scheduler->tick_ms, slot->gathered_ms);
    if (!is_awaiting(scheduler)) {
        must(uv_timer_stop(&scheduler->deadline) == 0);
        scheduler_seal(scheduler);
        scheduler_arm(scheduler); /* what has more waited for this batch */
    }
}

static void gathered(uv_work_t *work, int status)
{
    (void)status; /* nothing cancels it */
    come_back(work->data);
}

static void looked(void *context, int error)
{
    struct slot *slot = context;
    slot->gather_error = error;
    come_back(slot);
}

static bool is_apart(const struct source *source)
{
    return source->begin != NULL || (source->blocking && source->gather != NULL);
}

static void run_apart(struct scheduler *scheduler, struct slot *slot, int64_t tick_ms)
{
    slot->tick_ms = tick_ms;
    slot->env = env_at(scheduler, slot, tick_ms);
    slot->work.data = slot;
    int error = slot->source->begin != NULL ? scheduler_cost_begin(scheduler, slot, looked)
                : uv_queue_work(scheduler->loop, &slot->work, gather_on_worker, gathered) != 0
                    ? ERR_NOMEM
                    : 0;
    if (error != 0) {
        slot->gather_error = 0;
        finish_run(scheduler, slot, error);
        return;
    }
    slot->is_busy = true;
    slot->is_awaited = true;
}

static void run_slot(struct scheduler *scheduler, struct slot *slot, int64_t tick_ms)
{
    if (slot->is_starting) {
        slot->is_starting = false;
        start(scheduler, slot, tick_ms);
        if (!slot->is_running)
            return;
    }
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
    if (is_apart(slot->source))
        run_apart(scheduler, slot, tick_ms);
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
        int64_t latest =
            tick_at_or_before(scheduler->options.ticks, now_ms, slot_interval_ms(slot));
        if (latest > slot->due_ms) {
            slot->skipped += (uint64_t)((latest - slot->due_ms) / slot_interval_ms(slot));
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
    scheduler->is_look = tick_ms <= scheduler->looks_until_ms;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        if (!slot->is_running || slot->due_ms != tick_ms)
            continue;
        slot->due_ms = tick_after(scheduler->options.ticks, tick_ms, slot_interval_ms(slot));
        run_slot(scheduler, slot, tick_ms);
    }
}

static bool has_more(const struct slot *slot)
{
    return slot->is_running && !slot->is_starting && !slot->is_busy &&
           slot->source->has_more != NULL && slot->source->has_more(slot->state);
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
        finish_run(scheduler, slot, scheduler_cost_collect(scheduler, slot, &env, 0));
    }
    scheduler_seal(scheduler);
}

/* How long the open batch may wait for its blocking sources. */
static int64_t patience_ms(const struct scheduler *scheduler)
{
    int64_t least = scheduler->is_look ? SCHEDULER_LOOK_PATIENCE_MS : INT64_MAX;
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_awaited && late_limit_ms(scheduler->slots[i]) < least)
            least = late_limit_ms(scheduler->slots[i]);
    return least;
}

static void on_deadline(uv_timer_t *timer);

static void wait_for_blocking(struct scheduler *scheduler)
{
    must(uv_timer_start(&scheduler->deadline, on_deadline, (uint64_t)patience_ms(scheduler),
                        0) == 0);
}

static void on_deadline(uv_timer_t *timer)
{
    struct scheduler *scheduler = timer->data;
    if (scheduler->is_open && scheduler_part_look(scheduler))
        wait_for_blocking(scheduler);
    else if (scheduler->is_open)
        scheduler_seal(scheduler);
    scheduler_arm(scheduler);
}

void scheduler_arm(struct scheduler *scheduler)
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
    must(uv_timer_start(&scheduler->timer, scheduler_on_tick, wait_ms, 0) == 0);
}

void scheduler_on_tick(uv_timer_t *timer)
{
    struct scheduler *scheduler = timer->data;
    int64_t tick_ms;

    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    while (find_due(scheduler, now_ms, &tick_ms)) {
        if (scheduler->is_open) {
            must(uv_timer_stop(&scheduler->deadline) == 0);
            scheduler_seal(scheduler);
        }
        run_tick(scheduler, tick_ms);
        if (!is_awaiting(scheduler)) {
            scheduler_seal(scheduler);
            continue;
        }
        wait_for_blocking(scheduler);
    }
    if (room_between(scheduler) == SCHEDULER_ROOM_NOW)
        look_between(scheduler);
    scheduler_cost_judge(scheduler);
    scheduler_arm(scheduler);
}

static void looked_once(void *context, int error)
{
    *(int *)context = error;
}

/* A look by itself, waited for. */
static int look_apart(struct slot *slot)
{
    uv_loop_t loop;
    int error = 0;
    if (slot->source->begin == NULL)
        return is_apart(slot->source) ? slot->source->gather(slot->state, &slot->env) : 0;
    if (uv_loop_init(&loop) != 0)
        return ERR_NOMEM;
    int begun = slot->source->begin(slot->state, &slot->env, &loop, looked_once, &error);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    return begun != 0 ? begun : error;
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
        slot->gather_error = look_apart(slot);
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
        if (!slot->is_busy) {
            slot_free(slot);
            continue;
        }
        slot->scheduler = NULL; /* come_back() frees it */
        if (slot->source->cancel != NULL)
            slot->source->cancel(slot->state);
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

void *scheduler_state(const struct scheduler *scheduler, size_t index)
{
    must(index < scheduler->count);
    return scheduler->slots[index]->state;
}

struct source_report scheduler_report(const struct scheduler *scheduler, size_t index)
{
    must(index < scheduler->count);
    const struct slot *slot = scheduler->slots[index];
    return (struct source_report){.name = slot_title(slot),
                                  .interval_ms = slot->interval_ms,
                                  .in_force_ms = slot_interval_ms(slot),
                                  .cpu_seconds = (double)slot->cpu_ns / 1e9,
                                  .duration_seconds = slot->duration_seconds,
                                  .is_on = slot->state != NULL,
                                  .is_running = slot->is_running && !slot->is_starting,
                                  .has_succeeded = slot->has_succeeded,
                                  .succeeded_ms = slot->succeeded_ms,
                                  .is_busy = slot->is_busy,
                                  .failures = slot->failures,
                                  .late = slot->late,
                                  .skipped = slot->skipped};
}
