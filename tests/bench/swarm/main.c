/*
 * main.c - fengsui-swarm: plays many probes against a collector, and says how fast that went.
 *
 *     fengsui-swarm --collector tcp://127.0.0.1:9471 --collector-key data/keys/collector.pub \
 *                   --token data/keys/enrol.token --probes 100 --series 1000 --samples 20000000
 *
 * Exit codes: 0 everything was acknowledged, 1 it was not, 2 unusable arguments.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/units.h"
#include "tests/bench/swarm/requests.h"
#include "tests/bench/swarm/script.h"
#include "tests/bench/swarm/swarm.h"

#define EXIT_FINE   0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

#define TOKEN_FILE_BYTES 1024
#define START_AFTER_MS   1000 /* --realtime: the first tick, when coding ahead takes no time */

static const char usage[] =
    "usage: fengsui-swarm --collector ENDPOINT --collector-key KEY|FILE [OPTION...]\n"
    "\n"
    "  --collector ENDPOINT      tcp://host:port\n"
    "  --collector-key KEY|FILE  its public key\n"
    "  --token TOKEN|FILE        enrolment token\n"
    "  --probes N                how many probes to play (100)\n"
    "  --series N                of each probe (1000)\n"
    "  --interval DURATION       between two ticks of a probe (15s)\n"
    "  --samples N               in all; rounded up to whole ticks (1000000)\n"
    "  --seed N                  of values and phases (1)\n"
    "  --start MS                Unix time of the first tick (so that the last is now)\n"
    "  --frames FILE...          play these frame files instead: a probe for each instance\n"
    "  --from TICK --until TICK  only these ticks of each probe, from 0\n"
    "  --fast                    as fast as window and bases allow (the default)\n"
    "  --realtime                each tick at its time, from now on\n"
    "  --speed X                 replay X times as fast as time\n"
    "  --in-flight N             messages of one probe under way, 1 to 3 (2)\n"
    "  --backlog                 groups of batches, as after an outage; else a batch a message\n"
    "  --give-up DURATION        after so long without progress (60s)\n"
    "  --write-requests DIR      write the load as remote-write bodies in frame files\n"
    "  --request-ticks N         ticks of a probe that may share one of them (1)\n"
    "  --json                    print one JSON object instead of a table\n"
    "  --version, --help\n";

struct arguments {
    const char *collector, *collector_key, *token, *requests;
    struct load_options made;
    uint64_t samples;
    size_t request_ticks;
    struct swarm_options swarm;
    bool realtime, json, has_start, has_frames, quit;
    char **frames;
    int frame_count;
};

enum flag {
    FLAG_COLLECTOR = 256,
    FLAG_KEY,
    FLAG_TOKEN,
    FLAG_PROBES,
    FLAG_SERIES,
    FLAG_INTERVAL,
    FLAG_SAMPLES,
    FLAG_SEED,
    FLAG_START,
    FLAG_FRAMES,
    FLAG_FROM,
    FLAG_UNTIL,
    FLAG_FAST,
    FLAG_REALTIME,
    FLAG_SPEED,
    FLAG_IN_FLIGHT,
    FLAG_BACKLOG,
    FLAG_GIVE_UP,
    FLAG_REQUESTS,
    FLAG_REQUEST_TICKS,
    FLAG_JSON,
    FLAG_VERSION,
    FLAG_HELP
};

static const struct option flags[] = {
    {"collector", required_argument, NULL, FLAG_COLLECTOR},
    {"collector-key", required_argument, NULL, FLAG_KEY},
    {"token", required_argument, NULL, FLAG_TOKEN},
    {"probes", required_argument, NULL, FLAG_PROBES},
    {"series", required_argument, NULL, FLAG_SERIES},
    {"interval", required_argument, NULL, FLAG_INTERVAL},
    {"samples", required_argument, NULL, FLAG_SAMPLES},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"start", required_argument, NULL, FLAG_START},
    {"frames", no_argument, NULL, FLAG_FRAMES},
    {"from", required_argument, NULL, FLAG_FROM},
    {"until", required_argument, NULL, FLAG_UNTIL},
    {"fast", no_argument, NULL, FLAG_FAST},
    {"realtime", no_argument, NULL, FLAG_REALTIME},
    {"speed", required_argument, NULL, FLAG_SPEED},
    {"in-flight", required_argument, NULL, FLAG_IN_FLIGHT},
    {"backlog", no_argument, NULL, FLAG_BACKLOG},
    {"give-up", required_argument, NULL, FLAG_GIVE_UP},
    {"write-requests", required_argument, NULL, FLAG_REQUESTS},
    {"request-ticks", required_argument, NULL, FLAG_REQUEST_TICKS},
    {"json", no_argument, NULL, FLAG_JSON},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

