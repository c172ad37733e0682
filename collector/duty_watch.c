/*
 * duty_watch.c - see duty_watch.h.
 */
#include "collector/duty_watch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/duty/coverage.h"
#include "collector/notify/view.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define ARENA_MAX   ((size_t)256 << 20)
#define LOOK_MINUTE (9 * 60)                /* of the day: when whoever mends it is at work */
#define TURN_MS     500                     /* between looks for something new to look at */
#define RETRY_MS    30000                   /* after the notifier could not take it */
#define OVER_MS     (INT64_C(26) * 3600000) /* an alert is over if nobody has looked so long */
#define TOLD_MAX    ((size_t)50)            /* lines of one look in the log */
#define LABELS_MAX  8
#define PREFIX      "fengsui_collector_duty_"

struct duty_watch {
    struct duty_book *book;
    struct notify *notify;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stopping;
    size_t found[DUTY_FOUND_KINDS];
    /* owned by the thread */
    uint64_t generation;
    int64_t day;      /* of the last look, beginning at LOOK_MINUTE */
    int64_t retry_ms; /* 0: nothing is owed */
    bool has_looked;
};

/* ---- alerts ------------------------------------------------------------------------------ */

struct posting {
    struct arena *arena;
    struct alert *items;
    size_t count, capacity;
    int64_t now_ms;
};

