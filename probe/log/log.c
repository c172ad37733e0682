/*
 * log.c - see log.h.
 *
 *   a tick:  for each watch, beginning with another one each time: watch_collect()
 *            (not on a mount whose server is gone: guard.h)
 *            scan the globs, at most every SCAN_MS; new paths become watches, read at once
 *
 * Rotations are followed before the globs are scanned: a renamed file is then known under its
 * identity when the scan meets its new name, and is not taken for a new one.
 */
#include "probe/log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/log/drain.h"
#include "probe/log/guard.h"
#include "probe/log/names.h"
#include "probe/log/redact_key.h"
#include "probe/log/settings.h"
#include "probe/log/siblings.h"
#include "probe/log/templates_series.h"
#include "probe/log/watch.h"
#include "probe/source/series.h"
#include "proto/base/error.h"

#define INTERVAL_MS 200
#define SCAN_MS     1000
#define SCAN_CUT_MS 60000          /* of a pattern with more names than are looked through */
#define MET_MAX     ((size_t)4096) /* matched files; the rest is counted as excess */
#define NOTE_PREFIX "log/"

enum { FILES, EXCESS, UNREADABLE, REFUSED, HANGING, CUT, GAUGES };

static const struct metric gauges[GAUGES] = {
    {"logwatch_files", METRIC_GAUGE, "Log files that are tailed.", NULL},
    {"logwatch_files_excess", METRIC_GAUGE, "Matching log files above the limit, not read.",
     NULL},
    {"logwatch_files_unreadable", METRIC_GAUGE, "Matching log files that cannot be read.",
     NULL},
    {"logwatch_files_refused", METRIC_GAUGE,
     "Log files a policy names that truly lie outside this host's allow-list, not read.", NULL},
    {"logwatch_mounts_hanging", METRIC_GAUGE,
     "Mounts with log files whose server does not answer; they are read on when it does.",
     NULL},
    {"logwatch_patterns_cut", METRIC_GAUGE,
     "Paths of log files whose folders hold more names than are looked through.", NULL},
};

struct log_state {
    struct log_settings_list settings; /* probe.yml's and --log */
    struct log_settings_list policy;
    struct drain *drain;
    struct redact_key key;
    bool has_key;
    struct guard *guard;
    guard_ask *ask; /* NULL: the kernel */
    char complaint[512];
    struct watch *watches[LOG_WATCHES_MAX];
    size_t count;
    size_t next_turn; /* whose turn it is to be first */
    uint64_t next_order;
    bool has_more;
    int64_t scanned_ms;
    int64_t told_ms;
    size_t excess;
    bool has_passed_over; /* the last scan did, a pattern */
    series_handle gauges[GAUGES];
    /* of a scan */
    struct identity *met;
    size_t met_count;
    size_t met_room;
};

static int log_configure(void *state, struct config *config, const struct config_node *node,
                         struct diagnosis *why)
{
    struct log_state *log = state;
    return log_settings_read(&log->settings, config, node, why);
}

int log_source_add(void *state, const char *glob, struct diagnosis *why)
{
    struct log_state *log = state;
    return log_settings_add(&log->settings, glob, why);
}

void log_source_take_policy(void *state, struct log_settings_list *list)
{
    struct log_state *log = state;
    log_settings_done(&log->policy);
    log->policy = *list;
    *list = (struct log_settings_list){0};
}

void log_source_set_key(void *state, const struct redact_key *key)
{
    struct log_state *log = state;
    log->key = *key;
    log->has_key = true;
}

bool log_source_is_idle(const void *state)
{
    const struct log_state *log = state;
    return log->settings.count == 0 && log->policy.count == 0;
}

/* Our own entry comes before a policy's. */
static const struct log_settings *settings_for(const struct log_state *log, const char *path)
{
    const struct log_settings *settings = log_settings_for(&log->settings, path);
    return settings != NULL ? settings : log_settings_for(&log->policy, path);
}

void log_source_ask_by(void *state, guard_ask *ask)
{
    struct log_state *log = state;
    log->ask = ask;
}

bool log_source_has_more(const void *state)
{
    const struct log_state *log = state;
    return log->has_more;
}