static int number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number,
                  struct diagnosis *why)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < least || value > most)
        return diagnose(why, ERR_INVALID, "\"%s\" is no number from %llu to %llu", text,
                        (unsigned long long)least, (unsigned long long)most);
    *ret_number = value;
    return 0;
}

static int size(const char *text, uint64_t least, uint64_t most, size_t *ret_size,
                struct diagnosis *why)
{
    uint64_t value = 0;
    int error = number(text, least, most, &value, why);
    if (error == 0)
        *ret_size = (size_t)value;
    return error;
}

static int duration(const char *text, int64_t *ret_ms, struct diagnosis *why)
{
    int64_t value;
    if (duration_parse(text, &value) != 0 || value <= 0)
        return diagnose(why, ERR_INVALID, "\"%s\" is no duration (15s, 500ms)", text);
    *ret_ms = value;
    return 0;
}

static int take_speed(const char *text, double *ret_speed, struct diagnosis *why)
{
    char *end;
    double speed = strtod(text, &end);
    if (*end != '\0' || !(speed > 0))
        return diagnose(why, ERR_INVALID, "\"%s\" is no speed above 0", text);
    *ret_speed = speed;
    return 0;
}

/* What decides how it is played. */
static int take_manner(struct arguments *arguments, int flag, const char *value,
                       struct diagnosis *why)
{
    struct swarm_options *swarm = &arguments->swarm;
    switch (flag) {
    case FLAG_FROM:
        return size(value, 0, SIZE_MAX, &swarm->first_tick, why);
    case FLAG_UNTIL:
        return size(value, 1, SIZE_MAX, &swarm->tick_end, why);
    case FLAG_FAST:
        swarm->speed = 0;
        arguments->realtime = false;
        return 0;
    case FLAG_REALTIME:
        swarm->speed = 1;
        arguments->realtime = true;
        return 0;
    case FLAG_SPEED:
        return take_speed(value, &swarm->speed, why);
    case FLAG_IN_FLIGHT:
        return number(value, 1, SCRIPT_DEPTH_MAX, &swarm->depth, why);
    case FLAG_BACKLOG:
        swarm->is_backlog = true;
        return 0;
    case FLAG_GIVE_UP:
        return duration(value, &swarm->give_up_ms, why);
    case FLAG_REQUESTS:
        arguments->requests = value;
        return 0;
    case FLAG_REQUEST_TICKS:
        return size(value, 1, UINT32_MAX, &arguments->request_ticks, why);
    case FLAG_JSON:
        arguments->json = true;
        return 0;
    case FLAG_VERSION:
    case FLAG_HELP:
        (void)fputs(flag == FLAG_HELP ? usage : "fengsui-swarm " FENGSUI_VERSION "\n", stdout);
        arguments->quit = true;
        return 0;
    default:
        return diagnose(why, ERR_INVALID, "see --help");
    }
}

static int take_flag(struct arguments *arguments, int flag, const char *value,
                     struct diagnosis *why)
{
    struct load_options *made = &arguments->made;
    uint64_t start = 0;
    int error;
    switch (flag) {
    case FLAG_COLLECTOR:
        arguments->collector = value;
        return 0;
    case FLAG_KEY:
        arguments->collector_key = value;
        return 0;
    case FLAG_TOKEN:
        arguments->token = value;
        return 0;
    case FLAG_PROBES:
        return size(value, 1, 10000, &made->probes, why);
    case FLAG_SERIES:
        return size(value, 1, BATCH_SAMPLES_MAX, &made->series, why);
    case FLAG_INTERVAL:
        return duration(value, &made->interval_ms, why);
    case FLAG_SAMPLES:
        return number(value, 1, UINT64_MAX, &arguments->samples, why);
    case FLAG_SEED:
        return number(value, 0, UINT64_MAX, &made->seed, why);
    case FLAG_START:
        error = number(value, 0, INT64_MAX, &start, why);
        made->start_ms = error == 0 ? (int64_t)start : 0;
        arguments->has_start = true;
        return error;
    case FLAG_FRAMES:
        arguments->has_frames = true;
        return 0;
    default:
        return take_manner(arguments, flag, value, why);
    }
}

