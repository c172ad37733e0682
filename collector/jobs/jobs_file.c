/*
 * jobs_file.c - jobs.yml by tables; see jobs_file.h.
 */
#include "collector/jobs/jobs_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collector/http/users.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define DAY_MS      CIVIL_DAY_MS
#define LABELS_OWN  2 /* job_name and severity */
#define LABELS_MAX  32
#define HASH_PREFIX "blake2b:"
#define HASH_DIGITS 64
#define FNV_OFFSET  UINT64_C(14695981039346656037)
#define FNV_PRIME   UINT64_C(1099511628211)
#define ROWS(table) (table), sizeof(table) / sizeof *(table)

struct jobs_file {
    struct config *config; /* texts are its own */
    const char *token_hash;
    struct jobs_entry *entries;
    size_t count;
};

struct root {
    const char *time_zone, *token_hash;
    const struct config_node *jobs;
};

static const struct config_option root_rows[] = {
    {.key = "time_zone",
     .type = CONFIG_STRING,
     .offset = offsetof(struct root, time_zone),
     .fallback = "Asia/Shanghai"},
    {.key = "token_hash", .type = CONFIG_STRING, .offset = offsetof(struct root, token_hash)},
    {.key = "jobs", .type = CONFIG_NODE, .offset = offsetof(struct root, jobs)},
};

struct written {
    const char *name, *title, *cron, *calendar, *time_zone, *severity, *token_hash;
    int64_t every_ms, grace_ms, start_within_ms, min_duration_ms, max_duration_ms;
    uint64_t min_size, max_size;
    bool once;
    const struct config_node *labels;
};

#define AT(field) offsetof(struct written, field)

static const char *const calendars[] = {"cn-workday", "cn-holiday", NULL};

static const struct config_option job_rows[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = AT(name), .required = true},
    {.key = "title", .type = CONFIG_STRING, .offset = AT(title)},
    {.key = "cron", .type = CONFIG_STRING, .offset = AT(cron)},
    {.key = "every",
     .type = CONFIG_DURATION,
     .offset = AT(every_ms),
     .min = 1000,
     .max = 400 * DAY_MS},
    {.key = "calendar", .type = CONFIG_STRING, .offset = AT(calendar), .choices = calendars},
    {.key = "time_zone", .type = CONFIG_STRING, .offset = AT(time_zone)},
    {.key = "grace",
     .type = CONFIG_DURATION,
     .offset = AT(grace_ms),
     .fallback = "1h",
     .min = 1000,
     .max = 400 * DAY_MS},
    {.key = "start_within",
     .type = CONFIG_DURATION,
     .offset = AT(start_within_ms),
     .min = 1000,
     .max = 400 * DAY_MS},
    {.key = "min_duration",
     .type = CONFIG_DURATION,
     .offset = AT(min_duration_ms),
     .min = 1,
     .max = 400 * DAY_MS},
    {.key = "max_duration",
     .type = CONFIG_DURATION,
     .offset = AT(max_duration_ms),
     .min = 1,
     .max = 400 * DAY_MS},
    {.key = "min_size", .type = CONFIG_SIZE, .offset = AT(min_size)},
    {.key = "max_size", .type = CONFIG_SIZE, .offset = AT(max_size)},
    {.key = "once", .type = CONFIG_BOOL, .offset = AT(once), .fallback = "false"},
    {.key = "severity", .type = CONFIG_STRING, .offset = AT(severity), .fallback = "critical"},
    {.key = "labels", .type = CONFIG_NODE, .offset = AT(labels)},
    {.key = "token_hash", .type = CONFIG_STRING, .offset = AT(token_hash)},
};

/* ---- pieces ------------------------------------------------------------------------------ */