static bool is_known(void *context, const struct identity *identity, int fd)
{
    const struct log_state *log = context;
    for (size_t i = 0; i < log->count; i++)
        if (watch_knows(log->watches[i], identity, fd))
            return true;
    return false;
}

static struct watch *find_watch(const struct log_state *log, const char *path)
{
    for (size_t i = 0; i < log->count; i++)
        if (strcmp(log->watches[i]->path, path) == 0)
            return log->watches[i];
    return NULL;
}

/* Length of the root's prefix: nothing for the live root. */
static size_t root_bytes_of(const struct source_env *env)
{
    size_t size = strlen(env->rootfs);
    while (size > 0 && env->rootfs[size - 1] == '/')
        size--;
    return size;
}

static int add_watch(struct log_state *log, const char *path, size_t root_bytes,
                     const struct log_settings *settings, const struct emitter *out,
                     struct watch **ret_watch)
{
    if (log->count == LOG_WATCHES_MAX)
        return ERR_LIMIT;
    int error = watch_new(path, root_bytes, settings, ret_watch);
    if (error != 0)
        return error;
    (*ret_watch)->mount = guard_find(log->guard, path);
    (*ret_watch)->is_away = !guard_answers((*ret_watch)->mount);
    templates_resume((*ret_watch)->account.templates, (*ret_watch)->account.path, out);
    log->watches[log->count++] = *ret_watch;
    return 0;
}

/* ---- start: what an earlier run left ---------------------------------------------------- */

struct remembered {
    struct tail_position position;
    char *path; /* with the root's prefix */
};

static int by_order(const void *a, const void *b)
{
    const struct remembered *left = a;
    const struct remembered *right = b;
    return left->position.order < right->position.order
               ? -1
               : left->position.order > right->position.order;
}

static char *join(const struct source_env *env, size_t root_bytes, const char *path,
                  size_t path_size)
{
    char *joined = malloc(root_bytes + path_size + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, env->rootfs, root_bytes);
    memcpy(joined + root_bytes, path, path_size);
    joined[root_bytes + path_size] = '\0';
    return joined;
}

/* Reads our notes; *ret_list is the caller's.  Notes that do not parse are forgotten. */
static int read_notes(const struct source_env *env, struct emitter *out,
                      struct remembered **ret_list, size_t *ret_count)
{
    struct remembered *list = NULL;
    size_t count = 0;
    struct bytes key;
    struct bytes value;
    *ret_list = NULL;
    *ret_count = 0;
    for (size_t i = 0; emitter_noted(out, i, &key, &value); i++) {
        struct tail_position position;
        struct bytes path;
        if (key.size < strlen(NOTE_PREFIX) ||
            memcmp(key.data, NOTE_PREFIX, strlen(NOTE_PREFIX)) != 0 ||
            tail_note_read(value, &position, &path) != 0)
            continue;
        struct remembered *grown = realloc(list, (count + 1) * sizeof *list);
        if (grown != NULL)
            list = grown;
        char *joined = join(env, root_bytes_of(env), (const char *)path.data, path.size);
        if (grown == NULL || joined == NULL) {
            free(joined);
            *ret_list = list;
            *ret_count = count;
            return ERR_NOMEM;
        }
        list[count++] = (struct remembered){position, joined};
    }
    if (count > 0)
        qsort(list, count, sizeof *list, by_order);
    *ret_list = list;
    *ret_count = count;
    return 0;
}

static int resume_one(struct log_state *log, const struct source_env *env,
                      const struct remembered *one, struct emitter *out)
{
    size_t root_bytes = root_bytes_of(env);
    char key[TAIL_KEY_BYTES];
    const struct log_settings *settings = settings_for(log, one->path + root_bytes);
    if (one->position.order >= log->next_order)
        log->next_order = one->position.order + 1;
    if (settings == NULL) {
        /* No longer asked for: should it be again, it is a new file. */
        (void)emitter_note(out, tail_note_key(&one->position.identity, key),
                           (struct bytes){NULL, 0});
        return 0;
    }
    struct watch *watch = find_watch(log, one->path);
    int error = 0;
    if (watch == NULL)
        error = add_watch(log, one->path, root_bytes, settings, out, &watch);
    if (error == 0)
        error = watch_resume(watch, &one->position, env->now_ms, out);
    return error == ERR_LIMIT ? 0 : error;
}

