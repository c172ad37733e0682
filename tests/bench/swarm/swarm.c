#include "tests/bench/swarm/swarm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/bench/swarm/player.h"

#define SOCKETS_A_PLAYER 3 /* DEALER, both ends of its monitor */
#define FILES_A_PLAYER   6
#define WATCH_MS         1000
#define MESSAGE_ARENA    ((size_t)16 << 20)

struct swarm {
    struct stage stage;
    struct player *players;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_signal_t interrupt, terminate;
    double setup_seconds, cpu_at_gate;
    uint64_t started_ns;
};

static double cpu_seconds(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double seconds_since(uint64_t then_ns)
{
    return (double)(clock_mono(&clock_system) - then_ns) / 1e9;
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct swarm *swarm = signal->data;
    (void)snprintf(swarm->stage.result.trouble, sizeof swarm->stage.result.trouble,
                   "stopped by signal %d", number);
    uv_stop(&swarm->stage.loop);
}

static void on_timer(uv_timer_t *timer)
{
    struct swarm *swarm = timer->data;
    struct stage *stage = &swarm->stage;
    double idle_ms = seconds_since(stage->progress_ns) * 1e3;

    if (idle_ms > (double)stage->options->give_up_ms) {
        if (stage->result.trouble[0] == '\0') /* else that is why */
            (void)snprintf(stage->result.trouble, sizeof stage->result.trouble,
                           "nothing moved for %.0f s; %zu of %zu probes are done",
                           idle_ms / 1e3, stage->done_count, stage->player_count);
        uv_stop(&stage->loop);
        return;
    }
    for (size_t i = 0; i < stage->player_count; i++)
        player_nudge(&swarm->players[i]);
}

/* Before the loop sleeps: is it time to open the gate, or to go home? */
static void on_prepare(uv_prepare_t *prepare)
{
    struct swarm *swarm = prepare->data;
    struct stage *stage = &swarm->stage;

    if (!stage->is_open && stage->defined_count == stage->player_count) {
        stage->is_open = true;
        stage->opened_ns = clock_mono(&clock_system);
        swarm->setup_seconds = seconds_since(swarm->started_ns);
        swarm->cpu_at_gate = cpu_seconds();
        for (size_t i = 0; i < stage->player_count; i++)
            player_pump(&swarm->players[i]);
    }
    if (stage->done_count == stage->player_count) {
        stage->result.complete = true;
        uv_stop(&stage->loop);
    }
}

static void raise_file_limit(size_t needed)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* too few show as a socket that cannot be made */
}

/* Which numbers a probe sends; its script, coded ahead unless time matters. */
static int write_script(struct swarm *swarm, size_t index, struct diagnosis *why)
{
    const struct swarm_options *options = swarm->stage.options;
    struct player *player = &swarm->players[index];
    size_t ticks = load_tick_count(options->load, index);
    size_t end = options->tick_end < ticks ? options->tick_end : ticks;
    uint64_t epoch;

    if (options->first_tick >= end)
        return diagnose(why, ERR_INVALID, "%s has no ticks in that range",
                        load_instance(options->load, index));
    if (getrandom(&epoch, sizeof epoch, 0) != sizeof epoch)
        return diagnose(why, ERR_IO, "getrandom");
    script_init(&player->script, options->load, index, epoch, options->first_tick,
                end - options->first_tick, options->depth, options->is_backlog);
    int64_t first_ms = script_tick_ms(&player->script, 1);
    if (index == 0 || first_ms < swarm->stage.first_tick_ms)
        swarm->stage.first_tick_ms = first_ms;
    for (uint64_t n = 1; n <= player->script.count; n++)
        swarm->stage.result.samples_planned += script_samples(&player->script, n);
    swarm->stage.latency_capacity += player->script.count;
    int error = script_code_all(&player->script, &swarm->stage.desk);
    return error == 0 ? 0 : diagnose(why, error, "coding batches: %s", error_text(error));
}

static int write_scripts(struct swarm *swarm, struct diagnosis *why)
{
    struct stage *stage = &swarm->stage;
    size_t samples_max = 1;
    for (size_t i = 0; i < stage->player_count; i++) {
        size_t samples = load_samples_max(stage->options->load, i);
        samples_max = samples > samples_max ? samples : samples_max;
    }
    if (samples_max > BATCH_SAMPLES_MAX)
        return diagnose(why, ERR_LIMIT, "%zu series are more than a batch holds", samples_max);
    if (script_desk_init(&stage->desk, samples_max) != 0)
        return diagnose(why, ERR_NOMEM, "out of memory");
    int error = 0;
    for (size_t i = 0; error == 0 && i < stage->player_count; i++)
        error = write_script(swarm, i, why);
    stage->latencies_ms = calloc(stage->latency_capacity + 1, sizeof *stage->latencies_ms);
    if (error == 0 && stage->latencies_ms == NULL)
        error = diagnose(why, ERR_NOMEM, "out of memory");
    stage->result.coding_cpu_seconds = cpu_seconds();
    return error;
}