bool job_name_is_fit(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size >= JOB_NAME_BYTES || name[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_.-", name[i]) == NULL)
            return false;
    return true;
}

static int check_hash(struct config *config, const struct config_node *parent, const char *hash,
                      struct diagnosis *why)
{
    size_t prefix = strlen(HASH_PREFIX);
    if (hash == NULL ||
        (strncmp(hash, HASH_PREFIX, prefix) == 0 && strlen(hash + prefix) == HASH_DIGITS &&
         strspn(hash + prefix, "0123456789abcdefABCDEF") == HASH_DIGITS))
        return 0;
    return config_complain(config, config_child(parent, "token_hash"), why,
                           "token_hash is not \"" HASH_PREFIX
                           "\" and 64 hex digits; make one with: fengsuictl users token");
}

static int read_zone(struct config *config, const struct config_node *parent, const char *text,
                     struct civil_zone *ret_zone, struct diagnosis *why)
{
    if (civil_zone_parse(text, ret_zone) && !ret_zone->is_local)
        return 0;
    return config_complain(config, config_child(parent, "time_zone"), why,
                           "time_zone: expected Asia/Shanghai, UTC, or an offset such as "
                           "\"+08:00\"");
}

static void mix(uint64_t *hash, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        *hash = (*hash ^ (uint8_t)*text) * FNV_PRIME;
    *hash = (*hash ^ 0xFF) * FNV_PRIME;
}

/* Of what decides when it is due; kept in rows, so it must not change between versions. */
static uint64_t hash_schedule(const struct written *written, const struct schedule *schedule)
{
    uint64_t hash = FNV_OFFSET;
    mix(&hash, written->cron);
    mix(&hash, written->calendar);
    hash = (hash ^ (uint64_t)schedule->every_ms) * FNV_PRIME;
    hash = (hash ^ (uint64_t)schedule->zone.offset_ms) * FNV_PRIME;
    return hash;
}

/* ---- a job ------------------------------------------------------------------------------- */

static int read_schedule(struct jobs_file *file, const struct config_node *node,
                         const struct written *written, const char *time_zone,
                         struct job_spec *spec, struct diagnosis *why)
{
    struct schedule *schedule = &spec->schedule;
    struct diagnosis reason = {0};
    int error = read_zone(file->config, node,
                          written->time_zone != NULL ? written->time_zone : time_zone,
                          &schedule->zone, why);
    if (error == 0 && written->cron != NULL && written->every_ms > 0)
        error =
            config_complain(file->config, node, why, "%s: either cron or every", spec->name);
    if (error == 0 && written->cron != NULL &&
        cron_parse(written->cron, &schedule->cron, &reason) != 0)
        error = config_complain(file->config, config_child(node, "cron"), why, "cron: %s",
                                reason.text);
    if (error != 0)
        return error;
    schedule->every_ms = written->every_ms;
    schedule->has_cron = written->cron != NULL;
    if (written->calendar != NULL)
        schedule->days = strcmp(written->calendar, "cn-workday") == 0 ? SCHEDULE_WORKDAYS
                                                                      : SCHEDULE_DAYS_OFF;
    if (!schedule->has_cron && schedule->every_ms == 0 &&
        (written->calendar != NULL || written->start_within_ms > 0))
        return config_complain(file->config, node, why,
                               "%s: calendar and start_within need cron or every", spec->name);
    spec->schedule_hash = hash_schedule(written, schedule);
    return 0;
}

/* What contradicts itself. */
static int check_bounds(struct jobs_file *file, const struct config_node *node,
                        const struct job_spec *spec, struct diagnosis *why)
{
    const char *reason = NULL;
    if (spec->start_within_ms > spec->grace_ms)
        reason = "start_within is longer than grace";
    else if (spec->max_duration_ms > 0 && spec->max_duration_ms < spec->min_duration_ms)
        reason = "max_duration is shorter than min_duration";
    else if (spec->max_size > 0 && spec->max_size < spec->min_size)
        reason = "max_size is less than min_size";
    else if (spec->once && !spec->schedule.has_cron)
        reason = "once needs cron: without it there is no time that could have a second run";
    return reason == NULL
               ? 0
               : config_complain(file->config, node, why, "%s: %s", spec->name, reason);
}

static bool is_own_label(const char *name)
{
    return strcmp(name, "alertname") == 0 || strcmp(name, "job_name") == 0 ||
           strcmp(name, "severity") == 0;
}

static int read_labels(struct jobs_file *file, const struct config_node *map,
                       struct jobs_entry *entry, struct diagnosis *why)
{
    struct label pairs[LABELS_MAX + LABELS_OWN];
    size_t count = 0;
    pairs[count++] = (struct label){bytes_of("job_name"), bytes_of(entry->spec.name)};
    pairs[count++] = (struct label){bytes_of("severity"), bytes_of(entry->severity)};
    if (map != NULL && (map->kind != CONFIG_MAP || map->count > LABELS_MAX))
        return config_complain(file->config, map, why,
                               "labels must be a map of at most %d texts", LABELS_MAX);
    for (size_t i = 0; map != NULL && i < map->count; i++) {
        const struct config_node *pair = map->children[i];
        if (pair->kind != CONFIG_SCALAR || !label_name_is_legacy(bytes_of(pair->key)) ||
            is_own_label(pair->key))
            return config_complain(file->config, pair, why,
                                   "labels: \"%s\" is no label of one's own", pair->key);
        pairs[count++] = (struct label){bytes_of(pair->key), bytes_of(pair->text)};
    }
    int error = labels_build(pairs, count, NULL, &entry->labels);
    if (error == ERR_NOMEM || error == 0)
        return error;
    return config_complain(file->config, map, why, "labels: %s", error_text(error));
}

static void take_written(const struct written *written, struct jobs_entry *entry)
{
    entry->spec = (struct job_spec){
        .name = written->name,
        .title =
            written->title != NULL && *written->title != '\0' ? written->title : written->name,
        .grace_ms = written->grace_ms,
        .start_within_ms = written->start_within_ms,
        .min_duration_ms = written->min_duration_ms,
        .max_duration_ms = written->max_duration_ms,
        .min_size = written->min_size,
        .max_size = written->max_size,
        .once = written->once,
    };
    entry->severity = written->severity;
    entry->calendar = written->calendar != NULL ? written->calendar : "";
    entry->schedule = written->cron != NULL ? written->cron : "";
    entry->token_hash = written->token_hash;
}

static int read_job(struct jobs_file *file, const struct config_node *node,
                    const char *time_zone, struct diagnosis *why)
{
    struct written written = {0};
    struct jobs_entry *entry = &file->entries[file->count];
    int error = config_read(file->config, node, "jobs", ROWS(job_rows), &written, why);
    if (error != 0)
        return error;
    take_written(&written, entry);
    if (!job_name_is_fit(written.name))
        return config_complain(file->config, config_child(node, "name"), why,
                               "\"%s\" cannot be a job's name: at most %d letters, digits, "
                               "\"_\", \".\" and \"-\"",
                               written.name, JOB_NAME_BYTES - 1);
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].spec.name, written.name) == 0)
            return config_complain(file->config, node, why, "job \"%s\" is there twice",
                                   written.name);
    error = read_schedule(file, node, &written, time_zone, &entry->spec, why);
    if (error == 0)
        error = check_bounds(file, node, &entry->spec, why);
    if (error == 0)
        error = check_hash(file->config, node, written.token_hash, why);
    if (error == 0)
        error = read_labels(file, written.labels, entry, why);
    if (error == 0)
        file->count++;
    return error;
}