static int log_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct log_state *log = state;
    struct remembered *list;
    size_t count;
    if (log_source_is_idle(state))
        return ERR_NOTFOUND;
    if (!log->has_key)
        redact_key_make(&log->key);
    int error = drain_new(&log->key, &log->drain);
    if (error == 0)
        error = guard_new(env->procfs, log->ask, &log->guard);
    if (error != 0)
        return error;
    log->next_order = 1; /* 0 is for copies */
    for (size_t i = 0; i < GAUGES; i++)
        log->gauges[i] = series_plain(out, &gauges[i]);
    error = read_notes(env, out, &list, &count);
    for (size_t i = 0; i < count && error == 0; i++)
        error = resume_one(log, env, &list[i], out);
    for (size_t i = 0; i < count; i++)
        free(list[i].path);
    free(list);
    return error;
}

/* ---- the globs -------------------------------------------------------------------------- */

static void meet(struct log_state *log, const struct identity *identity)
{
    if (log->met_count == log->met_room) {
        size_t room = log->met_room == 0 ? 64 : log->met_room * 2;
        struct identity *grown = realloc(log->met, room * sizeof *grown);
        if (grown == NULL)
            return; /* a finished file is forgotten too early: it may be read again */
        log->met = grown;
        log->met_room = room;
    }
    log->met[log->met_count++] = *identity;
}

static bool is_met(void *context, const struct identity *identity)
{
    const struct log_state *log = context;
    for (size_t i = 0; i < log->met_count; i++)
        if (identity_equal(&log->met[i], identity))
            return true;
    return false;
}

/* Is the file at this path nothing new: one of ours under another name, or a copy of one? */
static bool is_ours(struct log_state *log, const struct watch_env *shared, const char *path)
{
    struct sibling file;
    if (sibling_open_path(path, &file) != 0)
        return false;
    bool ours = is_known(log, &file.facts.identity, file.fd);
    for (size_t i = 0; i < log->count && !ours; i++)
        ours = watch_takes_copy(log->watches[i], shared, path, &file);
    (void)close(file.fd);
    return ours;
}

/* A path that a glob gave. */
static void look_at_path(struct log_state *log, const struct watch_env *shared,
                         const char *path, size_t root_bytes,
                         const struct log_settings *settings)
{
    struct file_facts facts;
    struct watch *watch;
    if (sibling_is_compressed(path) || !guard_answers(guard_find(log->guard, path)) ||
        facts_of_path(path, &facts) != 0 || !facts.is_regular)
        return;
    if (log->met_count < MET_MAX)
        meet(log, &facts.identity);
    if (find_watch(log, path) != NULL || is_ours(log, shared, path))
        return;
    if (add_watch(log, path, root_bytes, settings, shared->out, &watch) != 0) {
        log->excess++;
        return;
    }
    watch_open(watch, shared, settings->from_end && !settings->has_scanned);
    if (watch_collect(watch, shared) != 0)
        log->has_more = true;
}

/* A folder that a wildcard gave may be a mount, or lead to one, whose server is gone. */
static bool may_enter(void *context, const char *folder)
{
    struct log_state *log = context;
    return guard_answers(guard_find(log->guard, folder));
}

static void scan_glob(struct log_state *log, const struct source_env *env,
                      const struct watch_env *shared, struct log_settings *settings)
{
    size_t root_bytes = root_bytes_of(env);
    char *pattern = join(env, root_bytes, settings->glob, strlen(settings->glob));
    struct names found = {0};
    if (pattern == NULL)
        return;
    /* A folder that is missing or closed to us matches nothing now, and is looked at again. */
    if (guard_answers(guard_find(log->guard, pattern)) &&
        names_find(pattern, may_enter, log, &found) == 0) {
        for (size_t i = 0; i < found.count; i++)
            look_at_path(log, shared, found.paths[i], root_bytes, settings);
        log->excess += found.excess;
        settings->is_cut = found.is_cut;
        settings->scan_again_ms = env->now_ms + (found.is_cut ? SCAN_CUT_MS : 0);
    }
    names_done(&found);
    free(pattern);
}

