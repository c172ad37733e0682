/*
 * main.c - what a log file's way through the probe costs: from the file to lines in a batch,
 * without spool and wire.
 *
 *     logpath FILE 'YAML of an entry, without its path'     processor seconds, bytes, MB/s
 *
 * The emitter takes everything and keeps nothing, so that what is measured is reading, cutting,
 * decoding, judging, masking and counting.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "probe/log/log.h"
#include "proto/base/config.h"

struct emitter {
    uint64_t lines, text_bytes;
    series_handle next;
};

series_handle emitter_series(struct emitter *out, const struct metric *metric,
                             const struct label *labels, size_t count)
{
    (void)metric, (void)labels, (void)count;
    return out->next++;
}

void emit(struct emitter *out, series_handle handle, double value)
{
    (void)out, (void)handle, (void)value;
}

void emitter_end(struct emitter *out, series_handle handle)
{
    (void)out, (void)handle;
}

int emitter_record(struct emitter *out, uint32_t kind, struct bytes data)
{
    (void)out, (void)kind, (void)data;
    return 0;
}

int emitter_log(struct emitter *out, const struct log_chunk *chunk)
{
    out->lines += chunk->count;
    for (size_t i = 0; i < chunk->count; i++)
        out->text_bytes += chunk->lines[i].text.size;
    return 0;
}

int emitter_note(struct emitter *out, struct bytes key, struct bytes value)
{
    (void)out, (void)key, (void)value;
    return 0;
}

bool emitter_noted(const struct emitter *out, size_t index, struct bytes *ret_key,
                   struct bytes *ret_value)
{
    (void)out, (void)index, (void)ret_key, (void)ret_value;
    return false;
}

static int fail(const char *what)
{
    (void)fprintf(stderr, "logpath: %s\n", what);
    return EXIT_FAILURE;
}

static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

int main(int argc, char **argv)
{
    char text[16384];
    struct stat facts;
    struct config *config;
    struct diagnosis why = {0};
    struct emitter out = {0};
    struct source_env env = {.procfs = "/proc", .sysfs = "/sys", .rootfs = "/", .now_ms = 1};
    if (argc != 3 || stat(argv[1], &facts) != 0)
        return fail("usage: logpath FILE ENTRY");
    (void)snprintf(text, sizeof text, "- path: %s\n%s\n", argv[1], argv[2]);
    void *state = calloc(1, source_log.state_bytes);
    if (state == NULL || config_parse("entry", bytes_of(text), &config, &why) != 0 ||
        source_log.configure(state, config, config_root(config), &why) != 0 ||
        source_log.start(state, &env, &out) != 0)
        return fail(why.text);
    double before = processor_seconds();
    do {
        env.now_ms += 1000;
        if (source_log.collect(state, &env, &out) != 0)
            return fail("collect failed");
    } while (log_source_has_more(state) || env.now_ms < 3000);
    double seconds = processor_seconds() - before;
    (void)printf(
        "{\"seconds\": %.3f, \"bytes\": %lld, \"lines_sent\": %llu, \"mb_per_s\": %.1f}\n",
        seconds, (long long)facts.st_size, (unsigned long long)out.lines,
        (double)facts.st_size / 1e6 / seconds);
    source_log.stop(state);
    free(state);
    config_free(config);
    return EXIT_SUCCESS;
}
