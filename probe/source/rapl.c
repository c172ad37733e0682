/*
 * rapl.c - the energy that processor packages, cores and memory have used.
 *
 *     $ cat /sys/class/powercap/intel-rapl:0/{name,energy_uj}
 *     package-0
 *     240422366267             microjoules, going round at max_energy_range_uj
 *
 * A zone named "package-1" is node_rapl_package_joules_total{index="1"}; of zones that have the
 * same name ("core" of two packages) the n-th, in the order of their folders, has index n.
 *
 * Only root may read the counters since 2020 (they tell too much of what runs); a probe that
 * may not leaves this source out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/sysfile.h"
#include "proto/base/error.h"

#define ZONES_MOST     64
#define FOLDER_BYTES   32
#define NAME_BYTES     48
#define TEXT_BYTES     128
#define MICRO_A_JOULE  1000000.0
#define CLASS          "class/powercap"
#define PATH_BYTES_MAX 512

struct rapl_state {
    struct sysfs_source folder; /* first: sysfs_source_collect() takes the state for it */
    char folders[ZONES_MOST][FOLDER_BYTES];
    size_t count;
    char names[ZONES_MOST][NAME_BYTES]; /* without their index */
};

static void note_zone(void *context, int fd, const char *name)
{
    struct rapl_state *rapl = context;
    (void)fd;
    if (strncmp(name, "intel-rapl:", strlen("intel-rapl:")) != 0 ||
        strlen(name) >= FOLDER_BYTES || rapl->count == ZONES_MOST)
        return;
    memcpy(rapl->folders[rapl->count++], name, strlen(name) + 1);
}

static int compare_folders(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "package" and 1 of "package-1"; without a number the index is the caller's to find. */
static bool split_name(struct span text, char name[NAME_BYTES], unsigned *ret_index)
{
    size_t size = 0;
    bool has_index = false;
    for (; text.at < text.end && size + 1 < NAME_BYTES; text.at++) {
        struct span rest = {text.at + 1, text.end};
        uint64_t number;
        if (*text.at == '-' && scan_u64(&rest, &number) && rest.at == rest.end &&
            number <= 1000) {
            *ret_index = (unsigned)number;
            has_index = true;
            break;
        }
        bool is_fit = (*text.at >= 'a' && *text.at <= 'z') ||
                      (*text.at >= 'A' && *text.at <= 'Z') ||
                      (*text.at >= '0' && *text.at <= '9');
        name[size++] = is_fit ? *text.at : '_';
    }
    name[size] = '\0';
    return has_index;
}

static void read_zone(struct rapl_state *rapl, const struct source_env *env, size_t i)
{
    char path[PATH_BYTES_MAX], room[SYSFILE_BYTES], number[16];
    char metric_name[TEXT_BYTES], help[TEXT_BYTES];
    struct span text;
    unsigned index = 0;
    double energy;
    rapl->names[i][0] = '\0';
    snprintf(path, sizeof path, "%s/name", rapl->folders[i]);
    if (!sysfile_text(rapl->folder.fd, path, room, &text))
        return;
    if (!split_name(text, rapl->names[i], &index))
        for (size_t k = 0; k < i; k++)
            index += strcmp(rapl->names[k], rapl->names[i]) == 0;
    snprintf(path, sizeof path, "%s/energy_uj", rapl->folders[i]);
    if (!sysfile_number(rapl->folder.fd, path, &energy))
        return;
    snprintf(number, sizeof number, "%u", index);
    snprintf(metric_name, sizeof metric_name, "node_rapl_%s_joules_total", rapl->names[i]);
    snprintf(help, sizeof help, "Current RAPL %s value in joules", rapl->names[i]);
    snprintf(path, sizeof path, "%s/" CLASS "/%s", env->sysfs, rapl->folders[i]);
    const struct metric metric = {metric_name, METRIC_COUNTER, help, NULL};
    readings_add_two(&rapl->folder.list, &metric, energy / MICRO_A_JOULE, "index",
                     bytes_of(number), "path", bytes_of(path));
}

static int rapl_gather(void *state, const struct source_env *env)
{
    struct rapl_state *rapl = state;
    rapl->count = 0;
    readings_begin(&rapl->folder.list);
    int error = directory_walk(rapl->folder.fd, note_zone, rapl);
    if (error != 0)
        return error;
    qsort(rapl->folders, rapl->count, sizeof *rapl->folders, compare_folders);
    for (size_t i = 0; i < rapl->count; i++)
        read_zone(rapl, env, i);
    return 0;
}

static int rapl_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct rapl_state *rapl = state;
    int error = sysfs_source_open(&rapl->folder, env, CLASS);
    if (error == 0)
        error = rapl_gather(state, env);
    return error == 0 && rapl->folder.list.count == 0 ? ERR_NOTFOUND : error;
}

const struct source source_rapl = {
    .name = "rapl",
    .summary = "energy used by processor packages, cores and memory",
    .needs =
        "/sys/class/powercap/intel-rapl:*/energy_uj, readable: root or CAP_DAC_READ_SEARCH",
    .state_bytes = sizeof(struct rapl_state),
    .interval_ms = 15000,
    .blocking = true,
    .start = rapl_start,
    .gather = rapl_gather,
    .collect = sysfs_source_collect,
    .stop = sysfs_source_stop,
};