/* ---- the file ---------------------------------------------------------------------------- */

static int read_root(struct jobs_file *file, struct diagnosis *why)
{
    struct root root = {0};
    struct civil_zone zone;
    const struct config_node *node = config_root(file->config);
    int error = config_read(file->config, node, "", ROWS(root_rows), &root, why);
    if (error == 0)
        error = read_zone(file->config, node, root.time_zone, &zone, why);
    if (error == 0)
        error = check_hash(file->config, node, root.token_hash, why);
    if (error != 0 || root.jobs == NULL)
        return error;
    if (root.jobs->kind != CONFIG_LIST || root.jobs->count > JOBS_MAX)
        return config_complain(file->config, root.jobs, why,
                               "jobs must be a list of at most %zu", JOBS_MAX);
    file->token_hash = root.token_hash;
    file->entries = calloc(root.jobs->count + 1, sizeof *file->entries);
    if (file->entries == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < root.jobs->count; i++)
        error = read_job(file, root.jobs->children[i], root.time_zone, why);
    return error;
}

/* Takes the config. */
static int read_file(struct config *config, struct jobs_file **ret_file, struct diagnosis *why)
{
    struct jobs_file *file = calloc(1, sizeof *file);
    int error;
    if (file == NULL) {
        config_free(config);
        return ERR_NOMEM;
    }
    file->config = config;
    error = read_root(file, why);
    if (error != 0) {
        jobs_file_free(file);
        return diagnose(why, error, "%s", error_text(error));
    }
    *ret_file = file;
    return 0;
}

int jobs_file_parse(const char *name, struct bytes text, struct jobs_file **ret_file,
                    struct diagnosis *why)
{
    struct config *config;
    int error = config_parse(name, text, &config, why);
    return error != 0 ? error : read_file(config, ret_file, why);
}

int jobs_file_load(const char *path, struct jobs_file **ret_file, struct diagnosis *why)
{
    struct config *config;
    int error = path != NULL ? config_load(path, &config, why)
                             : config_parse("no jobs", (struct bytes){NULL, 0}, &config, why);
    return error != 0 ? error : read_file(config, ret_file, why);
}

void jobs_file_free(struct jobs_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->count; i++)
        labels_free(file->entries[i].labels);
    free(file->entries);
    config_free(file->config);
    free(file);
}

size_t jobs_file_count(const struct jobs_file *file)
{
    return file->count;
}

const struct jobs_entry *jobs_file_entry(const struct jobs_file *file, size_t at)
{
    return &file->entries[at];
}

bool jobs_file_admits(const struct jobs_file *file, const struct jobs_entry *entry,
                      const char *token)
{
    char hash[USERS_HASH_BYTES];
    if (users_hash_token(token, hash) != 0)
        return false;
    /* Of a hash nobody can choose the beginning, so how long this takes tells nothing. */
    return (entry->token_hash != NULL && strcasecmp(hash, entry->token_hash) == 0) ||
           (file->token_hash != NULL && strcasecmp(hash, file->token_hash) == 0);
}
