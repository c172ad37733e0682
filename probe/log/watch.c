/*
 * watch.c - see watch.h.
 */
#include "probe/log/watch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/log/permit.h"
#include "probe/log/templates_series.h"
#include "probe/log/watch_series.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* Position and path in one note, with room to spare. */
_Static_assert(WATCH_PATH_BYTES_MAX + 128 <= NOTE_VALUE_BYTES_MAX, "any position fits a note");

/* Fewer equal first bytes do not make a copy: a short header line may stand in every file. */
#define COPY_BYTES_MIN 64

#define NS_PER_MS INT64_C(1000000)

int watch_new(const char *path, size_t root_bytes, const struct log_settings *settings,
              struct watch **ret_watch)
{
    if (strlen(path) > WATCH_PATH_BYTES_MAX)
        return ERR_LIMIT;
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return ERR_NOMEM;
    watch->path = strdup(path);
    watch->tails = calloc(WATCH_TAILS_MAX, sizeof(*watch->tails));
    if (watch->path == NULL || watch->tails == NULL) {
        watch_free(watch);
        return ERR_NOMEM;
    }
    watch->label = watch->path + root_bytes;
    if (log_account_init(&watch->account, settings, bytes_of(watch->label)) != 0) {
        watch_free(watch);
        return ERR_NOMEM;
    }
    *ret_watch = watch;
    return 0;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    for (size_t i = 0; i < watch->count; i++) {
        tail_close(watch->tails[i]);
        free(watch->tails[i]);
    }
    log_account_done(&watch->account);
    free(watch->tails);
    free(watch->path);
    watch_series_free(watch->series);
    free(watch);
}

/* ---- may it be read --------------------------------------------------------------------- */

/* Only a policy's files are asked for.  A refusal is told once; the descriptor stays the
 * caller's. */
static bool may_read(struct watch *watch, int fd, struct emitter *out)
{
    const struct permit *permit = watch->account.settings->permit;
    if (permit == NULL || permit_descriptor(permit, fd, watch->path))
        return true;
    if (!watch->is_refused)
        watch_event(watch, out, "policy_file_refused",
                    "the policy names a file that truly lies outside this host's allow-list "
                    "(policy.allow.files in probe.yml); it is not read");
    watch->is_refused = true;
    return false;
}

/* Opens the file at the path, if it may be read. */
static int open_path(struct watch *watch, struct emitter *out, struct sibling *ret_file)
{
    int error = watch->is_away ? ERR_IO : sibling_open_path(watch->path, ret_file);
    if (error != 0 || may_read(watch, ret_file->fd, out))
        return error;
    (void)close(ret_file->fd);
    return ERR_REFUSED;
}

/* The same for the file of an identity, wherever it is now. */
static int open_identity(struct watch *watch, const struct identity *identity, bool is_gzip,
                         struct emitter *out, int *ret_fd)
{
    bool is_renamed;
    int error = watch->is_away ? ERR_IO
                : is_gzip      ? sibling_open_gzip(watch->path, identity, ret_fd)
                               : sibling_open(watch->path, identity, ret_fd, &is_renamed);
    if (error != 0 || may_read(watch, *ret_fd, out))
        return error;
    (void)close(*ret_fd);
    *ret_fd = -1;
    return ERR_REFUSED;
}

/* ---- the row of tails ------------------------------------------------------------------- */

static void note(struct watch *watch, struct tail *tail, struct emitter *out)
{
    char key[TAIL_KEY_BYTES];
    struct buf value = {0};
    if (!tail->is_changed)
        return;
    tail_note_write(&tail->position, bytes_of(watch->label), &value);
    /* A note that cannot be kept costs lines read twice after a crash, under the same names. */
    if (buf_ok(&value) &&
        emitter_note(out, tail_note_key(&tail->position.identity, key), buf_bytes(&value)) == 0)
        tail->is_changed = false;
    buf_done(&value);
}

/* Takes a tail out of the row; with its note, unless another file has the inode by now. */
static void drop_tail(struct watch *watch, size_t index, const struct watch_env *env)
{
    struct tail *tail = watch->tails[index];
    struct identity any_birth = tail->position.identity;
    char key[TAIL_KEY_BYTES];
    tail_close(tail);
    free(tail);
    watch->count--;
    memmove(&watch->tails[index], &watch->tails[index + 1],
            (watch->count - index) * sizeof(*watch->tails));
    any_birth.birth_ns = 0;
    if (!env->is_known(env->context, &any_birth, -1))
        (void)emitter_note(env->out, tail_note_key(&any_birth, key), (struct bytes){NULL, 0});
}

