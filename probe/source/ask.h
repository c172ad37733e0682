/*
 * ask.h - services on this host that say how they are in a language of their own.
 *
 *     nginx       stub_status                      nginx_*       as nginx-prometheus-exporter
 *     squid       the cache manager's pages        squid_*       as squid-exporter
 *     memcached   stats                            memcached_*   as memcached_exporter
 *     redis       INFO                             redis_*       as redis_exporter
 *     jvm         Jolokia, JSON over HTTP          jvm_*         as the Java client library
 *
 * Each service is a dialect: what to send, when the answer is whole, and what it means.  All
 * the rest is one source (ask.c) that every dialect shares, and an instance for each target, as
 * with `scrape`: a deadline, a bound on the answer, an answer that counts whole or not at all,
 * `up`, and series that end when the service is down.
 *
 * Thread: the loop's; nothing waits.
 */
#pragma once

#include "probe/http/http_get.h"
#include "probe/source/scan.h"
#include "probe/source/scrape_settings.h"
#include "proto/base/clock.h"

/* Where a dialect puts what it has read. */
struct ask_out {
    /* A sample; an error ends the answer. */
    int (*take)(void *context, const struct exposition_sample *sample, struct diagnosis *why);
    void *context;
    struct diagnosis *why;
    int error;    /* of the first take() that failed */
    size_t count; /* samples so far, of all pages */
    int64_t now_ms;
};

struct ask_metric {
    const char *field; /* the service's name for it */
    const char *name;  /* the whole metric's name; what it is to be called */
    enum metric_type type;
    const char *help;
};

/* Labels ascending by name; those with an empty value are left out. */
void ask_put(struct ask_out *out, const struct ask_metric *metric, const struct label *labels,
             size_t count, double value);
static inline void ask_put_plain(struct ask_out *out, const struct ask_metric *metric,
                                 double value)
{
    ask_put(out, metric, NULL, 0, value);
}

/* The row of that field, or NULL; tables of any order, up to some hundred rows. */
const struct ask_metric *ask_metric_find(const struct ask_metric *table, size_t count,
                                         struct span field);

/* A number as far as it goes: "12.5%", "0.1 seconds"; false: none there. */
bool ask_number(struct span text, double *ret_value);

struct ask_login {
    const char *user;     /* NULL: none given */
    const char *password; /* NULL: none */
};

struct ask_dialect {
    const char *source;       /* its name in probe.yml, and the job if none is given */
    const char *scheme;       /* of its URL: "http://", "redis://" */
    const char *port;         /* if the URL names none */
    const char *path;         /* if the URL has none; "" with `pages` */
    const char *const *pages; /* appended to the path, asked one after the other; NULL: one */
    bool is_raw;              /* not HTTP */
    struct ask_metric up;     /* the exporter's own `up`; name NULL: none */
    const char *up_label;     /* a label of it that has the host's name, or NULL */
    /* HTTP: the body of a POST (NULL: GET).  Raw: unused. */
    const char *body;
    /* Raw: puts what is to be sent. */
    void (*request)(struct buf *out, const struct ask_login *login);
    /* Raw: 1 when all of the answer is there, 0 if not yet, ERR_MALFORMED. */
    int (*whole)(struct bytes answer, bool has_login);
    /* Emits what a whole answer says.  ERR_MALFORMED, ERR_REFUSED with the reason in `why`. */
    int (*parse)(struct bytes answer, size_t page, const struct ask_login *login,
                 struct ask_out *out, struct diagnosis *why);
};

#define ASK_PAGES_MAX 4

struct ask_state {
    /* fixed after configure() */
    const struct ask_dialect *dialect; /* NULL: the source without a target */
    struct scrape_settings settings;
    struct buf requests[ASK_PAGES_MAX];
    size_t page_count;
    struct ask_login login; /* the texts are its own */
    /* the look under way */
    struct http_get get;
    size_t page;
    struct buf answer;
    struct scrape_series series;
    struct ask_out out;
    mono_ns began;
    mono_ns spent_ns; /* processor time at the ends of pages, since the start */
    uv_loop_t *loop;
    int64_t timeout_ms;
    void (*done)(void *context, int error);
    void *context;
    /* its outcome */
    int failure;
    struct diagnosis why;
    double duration_seconds;
    bool was_failing;
    series_handle own_up; /* the exporter's; SERIES_NONE: it has none */
};

/* The calls of every dialect's source; ASK_SOURCE makes its configure(), which names the
 * dialect. */
int ask_configure(void *state, const struct ask_dialect *dialect, struct config *config,
                  const struct config_node *node, struct diagnosis *why);
int ask_start(void *state, const struct source_env *env, struct emitter *out);
int ask_begin(void *state, const struct source_env *env, struct uv_loop_s *loop,
              void (*done)(void *context, int error), void *context);
uint64_t ask_spent_ns(const void *state);
void ask_cancel(void *state);
int ask_collect(void *state, const struct source_env *env, struct emitter *out);
const char *ask_title(const void *state);
int ask_check(void *state, const struct source_env *env, struct diagnosis *why);
void ask_stop(void *state);

/* The source NAME, of ask_dialect_NAME. */
#define ASK_SOURCE(name_, summary_)                                                            \
    static int name_##_configure(void *state, struct config *config,                           \
                                 const struct config_node *node, struct diagnosis *why)        \
    {                                                                                          \
        return ask_configure(state, &ask_dialect_##name_, config, node, why);                  \
    }                                                                                          \
    const struct source source_##name_ = {.name = #name_,                                      \
                                          .summary = (summary_),                               \
                                          .needs = "a target in probe.yml",                    \
                                          .state_bytes = sizeof(struct ask_state),             \
                                          .interval_ms = 15000,                                \
                                          .has_targets = true,                                 \
                                          .configure = name_##_configure,                      \
                                          .start = ask_start,                                  \
                                          .begin = ask_begin,                                  \
                                          .spent_ns = ask_spent_ns,                            \
                                          .cancel = ask_cancel,                                \
                                          .title = ask_title,                                  \
                                          .collect = ask_collect,                              \
                                          .check = ask_check,                                  \
                                          .stop = ask_stop}

/* ask_settings.c: reads a target's map and writes the requests. */
int ask_settings_read(struct ask_state *ask, struct config *config,
                      const struct config_node *node, struct diagnosis *why);
void ask_settings_done(struct ask_state *ask);