static int read_arguments(int argc, char **argv, struct arguments *arguments,
                          struct diagnosis *why)
{
    *arguments = (struct arguments){
        .request_ticks = 1,
        .made = {.probes = 100, .series = 1000, .interval_ms = 15000, .seed = 1},
        .samples = 1000000,
        .token = "",
        .swarm = {.tick_end = SIZE_MAX, .depth = 2, .give_up_ms = 60000}};
    int flag, error = 0;
    while (error == 0 && (flag = getopt_long(argc, argv, "", flags, NULL)) != -1)
        error = take_flag(arguments, flag, optarg, why);
    if (error != 0 || arguments->quit)
        return error;
    arguments->frames = argv + optind;
    arguments->frame_count = argc - optind;
    if (arguments->has_frames != (arguments->frame_count > 0))
        return diagnose(why, ERR_INVALID, "--frames and files belong together");
    if (arguments->has_frames && arguments->realtime)
        return diagnose(why, ERR_INVALID, "frames have times of their own: --speed 1");
    if (arguments->swarm.is_backlog && arguments->swarm.speed > 0)
        return diagnose(why, ERR_INVALID, "a backlog goes as fast as it can");
    if (arguments->collector == NULL && arguments->requests == NULL)
        return diagnose(why, ERR_INVALID, "--collector or --write-requests is needed");
    if (arguments->collector != NULL && arguments->collector_key == NULL)
        return diagnose(why, ERR_INVALID, "--collector-key is needed");
    return 0;
}

/* Ticks up to now, or from now on. */
static void set_times(struct arguments *arguments)
{
    struct load_options *made = &arguments->made;
    uint64_t per_tick = (uint64_t)made->probes * made->series;
    int64_t now_ms = clock_unix_ms(&clock_system);

    made->ticks = (size_t)((arguments->samples + per_tick - 1) / per_tick);
    if (arguments->has_start)
        return;
    int64_t start_ms = arguments->realtime
                           ? now_ms + START_AFTER_MS
                           : now_ms - (int64_t)(made->ticks + 1) * made->interval_ms;
    made->start_ms = start_ms / made->interval_ms * made->interval_ms;
}

static int make_load(struct arguments *arguments, struct load **ret_load, struct diagnosis *why)
{
    if (arguments->has_frames)
        return load_read(arguments->frames, (size_t)arguments->frame_count, ret_load, why);
    set_times(arguments);
    return load_make(&arguments->made, ret_load, why);
}

static int write_requests(const struct arguments *arguments, const struct load *load,
                          struct diagnosis *why)
{
    struct requests_result result;
    size_t series;
    size_t ticks = load_tick_count(load, 0);
    int error = requests_write(load, arguments->requests, arguments->request_ticks, &result,
                               why);
    if (error != 0)
        return error;
    (void)load_definitions(load, 0, &series);
    int64_t first_ms = load_tick_ms(load, 0, 0);
    int64_t step_ms = ticks < 2 ? 0 : load_tick_ms(load, 0, 1) - first_ms;
    (void)printf("{\"kind\":\"swarm\",\"format\":\"rw\",\"hosts\":%zu,\"series_per_host\":%zu,"
                 "\"series\":%zu,\"start_ms\":%lld,\"step_ms\":%lld,\"steps\":%zu,"
                 "\"shards\":%zu,\"requests\":%llu,\"samples\":%llu,\"wire_bytes\":%llu}\n",
                 load_probe_count(load), series, load_probe_count(load) * series,
                 (long long)first_ms, (long long)step_ms, ticks, result.shards,
                 (unsigned long long)result.requests, (unsigned long long)result.samples,
                 (unsigned long long)result.body_bytes);
    return 0;
}

static double rate(double amount, double by)
{
    return by > 0 ? amount / by : 0;
}

