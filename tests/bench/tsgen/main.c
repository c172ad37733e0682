/*
 * main.c - tsgen: request bodies for ingest benchmarks, out of a recording of a real exporter.
 *
 *     tsgen profile RECORDING STEP_S > profile     learn how series behave
 *     tsgen synth -p PROFILE  -o PREFIX [...]      many hosts that behave so
 *     tsgen real  -r RECORDING -o PREFIX [...]     the recording itself
 *
 * Host h goes to PREFIX.(h % shards), in the order of time (kit/frames.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "tests/bench/tsgen/profile.h"
#include "tests/bench/tsgen/tsgen.h"

static const char usage[] =
    "usage: tsgen profile RECORDING STEP_S\n"
    "       tsgen synth -p PROFILE -o PREFIX -s START_MS [-H HOSTS] [-n STEPS] [-S SEED] ...\n"
    "       tsgen real -r RECORDING -o PREFIX [-s START_MS] [-H HOSTS] [-a] ...\n"
    "  -i STEP_MS  -k SHARDS  -b SAMPLES_A_REQUEST  -c SAMPLES_A_LINE (json)\n"
    "  -f rw|rw2|text|json  -I INSTANCE_PREFIX  -a (real: keep milliseconds)\n";

void instance_of(size_t host, const char *prefix, char text[INSTANCE_BYTES])
{
    (void)snprintf(text, INSTANCE_BYTES, "%.40s%04zu:9100", prefix, host);
}

static int take_format(struct tsgen_options *options, const char *name)
{
    static const char *const names[] = {"rw", "text", "json", "rw2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            options->format = (enum output_format)i;
            return 0;
        }
    return ERR_INVALID;
}

static int take(struct tsgen_options *options, int flag, const char *value)
{
    const char **texts[] = {['p'] = &options->profile,
                            ['r'] = &options->recording,
                            ['o'] = &options->prefix,
                            ['I'] = &options->instance};
    size_t *sizes[] = {['H'] = &options->hosts,
                       ['n'] = &options->steps,
                       ['k'] = &options->shards,
                       ['c'] = &options->chunk};
    switch (flag) {
    case 'p':
    case 'r':
    case 'o':
    case 'I':
        *texts[flag] = value;
        return 0;
    case 'H':
    case 'n':
    case 'k':
    case 'c':
        *sizes[flag] = strtoull(value, NULL, 10);
        return *sizes[flag] > 0 ? 0 : ERR_INVALID;
    case 'b':
        options->samples_a_request = (uint32_t)strtoul(value, NULL, 10);
        return 0;
    case 'i':
        options->step_ms = strtoll(value, NULL, 10);
        return options->step_ms > 0 ? 0 : ERR_INVALID;
    case 's':
        options->start_ms = strtoll(value, NULL, 10);
        return 0;
    case 'S':
        options->seed = strtoull(value, NULL, 10);
        return 0;
    case 'a':
        options->keeps_milliseconds = true;
        return 0;
    case 'f':
        return take_format(options, value);
    default:
        return ERR_INVALID;
    }
}

static int make(int argc, char **argv, struct diagnosis *why)
{
    bool is_real = strcmp(argv[1], "real") == 0;
    struct tsgen_options options = {.instance = "host-",
                                    .hosts = is_real ? 1 : 100,
                                    .steps = 240,
                                    .shards = is_real ? 1 : 4,
                                    .chunk = 40,
                                    .samples_a_request = 2000,
                                    .step_ms = is_real ? 1000 : 15000,
                                    .start_ms = -1,
                                    .seed = 1};
    int flag;
    optind = 2;
    while ((flag = getopt(argc, argv, "p:r:H:n:i:s:S:b:k:o:f:c:aI:")) != -1)
        if (take(&options, flag, optarg) != 0)
            return diagnose(why, ERR_INVALID, "%s", usage);
    if (options.prefix == NULL)
        return diagnose(why, ERR_INVALID, "-o PREFIX is needed");
    return is_real ? real_make(&options, why) : synth_make(&options, why);
}

static int learn(const char *path, const char *step, struct diagnosis *why)
{
    struct recording recording;
    int error = recording_read(path, &recording, why);
    if (error != 0)
        return error;
    error = profile_print(&recording, strtoul(step, NULL, 10), why);
    recording_done(&recording);
    return error;
}

int main(int argc, char **argv)
{
    struct diagnosis why = {0};
    int error = ERR_INVALID;
    if (argc == 4 && strcmp(argv[1], "profile") == 0)
        error = learn(argv[2], argv[3], &why);
    else if (argc > 2 && (strcmp(argv[1], "synth") == 0 || strcmp(argv[1], "real") == 0))
        error = make(argc, argv, &why);
    if (error == 0)
        return 0;
    (void)fprintf(stderr, "tsgen: %s\n", why.text[0] != '\0' ? why.text : usage);
    return why.text[0] != '\0' ? 1 : 2;
}