/* Was it looked through a moment ago, and is too much to be so again? */
static bool may_wait(const struct log_settings *settings, int64_t now_ms)
{
    return settings->is_cut && now_ms < settings->scan_again_ms &&
           settings->scan_again_ms - now_ms <= SCAN_CUT_MS;
}

static void scan_list(struct log_state *log, const struct source_env *env,
                      const struct watch_env *shared, struct log_settings_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (may_wait(&list->items[i], env->now_ms))
            log->has_passed_over = true;
        else
            scan_glob(log, env, shared, &list->items[i]);
    }
    for (size_t i = 0; i < list->count; i++)
        list->items[i].has_scanned = true;
}

/* Drops watches whose files are all gone or forgotten. */
static void forget(struct log_state *log, const struct watch_env *shared)
{
    size_t kept = 0;
    /* What lies where nobody answers was not met, and is not gone for that. */
    for (size_t i = 0; i < log->count; i++)
        if (!log->watches[i]->is_away)
            watch_forget(log->watches[i], shared, is_met, log);
    for (size_t i = 0; i < log->count; i++) {
        struct watch *watch = log->watches[i];
        struct file_facts facts;
        if (!watch->is_away && watch_is_over(watch) &&
            facts_of_path(watch->path, &facts) == ERR_NOTFOUND) {
            watch_end(watch, shared->out);
            watch_free(watch);
        } else {
            log->watches[kept++] = watch;
        }
    }
    log->count = kept;
}

static void scan(struct log_state *log, const struct source_env *env,
                 const struct watch_env *shared)
{
    log->met_count = 0;
    log->has_passed_over = false;
    log->excess = 0;
    guard_look(log->guard);
    for (size_t i = 0; i < log->count; i++)
        log->watches[i]->mount = guard_find(log->guard, log->watches[i]->path);
    scan_list(log, env, shared, &log->settings);
    scan_list(log, env, shared, &log->policy);
    /* Who was not looked for was not met, and is not gone for that. */
    if (!log->has_passed_over)
        forget(log, shared);
    log->scanned_ms = env->now_ms;
}

/* ---- a tick ----------------------------------------------------------------------------- */

static void emit_gauges(const struct log_state *log, struct emitter *out)
{
    size_t unreadable = 0, refused = 0, cut = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct watch *watch = log->watches[i];
        refused += watch->is_refused && watch->last_error == ERR_REFUSED;
        unreadable += watch->last_error != 0 && watch->last_error != ERR_NOTFOUND;
    }
    emit(out, log->gauges[FILES], (double)(log->count - unreadable));
    emit(out, log->gauges[EXCESS], (double)log->excess);
    emit(out, log->gauges[UNREADABLE], (double)unreadable);
    emit(out, log->gauges[REFUSED], (double)refused);
    const char *point;
    for (size_t i = 0; i < log->settings.count; i++)
        cut += log->settings.items[i].is_cut;
    for (size_t i = 0; i < log->policy.count; i++)
        cut += log->policy.items[i].is_cut;
    emit(out, log->gauges[HANGING], (double)guard_hanging(log->guard, &point));
    emit(out, log->gauges[CUT], (double)cut);
}

/* A pattern that has too many names, or NULL. */
static const struct log_settings *find_cut(const struct log_state *log)
{
    for (size_t i = 0; i < log->settings.count; i++)
        if (log->settings.items[i].is_cut)
            return &log->settings.items[i];
    for (size_t i = 0; i < log->policy.count; i++)
        if (log->policy.items[i].is_cut)
            return &log->policy.items[i];
    return NULL;
}

static void find_complaint(struct log_state *log)
{
    const char *point;
    log->complaint[0] = '\0';
    const struct log_settings *cut = find_cut(log);
    if (cut != NULL)
        (void)snprintf(log->complaint, sizeof log->complaint,
                       "%s: its folders hold more than %zu names; only some of its files are "
                       "found",
                       cut->glob, NAMES_LOOKED_MAX);
    if (guard_hanging(log->guard, &point) > 0)
        (void)snprintf(log->complaint, sizeof log->complaint,
                       "%s does not answer; its log files are read on when it does", point);
}

