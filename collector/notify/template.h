/*
 * template.h - Go's text templates as rules, mails and chats use them.
 *
 *     {{ $labels.instance }} at {{ $value | humanizePercentage }}
 *     {{ range .Alerts.Firing }}{{ .Labels.alertname }} {{ end }}
 *     {{ define "line" }}{{ .Labels.SortedPairs.Values | join " " }}{{ end }}
 *     {{ template "line" . }}
 *
 * Actions: pipelines, variables (:= and =), if, with, range (of lists, maps and whole numbers),
 * else, break, continue, define, template, block, comments, {{- and -}}.  Functions: the table in
 * template_function.c.  Methods: of label sets (SortedPairs Names Values Remove), alerts (Firing
 * Resolved), times and durations.
 *
 * Where Go refuses to compare a whole number with a float ({{ gt $value 5 }}), this compares.
 *
 * Lifetime   A parsed template is immutable and lives in the arena given to template_parse();
 *            it points into the text, which must live as long.  Any thread may run it.
 * Missing keys of label sets print nothing, as Prometheus sets it (missingkey=zero).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

#define TEMPLATE_BYTES_MAX  ((size_t)256 << 10)
#define TEMPLATE_OUTPUT_MAX ((size_t)1 << 20)
#define TEMPLATE_STEPS_MAX  100000u /* nodes one run may visit */
#define TEMPLATE_DEPTH_MAX  64
#define TEMPLATE_CALLS_MAX  40 /* templates that call each other */

enum value_kind {
    VALUE_NIL, VALUE_BOOL, VALUE_INTEGER, VALUE_FLOAT, VALUE_STRING, VALUE_LABELS, VALUE_LIST,
    VALUE_MAP, VALUE_TIME, VALUE_DURATION
};

/* What a value is besides its kind. */
enum value_trait {
    TRAIT_NONE,
    TRAIT_METHODS, /* labels of a message: SortedPairs ...; a list of alerts: Firing ... */
    TRAIT_PAIRS,   /* a list that SortedPairs gave: Names, Values */
    TRAIT_OPEN,    /* a map, not a record: a missing key is no error */
    TRAIT_HTML,    /* a text that is markup: safeHtml */
    TRAIT_URL      /* a text that may be a URL of any scheme: safeUrl */
};

struct value_field;

/* What a template computes with.  A value owns nothing. */
struct value {
    enum value_kind kind;
    enum value_trait trait;
    union {
        bool boolean;
        int64_t integer;
        int64_t duration_ms;
        double real;
        struct bytes text;
        const struct labels *labels; /* a map of strings; may be NULL: empty */
        struct {
            const struct value *items;
            size_t count;
        } list;
        struct {
            const struct value_field *fields;
            size_t count;
        } map;
        struct {
            int64_t unix_ms; /* VALUE_TIME_NONE: Go's zero time, the first of January of year 1 */
            int32_t offset_s;
            const char *zone; /* "UTC", "CST" */
        } time;
    } as;
};
#define VALUE_TIME_NONE (INT64_C(-62135596800) * 1000)

struct value_field {
    const char *name;
    struct value value;
};

static inline struct value value_of_text(const char *text)
{
    return (struct value){.kind = VALUE_STRING, .as.text = bytes_of(text)};
}
static inline struct value value_of_number(double number)
{
    return (struct value){.kind = VALUE_FLOAT, .as.real = number};
}
static inline struct value value_of_labels(const struct labels *labels)
{
    return (struct value){.kind = VALUE_LABELS, .as.labels = labels};
}

/* In UTC. */
static inline struct value value_of_time(int64_t unix_ms)
{
    return (struct value){.kind = VALUE_TIME, .as.time = {unix_ms, 0, "UTC"}};
}

struct template;

/* ---- templates that others call by name ---------------------------------------------------- */

struct template_set; /* lives in its arena */
int template_set_new(struct arena *arena, struct template_set **ret_set);
/* Takes the {{ define }} and {{ block }} of a text, which must live as long as the set; of two
 * with one name the later counts, unless it says nothing.  Errors as of template_parse(), as
 * "NAME:LINE: reason". */
int template_set_add(struct template_set *set, const char *name, const char *text,
                     struct diagnosis *why);

/* ---- parsing ------------------------------------------------------------------------------- */

/* What a text may name besides what it defines itself. */
struct template_scope {
    const struct template_set *set;     /* NULL: none */
    const char *const *variables;       /* ends with NULL; NULL: none but $ */
};

/* ERR_INVALID with the reason, ERR_NOMEM, ERR_LIMIT.  `scope` may be NULL. */
int template_parse(const char *text, const struct template_scope *scope, struct arena *arena,
                   const struct template **ret_template, struct diagnosis *why);
/* Parses, and follows every {{ template }} it can reach: all must be defined. */
int template_check(const char *text, const struct template_scope *scope,
                   struct diagnosis *why);

/* ---- running ------------------------------------------------------------------------------- */

/* Evaluates a PromQL text for query(): a list of maps {Labels, Value} in the arena. */
typedef int template_query(void *context, struct bytes text, struct arena *arena,
                           struct value *ret_samples, struct diagnosis *why);

struct template_environment {
    const char *external_url; /* NULL: "" */
    const struct labels *external_labels; /* $externalLabels of rules; NULL: none */
    template_query *query;    /* NULL: query() is an error */
    void *query_context;
    int64_t now_ms;           /* for since(); 0: the clock's */
    bool is_html;             /* what actions print is escaped, as in a page's text */
};

/* Runs with `root` as dot and these variables ("labels" is $labels; the scope named them).  The
 * text is appended to `out`; after an error `out` may hold a part.  `environment` may be NULL. */
int template_run(const struct template *template,
                 const struct template_environment *environment, struct value root,
                 const struct value_field *variables, size_t variable_count,
                 struct arena *arena, struct buf *out, struct diagnosis *why);

/* A float as Go prints it with %v: shortest digits, 1e+06 from a million on. */
#define VALUE_NUMBER_BYTES 40
const char *template_value_number_text(double number, char text[VALUE_NUMBER_BYTES]);