static void start_signal(struct swarm *swarm, uv_signal_t *handle, int number)
{
    must(uv_signal_init(&swarm->stage.loop, handle) == 0);
    handle->data = swarm;
    must(uv_signal_start(handle, on_signal, number) == 0);
}

static int start(struct swarm *swarm, struct diagnosis *why)
{
    struct stage *stage = &swarm->stage;
    size_t sockets = stage->player_count * SOCKETS_A_PLAYER + 16;

    raise_file_limit(stage->player_count * FILES_A_PLAYER + 64);
    stage->context = zmq_ctx_new();
    if (stage->context == NULL ||
        zmq_ctx_set(stage->context, ZMQ_MAX_SOCKETS, (int)sockets) != 0)
        return diagnose(why, ERR_NOMEM, "ZeroMQ context: %s", zmq_strerror(zmq_errno()));
    start_signal(swarm, &swarm->interrupt, SIGINT);
    start_signal(swarm, &swarm->terminate, SIGTERM);
    must(uv_timer_init(&stage->loop, &swarm->timer) == 0);
    must(uv_prepare_init(&stage->loop, &swarm->prepare) == 0);
    swarm->timer.data = swarm;
    swarm->prepare.data = swarm;
    must(uv_timer_start(&swarm->timer, on_timer, WATCH_MS, WATCH_MS) == 0);
    must(uv_prepare_start(&swarm->prepare, on_prepare) == 0);
    swarm->started_ns = clock_mono(&clock_system);
    stage->progress_ns = swarm->started_ns;
    int error = 0;
    for (size_t i = 0; error == 0 && i < stage->player_count; i++)
        error = player_open(&swarm->players[i], stage, i, why);
    return error;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void sum_up(struct swarm *swarm)
{
    struct stage *stage = &swarm->stage;
    struct swarm_result *result = &stage->result;
    float *latencies = stage->latencies_ms;
    size_t count = stage->latency_count;

    result->probes = stage->player_count;
    result->setup_seconds =
        stage->is_open ? swarm->setup_seconds : seconds_since(swarm->started_ns);
    result->wall_seconds = stage->is_open ? seconds_since(stage->opened_ns) : 0;
    result->cpu_seconds = stage->is_open ? cpu_seconds() - swarm->cpu_at_gate : 0;
    if (count == 0)
        return;
    qsort(latencies, count, sizeof *latencies, compare_floats);
    result->ack_p50_ms = (double)latencies[count / 2];
    result->ack_p99_ms = (double)latencies[(size_t)((double)count * 0.99)];
    result->ack_max_ms = (double)latencies[count - 1];
}

static void close_any(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void finish(struct swarm *swarm)
{
    struct stage *stage = &swarm->stage;
    for (size_t i = 0; swarm->players != NULL && i < stage->player_count; i++)
        player_close(&swarm->players[i]);
    uv_walk(&stage->loop, close_any, NULL);
    (void)uv_run(&stage->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&stage->loop) == 0);
    if (stage->context != NULL)
        (void)zmq_ctx_term(stage->context);
    for (size_t i = 0; swarm->players != NULL && i < stage->player_count; i++)
        script_done(&swarm->players[i].script);
    free(swarm->players);
    free(stage->latencies_ms);
    script_desk_done(&stage->desk);
    buf_done(&stage->out);
    arena_reset(&stage->arena);
}

int swarm_run(const struct swarm_options *options, struct swarm_result *ret_result,
              struct diagnosis *why)
{
    struct swarm swarm = {.stage.options = options,
                          .stage.player_count = load_probe_count(options->load)};
    struct stage *stage = &swarm.stage;

    arena_init(&stage->arena, MESSAGE_ARENA);
    must(uv_loop_init(&stage->loop) == 0);
    swarm.players = calloc(stage->player_count, sizeof *swarm.players);
    int error = swarm.players == NULL ? diagnose(why, ERR_NOMEM, "out of memory")
                                      : write_scripts(&swarm, why);
    if (error == 0)
        error = start(&swarm, why);
    if (error == 0) {
        (void)uv_run(&stage->loop, UV_RUN_DEFAULT);
        sum_up(&swarm);
        *ret_result = stage->result;
    }
    finish(&swarm);
    return error;
}