/* Makes room at the row's end: finished tails go first, then the oldest, which is a loss. */
static void make_room(struct watch *watch, const struct watch_env *env)
{
    if (watch->count < WATCH_TAILS_MAX)
        return;
    size_t victim = 0;
    while (victim < watch->count && !watch->tails[victim]->position.is_finished)
        victim++;
    if (victim == watch->count) {
        victim = 0;
        watch->lost++;
    }
    drop_tail(watch, victim, env);
}

/* A new generation at the row's end.  Takes over the descriptor. */
static struct tail *add_tail(struct watch *watch, const struct watch_env *env, int fd,
                             const struct file_facts *facts)
{
    make_room(watch, env);
    struct tail *tail = malloc(sizeof *tail);
    if (tail == NULL) {
        (void)close(fd);
        return NULL;
    }
    tail_begin(tail, fd, facts, watch->account.settings->encoding, env->now_ms);
    tail->position.order = (*env->next_order)++;
    watch->tails[watch->count++] = tail;
    return tail;
}

/* The file is gone, with what was not read. */
static void mark_lost(struct tail *tail)
{
    tail->is_changed = true;
    tail->position.is_rotated = true;
    tail->position.is_finished = true;
}

/* Opens the file of a position: under the name, beside it, or what it was compressed to; the
 * position is then that file's, and the note of the file before, which is gone, is forgotten.
 */
static int open_position(struct watch *watch, struct tail_position *position,
                         struct emitter *out, int *ret_fd)
{
    char key[TAIL_KEY_BYTES];
    struct sibling file;
    int error = open_identity(watch, &position->identity, position->is_gzip, out, ret_fd);
    if (error != ERR_NOTFOUND || position->is_gzip ||
        sibling_find_gzip(watch->path, &position->fingerprint, position->modified_ns, &file) !=
            0)
        return error;
    if (!may_read(watch, file.fd, out)) {
        (void)close(file.fd);
        return ERR_REFUSED;
    }
    (void)emitter_note(out, tail_note_key(&position->identity, key), (struct bytes){NULL, 0});
    position->identity = file.facts.identity;
    position->is_gzip = position->is_rotated = true;
    *ret_fd = file.fd;
    return 0;
}

int watch_resume(struct watch *watch, const struct tail_position *position, int64_t now_ms,
                 struct emitter *out)
{
    int fd = -1;
    struct tail_position now = *position;
    if (watch->count == WATCH_TAILS_MAX)
        return ERR_LIMIT;
    int error = now.is_finished ? ERR_NOTFOUND : open_position(watch, &now, out, &fd);
    bool is_lost = error == ERR_NOTFOUND && !now.is_finished;
    watch->was_away = true;
    watch->lost += is_lost;
    struct tail *tail = malloc(sizeof *tail);
    if (tail == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return ERR_NOMEM;
    }
    if (fd < 0) {
        *tail = (struct tail){.fd = -1, .position = now};
        if (is_lost)
            mark_lost(tail);
    } else
        tail_resume(tail, fd, &now, watch->account.settings->encoding, now_ms);
    tail->is_changed |= now.is_gzip && !position->is_gzip;
    watch->tails[watch->count++] = tail;
    /* At once, if the file is gone: its inode may soon be another's, with a note under the same
     * key, which must come later than this one. */
    note(watch, tail, out);
    return 0;
}

static struct tail *newest(const struct watch *watch)
{
    return watch->count == 0 ? NULL : watch->tails[watch->count - 1];
}

static void mark_rotated(struct watch *watch, struct tail *tail, int64_t now_ms)
{
    tail->position.is_rotated = true;
    tail->is_changed = true;
    tail->grown_ms = now_ms;
    watch->rotations++;
}

/* ---- following the name ----------------------------------------------------------------- */

/* Begins at the end of what is there, or in the line that is there half. */
static void start_at_end(struct tail *tail, uint64_t size)
{
    uint8_t last[2] = {0};
    size_t unit = log_newline_size(tail->encoding);
    uint64_t end = size - size % unit;
    if (end == 0 || pread(tail->fd, last, unit, (off_t)(end - unit)) != (ssize_t)unit)
        return;
    tail->position.offset = end;
    tail->position.skipping =
        log_newline_find(tail->encoding, (struct bytes){last, unit}) == unit;
}