static void print_json(const struct swarm_result *r)
{
    char trouble[DIAGNOSIS_BYTES];
    size_t size_now = strlen(r->trouble);
    for (size_t i = 0; i <= size_now; i++) /* as JSON would have it */
        trouble[i] = r->trouble[i] == '"' || r->trouble[i] == '\\' ? '\'' : r->trouble[i];
    (void)printf(
        "{\"probes\":%zu,\"samples\":%llu,\"samples_planned\":%llu,\"requests\":%llu,"
        "\"bytes\":%llu,\"definition_bytes\":%llu,\"bytes_per_sample\":%.4f,\"setup_s\":%.3f,"
        "\"wall_s\":%.3f,\"samples_per_s\":%.0f,\"sender_cpu_s\":%.3f,\"coding_cpu_s\":%.3f,"
        "\"lat_p50_ms\":%.3f,\"lat_p99_ms\":%.3f,\"lat_max_ms\":%.3f,\"resumes\":%llu,"
        "\"keys_needed\":%llu,\"refusals\":%llu,\"bad\":0,\"lost\":%d,\"inflight\":%llu,"
        "\"complete\":%s,\"err\":\"%s\"}\n",
        r->probes, (unsigned long long)r->samples, (unsigned long long)r->samples_planned,
        (unsigned long long)r->batches, (unsigned long long)r->batch_bytes,
        (unsigned long long)r->definition_bytes,
        rate((double)r->batch_bytes, (double)r->samples), r->setup_seconds, r->wall_seconds,
        rate((double)r->samples, r->wall_seconds), r->cpu_seconds, r->coding_cpu_seconds,
        r->ack_p50_ms, r->ack_p99_ms, r->ack_max_ms, (unsigned long long)r->resumes,
        (unsigned long long)r->keys_needed, (unsigned long long)r->refusals, !r->complete,
        (unsigned long long)(r->samples_planned - r->samples), r->complete ? "true" : "false",
        trouble);
}

static void print_table(const struct swarm_result *r)
{
    (void)printf("probes                   %zu, set up in %.3f s\n", r->probes,
                 r->setup_seconds);
    (void)printf("samples acknowledged     %llu of %llu, in %llu batches\n",
                 (unsigned long long)r->samples, (unsigned long long)r->samples_planned,
                 (unsigned long long)r->batches);
    (void)printf("wall                     %.3f s, %.0f samples/s\n", r->wall_seconds,
                 rate((double)r->samples, r->wall_seconds));
    (void)printf("send to Ack              p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
                 r->ack_p50_ms, r->ack_p99_ms, r->ack_max_ms);
    (void)printf("on the wire              %.3f bytes a sample; definitions %llu bytes\n",
                 rate((double)r->batch_bytes, (double)r->samples),
                 (unsigned long long)r->definition_bytes);
    (void)printf("own processor time       %.2f s sending, %.2f s coding before\n",
                 r->cpu_seconds, r->coding_cpu_seconds);
    (void)printf("reconnects %llu, bases missing %llu, refusals %llu\n",
                 (unsigned long long)r->resumes, (unsigned long long)r->keys_needed,
                 (unsigned long long)r->refusals);
    if (r->trouble[0] != '\0')
        (void)printf("%s: %s\n", r->complete ? "note" : "INCOMPLETE", r->trouble);
}

/* The text itself, or what the file of that name holds. */
static int token_of(const char *text_or_path, char **ret_token, struct diagnosis *why)
{
    if (access(text_or_path, F_OK) == 0)
        return file_read_secret(text_or_path, TOKEN_FILE_BYTES, ret_token, why);
    *ret_token = strdup(text_or_path);
    return *ret_token == NULL ? diagnose(why, ERR_NOMEM, "out of memory") : 0;
}

static int play(struct arguments *arguments, const struct load *load, char *token,
                struct diagnosis *why)
{
    struct swarm_result result = {0};
    struct swarm_options *options = &arguments->swarm;

    options->collector = arguments->collector;
    options->token = token;
    options->load = load;
    options->interval_ms = (uint32_t)arguments->made.interval_ms;
    int error = swarm_run(options, &result, why);
    if (error != 0)
        return error;
    (arguments->json ? print_json : print_table)(&result);
    return result.complete ? 0 : ERR_CANCELLED; /* the table says why */
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct diagnosis why = {0};
    struct load *load = NULL;
    char *token = NULL;

    int error = read_arguments(argc, argv, &arguments, &why);
    if (error == 0 && arguments.quit)
        return EXIT_FINE;
    if (error == 0 && arguments.collector != NULL)
        error = curve_public_from(arguments.collector_key, arguments.swarm.collector_key, &why);
    if (error == 0)
        error = token_of(arguments.token, &token, &why);
    if (error != 0) {
        (void)fprintf(stderr, "fengsui-swarm: %s\n", why.text);
        free(token);
        return EXIT_USAGE;
    }
    error = make_load(&arguments, &load, &why);
    if (error == 0 && arguments.requests != NULL)
        error = write_requests(&arguments, load, &why);
    if (error == 0 && arguments.collector != NULL)
        error = play(&arguments, load, token, &why);
    if (why.text[0] != '\0')
        (void)fprintf(stderr, "fengsui-swarm: %s\n", why.text);
    load_free(load);
    free(token);
    return error == 0 ? EXIT_FINE : EXIT_FAILED;
}
