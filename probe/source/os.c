/*
 * os.c - which distribution this is, and what time it has.
 *
 *     $ cat /etc/os-release
 *     PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
 *     VERSION_ID="12"
 *     ID=debian
 *
 * /usr/lib/os-release where there is none in /etc; before systemd neither exists (EL6), and
 * then only the time is left.  The file changes with an upgrade: it is read again when its
 * modification time or size does.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/clock.h"

#define VALUE_BYTES_MAX 256
#define SERIES          2

enum key {
    BUILD_ID,
    ID,
    ID_LIKE,
    IMAGE_ID,
    IMAGE_VERSION,
    NAME,
    PRETTY_NAME,
    VARIANT,
    VARIANT_ID,
    VERSION,
    VERSION_CODENAME,
    VERSION_ID,
    KEYS
};

/* In the order of enum key, which is the order of the labels. */
static const struct {
    const char *word, *label;
} keys[KEYS] = {
    {"BUILD_ID", "build_id"},
    {"ID", "id"},
    {"ID_LIKE", "id_like"},
    {"IMAGE_ID", "image_id"},
    {"IMAGE_VERSION", "image_version"},
    {"NAME", "name"},
    {"PRETTY_NAME", "pretty_name"},
    {"VARIANT", "variant"},
    {"VARIANT_ID", "variant_id"},
    {"VERSION", "version"},
    {"VERSION_CODENAME", "version_codename"},
    {"VERSION_ID", "version_id"},
};

static const struct metric os_info = {
    "node_os_info", METRIC_GAUGE,
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
    "image_version, name, pretty_name, variant, variant_id, version, version_codename, "
    "version_id.",
    NULL};
static const struct metric os_version = {
    "node_os_version", METRIC_GAUGE,
    "Metric containing the major.minor part of the OS version.", NULL};
static const struct metric time_seconds = {"node_time_seconds", METRIC_GAUGE,
                                           "System time in seconds since epoch (1970).", NULL};

static const char *const places[] = {"etc/os-release", "usr/lib/os-release"};

struct os_state {
    struct timespec modified;
    off_t size;
    series_handle info[SERIES]; /* os_info, os_version */
    double version;
    series_handle time;
};

static int os_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct os_state *os = state;
    series_clear(os->info, SERIES);
    os->size = -1;
    os->time = env->live ? series_plain(out, &time_seconds) : SERIES_NONE;
    return 0;
}

/* A shell assignment's value: quotes taken off, backslashes inside them obeyed. */
static struct bytes unquote(struct span value, char out[VALUE_BYTES_MAX])
{
    value = span_trim(value);
    char quote = 0;
    if (value.at < value.end && (*value.at == '"' || *value.at == '\''))
        quote = *value.at++;
    size_t size = 0;
    while (value.at < value.end && size < VALUE_BYTES_MAX) {
        if (quote != 0 && *value.at == quote)
            break;
        if (*value.at == '\\' && quote != '\'' && value.end - value.at > 1)
            value.at++;
        out[size++] = *value.at++;
    }
    return (struct bytes){(uint8_t *)out, size};
}

static void os_register(struct os_state *os, struct span text, struct emitter *out)
{
    char room[KEYS][VALUE_BYTES_MAX];
    struct label labels[KEYS];
    struct span line;

    for (size_t i = 0; i < KEYS; i++)
        labels[i] = (struct label){bytes_of(keys[i].label), {0}};
    while (scan_line(&text, &line)) {
        const char *equals = memchr(line.at, '=', span_size(line));
        if (equals == NULL)
            continue;
        struct span word = {line.at, equals};
        for (size_t i = 0; i < KEYS; i++)
            if (span_is(word, keys[i].word))
                labels[i].value = unquote((struct span){equals + 1, line.end}, room[i]);
    }
    os->info[0] = emitter_series(out, &os_info, labels, KEYS);

    struct bytes version = labels[VERSION_ID].value;
    struct span digits = span_from(version);
    const struct label version_labels[] = {labels[ID], labels[ID_LIKE], labels[NAME]};
    if (version.size > 0 && scan_decimal(&digits, &os->version))
        os->info[1] = emitter_series(out, &os_version, version_labels, 3);
}

static void os_refresh(struct os_state *os, const struct source_env *env, struct emitter *out)
{
    char path[4096];
    struct stat about;
    struct readbuf buf = {0};
    struct span text;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/%s", env->rootfs, places[i]);
        if (stat(path, &about) != 0)
            continue;
        if (about.st_size == os->size && about.st_mtim.tv_sec == os->modified.tv_sec &&
            about.st_mtim.tv_nsec == os->modified.tv_nsec)
            return;
        if (procfile_read_path(env->rootfs, places[i], &buf, &text) == 0) {
            series_end(out, os->info, SERIES);
            series_clear(os->info, SERIES);
            os_register(os, text, out);
            os->size = about.st_size;
            os->modified = about.st_mtim;
        }
        readbuf_done(&buf);
        return;
    }
}

static int os_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct os_state *os = state;
    os_refresh(os, env, out);
    if (os->info[0] != SERIES_NONE)
        emit(out, os->info[0], 1);
    if (os->info[1] != SERIES_NONE)
        emit(out, os->info[1], os->version);
    if (os->time != SERIES_NONE)
        emit(out, os->time, (double)env->now_ms / MS_PER_SEC);
    return 0;
}

const struct source source_os = {
    .name = "os",
    .summary = "distribution and version, system time",
    .state_bytes = sizeof(struct os_state),
    .start = os_start,
    .collect = os_collect,
};