void watch_open(struct watch *watch, const struct watch_env *env, bool from_end)
{
    struct sibling file;
    watch->last_error = open_path(watch, env->out, &file);
    if (watch->last_error != 0)
        return;
    if (env->is_known(env->context, &file.facts.identity, file.fd)) {
        (void)close(file.fd);
        return;
    }
    struct tail *tail = add_tail(watch, env, file.fd, &file.facts);
    if (tail != NULL && from_end)
        start_at_end(tail, file.facts.size);
}

/* The facts that tell which siblings are younger than a tail. */
static struct file_facts facts_of_tail(const struct tail *tail)
{
    struct file_facts facts = {.identity = tail->position.identity};
    if (tail->fd < 0 || facts_of_descriptor(tail->fd, &facts) != 0)
        facts.modified_ns = tail->position.modified_ns;
    if (tail->position.is_gzip)
        facts.identity.birth_ns = 0; /* of the compressed form: younger than what it holds */
    return facts;
}

/* Did one of the tails read what was compressed here, or does it still? */
static bool is_read(const struct watch *watch, const struct sibling *file)
{
    for (size_t i = 0; i < watch->count; i++) {
        const struct tail_position *position = &watch->tails[i]->position;
        if (identity_equal(&position->identity, &file->facts.identity) ||
            gzip_fingerprint_holds(file->fd, &position->fingerprint))
            return true;
    }
    return false;
}

/* The same for those that were compressed while the probe was away.  Otherwise none is looked
 * for: what was compressed meanwhile is still open.  A writer may have held a file after the
 * next one had its name, so it may be changed a little later than that was born. */
static void adopt_compressed(struct watch *watch, const struct watch_env *env,
                             const struct file_facts *after, const struct file_facts *now)
{
    struct sibling found[SIBLINGS_MAX];
    int64_t born_ns = now->identity.birth_ns;
    int64_t before_ns = born_ns == 0 ? 0 : born_ns + WATCH_ROTATED_IDLE_MS * NS_PER_MS;
    size_t count = siblings_gzip_between(watch->path, after->modified_ns, before_ns, found);
    for (size_t i = 0; i < count; i++) {
        if (is_read(watch, &found[i]) || !may_read(watch, found[i].fd, env->out)) {
            (void)close(found[i].fd);
            continue;
        }
        struct tail *tail = add_tail(watch, env, found[i].fd, &found[i].facts);
        if (tail == NULL)
            continue;
        tail->position.is_gzip = true;
        tail_settle_encoding(tail, watch->account.settings->encoding);
        mark_rotated(watch, tail, env->now_ms);
    }
}

/* Files that had the name between `before` and the one that has it now. */
static void adopt_between(struct watch *watch, const struct watch_env *env,
                          const struct tail *before, const struct file_facts *now)
{
    struct sibling found[SIBLINGS_MAX];
    struct file_facts after = facts_of_tail(before);
    if (after.identity.birth_ns == 0 && after.modified_ns == 0)
        return; /* everything would be younger */
    if (watch->was_away && after.modified_ns != 0)
        adopt_compressed(watch, env, &after, now);
    size_t count =
        siblings_between(watch->path, &after, now, env->is_known, env->context, found);
    for (size_t i = 0; i < count; i++) {
        if (!may_read(watch, found[i].fd, env->out)) {
            (void)close(found[i].fd);
            continue;
        }
        struct tail *tail = add_tail(watch, env, found[i].fd, &found[i].facts);
        if (tail != NULL)
            mark_rotated(watch, tail, env->now_ms);
    }
}

/* A file that was rotated away has its name back: it is the newest again. */
static bool take_back(struct watch *watch, const struct identity *identity)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct tail *tail = watch->tails[i];
        if (!identity_equal(&tail->position.identity, identity) || tail->position.is_finished)
            continue;
        tail->position.is_rotated = false;
        tail->is_changed = true;
        memmove(&watch->tails[i], &watch->tails[i + 1],
                (watch->count - 1 - i) * sizeof(*watch->tails));
        watch->tails[watch->count - 1] = tail;
        return true;
    }
    return false;
}