/* Clocks may be set back: then it is due, too. */
static bool is_due(int64_t now_ms, int64_t last_ms, int64_t every_ms)
{
    return now_ms < last_ms || now_ms - last_ms >= every_ms;
}

static int log_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct log_state *log = state;
    struct watch_env shared = {.drain = log->drain,
                               .out = out,
                               .now_ms = env->now_ms,
                               .tell_all = !env->is_between &&
                                           is_due(env->now_ms, log->told_ms, LOG_TELL_MS),
                               .tell_none = env->is_between,
                               .next_order = &log->next_order,
                               .is_known = is_known,
                               .context = log};
    size_t count = log->count;
    log->has_more = false;
    guard_begin(log->guard);
    /* After a full tick the one that filled it comes last. */
    for (size_t i = 0; i < count; i++) {
        size_t at = (log->next_turn + i) % count;
        log->watches[at]->is_away = !guard_answers(log->watches[at]->mount);
        if (log->watches[at]->is_away)
            continue;
        if (watch_collect(log->watches[at], &shared) != 0 && !log->has_more) {
            log->has_more = true;
            log->next_turn = (at + 1) % count;
        }
    }
    if (!log->has_more && count > 0)
        log->next_turn = (log->next_turn + 1) % count;
    if (is_due(env->now_ms, log->scanned_ms, SCAN_MS))
        scan(log, env, &shared);
    find_complaint(log);
    if (shared.tell_all) {
        emit_gauges(log, out);
        log->told_ms = env->now_ms;
    }
    return 0;
}

/* Files found before stay found: "from: end" is for those that are met for the first time. */
static void keep_scanned(struct log_settings_list *list, const struct log_settings_list *before)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < before->count; k++)
            if (list->items[i].signature == before->items[k].signature)
                list->items[i].has_scanned = before->items[k].has_scanned;
}

void log_source_change_policy(void *state, struct log_settings_list *list, struct emitter *out)
{
    struct log_state *log = state;
    struct log_settings_list before = log->policy;
    struct watch_env shared = {.out = out, .is_known = is_known, .context = log};
    size_t kept = 0;

    log->policy = *list;
    *list = (struct log_settings_list){0};
    keep_scanned(&log->policy, &before);
    /* While they leave, they are asked which files they know. */
    for (size_t i = 0; i < log->count; i++)
        if (settings_for(log, log->watches[i]->label) == NULL)
            watch_leave(log->watches[i], &shared);
    for (size_t i = 0; i < log->count; i++) {
        struct watch *watch = log->watches[i];
        const struct log_settings *old = watch->account.settings;
        const struct log_settings *now = settings_for(log, watch->label);
        if (now == NULL) {
            watch_free(watch);
            continue;
        }
        if (old->signature == now->signature)
            log_account_keep(&watch->account, now);
        else
            watch_change(watch, now, out);
        log->watches[kept++] = watch;
    }
    log->count = kept;
    log->next_turn = 0;
    log->scanned_ms = 0; /* at the next tick */
    log_settings_done(&before);
}

static const char *log_complaint(const void *state)
{
    const struct log_state *log = state;
    return log->complaint[0] == '\0' ? NULL : log->complaint;
}

static void log_stop(void *state)
{
    struct log_state *log = state;
    for (size_t i = 0; i < log->count; i++)
        watch_free(log->watches[i]);
    log->count = 0;
    drain_free(log->drain);
    guard_free(log->guard);
    free(log->met);
    log_settings_done(&log->settings);
    log_settings_done(&log->policy);
    *log = (struct log_state){0};
}

const struct source source_log = {
    .name = "log",
    .summary = "lines of log files, and what they say counted",
    .state_bytes = sizeof(struct log_state),
    .interval_ms = INTERVAL_MS,
    .configure = log_configure,
    .start = log_start,
    .collect = log_collect,
    .has_more = log_source_has_more,
    .complaint = log_complaint,
    .stop = log_stop,
};