static int reserve(struct posting *posting, size_t more)
{
    struct alert *items = arena_alloc(posting->arena, posting->count + more + 1, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    if (posting->count > 0)
        memcpy(items, posting->items, posting->count * sizeof *items);
    posting->items = items;
    posting->capacity = posting->count + more;
    return 0;
}

static int add_annotations(const struct duty *duty, const struct duty_finding *finding,
                           struct arena *arena, const struct labels **ret_annotations)
{
    struct buf summary = {0};
    duty_finding_print(duty, finding, false, &summary);
    const struct label pairs[] = {
        {bytes_of("summary"), bytes_of(buf_text(&summary))},
        {bytes_of("description"),
         bytes_of("请在 duty.yml 中补上，或用 fengsuictl duty swap 安排替班；"
                  "fengsuictl duty show 显示值班表。")},
    };
    int error = labels_build(pairs, 2, arena, ret_annotations);
    buf_done(&summary);
    return error;
}

static int add_finding(struct posting *posting, const struct duty *duty,
                       const struct duty_finding *finding)
{
    const bool is_critical =
        finding->kind == DUTY_FOUND_GAP || finding->kind == DUTY_FOUND_ENDS_AT_NOBODY;
    struct alert *alert = &posting->items[posting->count];
    char year[16] = "";
    if (finding->year != 0)
        (void)snprintf(year, sizeof year, "%d", finding->year);
    const struct label pairs[LABELS_MAX] = {
        {bytes_of("alertname"), bytes_of(DUTY_ALERT_NAME)},
        {bytes_of("job"), bytes_of("fengsui-collector")},
        {bytes_of("kind"), bytes_of(duty_finding_name(finding->kind))},
        {bytes_of("severity"), bytes_of(is_critical ? "critical" : "warning")},
        {bytes_of(finding->kind == DUTY_FOUND_ENDS_AT_NOBODY ? "escalation" : "roster"),
         bytes_of(finding->subject)},
        {bytes_of("person"), bytes_of(finding->person == NULL ? "" : finding->person->id)},
        {bytes_of("year"), bytes_of(year)},
    };
    *alert = (struct alert){.starts_ms = posting->now_ms,
                            .ends_ms = posting->now_ms + OVER_MS,
                            .firing = true,
                            .value = (double)finding->count,
                            .generator_url = "",
                            .updated_ms = posting->now_ms,
                            .external = true};
    int error = labels_build(pairs, 7, posting->arena, &alert->labels);
    if (error == 0)
        error = add_annotations(duty, finding, posting->arena, &alert->annotations);
    if (error != 0)
        return error;
    alert->fingerprint = labels_fingerprint(alert->labels);
    posting->count++;
    return 0;
}

static bool is_ours(const struct alert *alert)
{
    return alert->external &&
           bytes_equal(labels_get(alert->labels, bytes_of("alertname")),
                       bytes_of(DUTY_ALERT_NAME)) &&
           bytes_equal(labels_get(alert->labels, bytes_of("job")),
                       bytes_of("fengsui-collector"));
}

static int copy_labels(const struct labels *labels, struct arena *arena,
                       const struct labels **ret_copy)
{
    return labels_build(labels->pairs, labels->count, arena, ret_copy);
}

/* What fires and is no longer found ends now; what is found again keeps its beginning. */
static int compare_with_firing(struct posting *posting, const struct view_alert *firing,
                               size_t count)
{
    const size_t found = posting->count;
    int error = reserve(posting, count);
    for (size_t i = 0; error == 0 && i < count; i++) {
        const struct alert *alert = firing[i].alert;
        size_t at = 0;
        if (!is_ours(alert))
            continue;
        while (at < found && posting->items[at].fingerprint != alert->fingerprint)
            at++;
        if (at < found) {
            posting->items[at].starts_ms = alert->starts_ms;
            continue;
        }
        struct alert *over = &posting->items[posting->count];
        *over = *alert;
        over->generator_url = "";
        over->firing = false;
        over->ends_ms = over->updated_ms = posting->now_ms;
        over->ends_by_timeout = false;
        error = copy_labels(alert->labels, posting->arena, &over->labels);
        if (error == 0)
            error = copy_labels(alert->annotations, posting->arena, &over->annotations);
        posting->count += error == 0;
    }
    return error;
}

static int add_mended(struct duty_watch *watch, struct posting *posting)
{
    struct view_alert *firing;
    size_t count;
    view_begin(watch->notify);
    int error = view_alerts(watch->notify, posting->now_ms, &firing, &count);
    if (error == 0) {
        error = compare_with_firing(posting, firing, count);
        free(firing);
    }
    view_end(watch->notify);
    return error;
}

static int post(struct duty_watch *watch, const struct duty *duty,
                const struct duty_finding *findings, size_t count, int64_t now_ms,
                struct arena *arena, struct diagnosis *why)
{
    struct posting posting = {.arena = arena, .now_ms = now_ms};
    int error = reserve(&posting, count);
    for (size_t i = 0; error == 0 && i < count; i++)
        if (findings[i].from_ms < now_ms + (findings[i].kind == DUTY_FOUND_NO_HOLIDAYS
                                                ? DUTY_HOLIDAYS_AHEAD_MS
                                                : DUTY_ALERT_AHEAD_MS))
            error = add_finding(&posting, duty, &findings[i]);
    if (error == 0)
        error = add_mended(watch, &posting);
    if (error == 0 && posting.count > 0)
        error = notify_post(watch->notify, posting.items, posting.count, arena, why);
    return error;
}

/* ---- looking ----------------------------------------------------------------------------- */

static size_t tell_findings(const struct duty *duty, const struct duty_finding *findings,
                            size_t count, void (*tell)(const char *text))
{
    for (size_t i = 0; i < count && i < TOLD_MAX; i++) {
        struct buf text = {0};
        duty_finding_print(duty, &findings[i], true, &text);
        tell(buf_text(&text));
        buf_done(&text);
    }
    return count;
}

static int find(const struct duty *duty, const struct duty_overrides *overrides, int64_t now_ms,
                struct arena *arena, struct duty_finding **ret_findings, size_t *ret_count)
{
    *ret_count = 0;
    *ret_findings = NULL;
    if (duty == NULL)
        return 0;
    return duty_coverage(duty, overrides, now_ms, now_ms + DUTY_COVERAGE_DAYS * CIVIL_DAY_MS,
                         arena, ret_findings, ret_count);
}

size_t duty_watch_tell(const struct duty *duty, const struct duty_overrides *overrides,
                       void (*tell)(const char *text))
{
    struct arena arena;
    struct duty_finding *findings;
    size_t count;
    arena_init(&arena, ARENA_MAX);
    if (find(duty, overrides, clock_unix_ms(&clock_system), &arena, &findings, &count) == 0)
        (void)tell_findings(duty, findings, count, tell);
    arena_reset(&arena);
    return count;
}

static void log_finding(const char *text)
{
    log_warn("duty", "%s", text);
}

static void count_findings(struct duty_watch *watch, const struct duty_finding *findings,
                           size_t count)
{
    (void)pthread_mutex_lock(&watch->lock);
    memset(watch->found, 0, sizeof watch->found);
    for (size_t i = 0; i < count; i++)
        watch->found[findings[i].kind]++;
    (void)pthread_mutex_unlock(&watch->lock);
}

/* The day a look belongs to; in the zone of the file. */
static int64_t look_day(const struct duty *duty, int64_t now_ms)
{
    const int64_t local_ms = duty == NULL ? now_ms : civil_local_ms(duty_zone(duty), now_ms);
    return civil_day_of(local_ms - LOOK_MINUTE * CIVIL_MINUTE_MS);
}

static void look(struct duty_watch *watch, const struct duty_view *view, int64_t now_ms)
{
    struct arena arena;
    struct duty_finding *findings;
    struct diagnosis why = {0};
    size_t count;

    arena_init(&arena, ARENA_MAX);
    int error = find(view->duty, &view->overrides, now_ms, &arena, &findings, &count);
    if (error == 0 && watch->retry_ms == 0)
        (void)tell_findings(view->duty, findings, count, log_finding);
    if (error == 0)
        count_findings(watch, findings, count);
    if (error == 0)
        error = post(watch, view->duty, findings, count, now_ms, &arena, &why);
    watch->retry_ms = error == 0 || error == ERR_CANCELLED ? 0 : now_ms + RETRY_MS;
    if (watch->retry_ms != 0)
        log_warn("duty", "the look ahead at who is on duty has failed, again in %d s: %s",
                 RETRY_MS / 1000, why.text[0] != '\0' ? why.text : error_text(error));
    arena_reset(&arena);
}

static void turn(struct duty_watch *watch)
{
    const int64_t now_ms = clock_unix_ms(&clock_system);
    const uint64_t generation = duty_book_generation(watch->book);
    struct duty_view view;

    duty_book_view(watch->book, &view);
    const int64_t day = look_day(view.duty, now_ms);
    const bool retries = watch->retry_ms != 0 &&
                         (now_ms >= watch->retry_ms || watch->retry_ms > now_ms + RETRY_MS);
    if (!watch->has_looked || generation != watch->generation || day != watch->day || retries) {
        if (generation != watch->generation || day != watch->day)
            watch->retry_ms = 0;
        watch->has_looked = true;
        watch->generation = generation;
        watch->day = day;
        look(watch, &view, now_ms);
    }
    duty_view_done(&view);
}

static void *run(void *context)
{
    struct duty_watch *watch = context;
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        struct timespec until;
        (void)pthread_mutex_unlock(&watch->lock);
        turn(watch);
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)TURN_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_mutex_lock(&watch->lock);
        if (!watch->stopping)
            (void)pthread_cond_timedwait(&watch->stopped, &watch->lock, &until);
    }
    (void)pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