/* Sees to it that the newest tail is the file that has the name. */
static void follow_name(struct watch *watch, const struct watch_env *env)
{
    struct file_facts facts;
    struct tail *last = newest(watch);
    int error = facts_of_path(watch->path, &facts);
    bool is_there = error == 0 && facts.is_regular;
    if (is_there && last != NULL && !last->position.is_rotated &&
        identity_equal(&last->position.identity, &facts.identity)) {
        watch->last_error = 0;
        watch->was_away = false;
        return;
    }
    if (error != 0 && error != ERR_NOTFOUND) {
        watch->last_error = error; /* the folder cannot be entered now: nothing is known */
        return;
    }
    if (last != NULL && !last->position.is_rotated)
        mark_rotated(watch, last, env->now_ms);
    if (!is_there || take_back(watch, &facts.identity))
        return;
    struct sibling file;
    watch->last_error = open_path(watch, env->out, &file);
    if (watch->last_error != 0)
        return;
    if (last != NULL)
        adopt_between(watch, env, last, &file.facts);
    if (env->is_known(env->context, &file.facts.identity, file.fd))
        (void)close(file.fd); /* another path's file came here by rotation */
    else
        (void)add_tail(watch, env, file.fd, &file.facts);
    watch->was_away = false;
}

/* ---- a tick ----------------------------------------------------------------------------- */

/* A file that an earlier run left unread could not be opened at the start: it may be by now.
 * ERR_NOTFOUND: it is gone, which is counted.  ERR_IO: later. */
static int reopen(struct watch *watch, struct tail *tail, const struct watch_env *env)
{
    struct tail_position position = tail->position;
    int fd;
    int error = open_position(watch, &position, env->out, &fd);
    if (error != 0 && error != ERR_NOTFOUND)
        return ERR_IO;
    bool is_gone = error == ERR_NOTFOUND || position.is_gzip != tail->position.is_gzip;
    struct identity gone = tail->position.identity;
    if (error == ERR_NOTFOUND) {
        watch->lost++;
        mark_lost(tail);
        note(watch, tail, env->out);
    } else {
        tail_resume(tail, fd, &position, watch->account.settings->encoding, env->now_ms);
        tail->is_changed = is_gone;
    }
    /* Another file may have the inode by now: its note, under the same key, comes last. */
    for (size_t i = 0; is_gone && i < watch->count; i++) {
        const struct identity *other = &watch->tails[i]->position.identity;
        watch->tails[i]->is_changed |= watch->tails[i] != tail &&
                                       other->device == gone.device &&
                                       other->inode == gone.inode;
    }
    return error;
}

/* Reads one tail.  *ret_is_empty: it is at its end, the next may be begun. */
static int collect_tail(struct watch *watch, struct tail *tail, const struct watch_env *env,
                        bool *ret_is_empty)
{
    enum tail_change change;
    *ret_is_empty = true;
    int error = 0;
    if (tail->fd < 0 && !tail->position.is_finished)
        error = reopen(watch, tail, env);
    if (tail->fd < 0)
        return error == ERR_NOTFOUND ? 0 : error;
    error = tail_look(tail, watch->account.settings->encoding, env->now_ms, &change);
    if (error == 0 && change == TAIL_TRUNCATED) {
        watch->truncations++;
        watch_event(watch, env->out, "log_truncated",
                    "the log file was truncated; what was not read before is lost");
    }
    bool is_over =
        tail->position.is_gzip ||
        (tail->position.is_rotated && env->now_ms - tail->grown_ms >= WATCH_ROTATED_IDLE_MS);
    bool is_still = env->now_ms - tail->grown_ms >= LOG_EVENT_IDLE_MS;
    bool is_new = error == 0 &&
                  (change != TAIL_SAME || !tail->is_waiting || (is_still && !tail->has_waited));
    if (error == 0 && ((tail_lag(tail) > 0 && is_new) || is_over)) {
        error = drain_tail(env->drain, tail, &watch->account, is_over, env->now_ms, env->out,
                           ret_is_empty);
        tail->is_waiting = error == 0 && *ret_is_empty;
        tail->has_waited = is_still;
    }
    if (error == 0 && is_over && *ret_is_empty) {
        if (tail->gzip != NULL && gzip_is_damaged(tail->gzip))
            watch_tell_damage(watch, tail, env->out);
        tail->position.is_finished = true;
        tail->is_changed = true;
        tail_close(tail);
    }
    note(watch, tail, env->out);
    return error;
}

