/*
 * template.h - Go's text templates as rules and mails use them.
 *
 *     {{ $labels.instance }} at {{ $value | humanizePercentage }}
 *     {{ if gt $value 0.9 }}critical{{ else }}high{{ end }}
 *     {{ range .Alerts }}{{ .Labels.alertname }} {{ end }}
 *
 * Actions: pipelines, variables (:= and =), if / else if / else, range (with one or two
 * variables, else), with, comments, {{- and -}}.  Functions: the table in template_function.c.
 * Not there: define, template, block, break, continue (an error names them).
 *
 * Lifetime   A parsed template is immutable and lives in the arena given to template_parse();
 *            it points into the text, which must live as long.  Any thread may run it.
 * Missing map keys print nothing, as Prometheus sets it (missingkey=zero).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

#define TEMPLATE_BYTES_MAX  ((size_t)64 << 10)
#define TEMPLATE_OUTPUT_MAX ((size_t)1 << 20)
#define TEMPLATE_STEPS_MAX  100000u /* nodes one run may visit */
#define TEMPLATE_DEPTH_MAX  64

enum value_kind {
    VALUE_NIL, VALUE_BOOL, VALUE_INTEGER, VALUE_FLOAT, VALUE_STRING, VALUE_LABELS, VALUE_LIST,
    VALUE_MAP
};

struct value_field;

/* What a template computes with.  A value owns nothing. */
struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
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
    } as;
};

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

struct template;

/* ERR_INVALID with the reason, ERR_NOMEM, ERR_LIMIT. */
int template_parse(const char *text, struct arena *arena, const struct template **ret_template,
                   struct diagnosis *why);
/* Only parses. */
int template_check(const char *text, struct diagnosis *why);

/* Runs with `root` as dot and these variables ("labels" is $labels).  The text is appended to
 * `out`; after an error `out` may hold a part. */
int template_run(const struct template *template, struct value root,
                 const struct value_field *variables, size_t variable_count,
                 struct arena *arena, struct buf *out, struct diagnosis *why);

/* A float as Go prints it with %v: shortest digits, 1e+06 from a million on. */
#define VALUE_NUMBER_BYTES 40
const char *template_value_number_text(double number, char text[VALUE_NUMBER_BYTES]);