int duty_watch_start(struct duty_book *book, struct notify *notify,
                     struct duty_watch **ret_watch)
{
    pthread_condattr_t monotonic;
    struct duty_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return ERR_NOMEM;
    watch->book = book;
    watch->notify = notify;
    must(pthread_mutex_init(&watch->lock, NULL) == 0);
    must(pthread_condattr_init(&monotonic) == 0);
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&watch->stopped, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&watch->thread, NULL, run, watch) != 0) {
        (void)pthread_cond_destroy(&watch->stopped);
        (void)pthread_mutex_destroy(&watch->lock);
        free(watch);
        return ERR_NOMEM;
    }
    *ret_watch = watch;
    return 0;
}

void duty_watch_stop(struct duty_watch *watch)
{
    if (watch == NULL)
        return;
    (void)pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    (void)pthread_cond_signal(&watch->stopped);
    (void)pthread_mutex_unlock(&watch->lock);
    (void)pthread_join(watch->thread, NULL);
    (void)pthread_cond_destroy(&watch->stopped);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* ---- metrics ----------------------------------------------------------------------------- */

static void put_head(struct buf *out, const char *name, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void put(struct buf *out, const char *name, const char *help, size_t value)
{
    put_head(out, name, help);
    buf_printf(out, "%s %zu\n", name, value);
}

static void put_rosters(const struct duty_view *view, size_t count, struct buf *out)
{
    const struct duty_person *persons[DUTY_RESOLVED_MAX];
    const int64_t now_ms = clock_unix_ms(&clock_system);
    if (count == 0)
        return;
    put_head(out, "fengsui_collector_duty_roster_persons", "Persons on duty now, by roster.");
    for (size_t i = 0; i < count; i++) {
        const struct duty_target target = {DUTY_ROSTER, duty_roster_at(view->duty, i)};
        buf_put_text(out, "fengsui_collector_duty_roster_persons{roster=\"");
        for (const char *at = target.name; *at != '\0'; at++) {
            if (*at == '"' || *at == '\\')
                buf_put_char(out, '\\');
            buf_put_char(out, *at);
        }
        buf_printf(
            out, "\"} %zu\n",
            duty_resolve(view->duty, &view->overrides, &target, now_ms, NULL, 0, persons));
    }
}

void duty_watch_print_metrics(struct duty_watch *watch, struct buf *out)
{
    size_t found[DUTY_FOUND_KINDS], persons = 0, rosters = 0;
    struct duty_view view;

    (void)pthread_mutex_lock(&watch->lock);
    memcpy(found, watch->found, sizeof found);
    (void)pthread_mutex_unlock(&watch->lock);
    duty_book_view(watch->book, &view);
    while (view.duty != NULL && duty_person_at(view.duty, persons) != NULL)
        persons++;
    while (view.duty != NULL && duty_roster_at(view.duty, rosters) != NULL)
        rosters++;
    put(out, PREFIX "persons", "Persons of duty.yml.", persons);
    put(out, PREFIX "rosters", "Rosters of duty.yml.", rosters);
    put(out, PREFIX "swaps", "Swaps that are kept.", view.overrides.count);
    put_head(out, PREFIX "findings", "What the look ahead at 60 days has found, by kind.");
    for (size_t i = 0; i < DUTY_FOUND_KINDS; i++)
        buf_printf(out, PREFIX "findings{kind=\"%s\"} %zu\n",
                   duty_finding_name((enum duty_finding_kind)i), found[i]);
    put_rosters(&view, rosters, out);
    duty_view_done(&view);
}