int watch_collect(struct watch *watch, const struct watch_env *env)
{
    int result = 0;
    bool is_empty = true;
    follow_name(watch, env);
    if (watch->lost > watch->lost_told)
        watch_event(watch, env->out, "log_lost",
                    "a rotated log file was gone before it was read to its end");
    watch->lost_told = watch->lost;
    /* A tail whose file cannot be read just now does not stop those after it. */
    for (size_t i = 0; i < watch->count && is_empty; i++) {
        int error = collect_tail(watch, watch->tails[i], env, &is_empty);
        if (error == ERR_IO) {
            watch->last_error = error;
            is_empty = true;
        } else if (error != 0 || !is_empty) {
            result = ERR_AGAIN;
            is_empty = false;
        }
    }
    /* Tails behind a full tick are not read, but their existence must be noted. */
    for (size_t i = 0; i < watch->count; i++)
        note(watch, watch->tails[i], env->out);
    /* A file that may not be read has no counters, either. */
    if (env->tell_none || (watch->is_refused && watch->count == 0))
        return result;
    bool is_new = watch->series == NULL;
    if (is_new)
        watch->series = watch_series_new(watch, env->out);
    if (watch->series != NULL)
        watch_series_emit(watch->series, watch, env->tell_all || is_new, env->out);
    return result;
}

bool watch_knows(const struct watch *watch, const struct identity *identity, int fd)
{
    for (size_t i = 0; i < watch->count; i++) {
        const struct tail_position *position = &watch->tails[i]->position;
        bool birth_tells = position->identity.birth_ns != 0 && identity->birth_ns != 0;
        if (identity_equal(&position->identity, identity) &&
            (birth_tells || fd < 0 || !position->is_finished ||
             fingerprint_holds(fd, &position->fingerprint)))
            return true;
    }
    return false;
}

static bool is_copy(const struct watch *watch, int fd)
{
    for (size_t i = 0; i < watch->count; i++) {
        const struct fingerprint *now = &watch->tails[i]->position.fingerprint;
        const struct fingerprint *before = &watch->tails[i]->before;
        if ((now->size >= COPY_BYTES_MIN && fingerprint_holds(fd, now)) ||
            (before->size >= COPY_BYTES_MIN && fingerprint_holds(fd, before)))
            return true;
    }
    return false;
}

bool watch_takes_copy(struct watch *watch, const struct watch_env *env, const char *path,
                      const struct sibling *file)
{
    if (!sibling_is_rotated(watch->path, path) || !is_copy(watch, file->fd))
        return false;
    make_room(watch, env);
    struct tail *tail = calloc(1, sizeof *tail);
    if (tail == NULL)
        return true;
    /* At the row's start, now and after a restart: it was never the newest. */
    *tail = (struct tail){.fd = -1,
                          .position = {.identity = file->facts.identity,
                                       .order = 0,
                                       .is_rotated = true,
                                       .is_finished = true},
                          .is_changed = true};
    (void)fingerprint_take(file->fd, FINGERPRINT_BYTES, &tail->position.fingerprint);
    memmove(&watch->tails[1], &watch->tails[0], watch->count * sizeof(*watch->tails));
    watch->tails[0] = tail;
    watch->count++;
    note(watch, tail, env->out);
    return true;
}

uint64_t watch_lag(const struct watch *watch)
{
    uint64_t lag = 0;
    for (size_t i = 0; i < watch->count; i++)
        if (watch->tails[i]->fd >= 0)
            lag += tail_lag(watch->tails[i]);
    return lag;
}

void watch_forget(struct watch *watch, const struct watch_env *env,
                  bool (*is_met)(void *context, const struct identity *identity), void *context)
{
    for (size_t i = watch->count; i > 0; i--) {
        const struct tail_position *position = &watch->tails[i - 1]->position;
        if (position->is_finished && !is_met(context, &position->identity))
            drop_tail(watch, i - 1, env);
    }
}

bool watch_is_over(const struct watch *watch)
{
    return watch->count == 0;
}

void watch_end(struct watch *watch, struct emitter *out)
{
    if (watch->series != NULL)
        watch_series_end(watch->series, watch, out);
}

void watch_change(struct watch *watch, const struct log_settings *settings, struct emitter *out)
{
    watch_end(watch, out);
    watch_series_free(watch->series);
    watch->series = NULL;
    log_account_done(&watch->account);
    /* Without memory lines are still read, and only not counted as requests. */
    (void)log_account_init(&watch->account, settings, bytes_of(watch->label));
    templates_resume(watch->account.templates, watch->account.path, out);
    for (size_t i = 0; i < watch->count; i++)
        /* Settling reads, and would hang now: it is done when the file is opened again. */
        if (watch->tails[i]->fd >= 0 && watch->is_away)
            tail_close(watch->tails[i]);
        else if (watch->tails[i]->fd >= 0)
            tail_settle_encoding(watch->tails[i], settings->encoding);
}

void watch_leave(struct watch *watch, const struct watch_env *env)
{
    watch_end(watch, env->out);
    while (watch->count > 0)
        drop_tail(watch, watch->count - 1, env);
}
