/*
 * labels.h - the identity of a series: a sorted, immutable set of label pairs.
 *
 * One allocation holds the pairs and their bytes.  Names and values are UTF-8 and
 * NUL-terminated in place (never holding a NUL inside), so they can be used as C strings; sizes
 * are kept.
 * __name__ is an ordinary label and, as everywhere in Prometheus, sorts among the others.
 *
 * A labels value never changes after labels_build(); any thread may read it.  Whoever holds the
 * pointer from a build owns it (free with labels_free) unless it was built in an arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/utf8.h"     /* utf8_is_valid() */
#include "proto/wire/envelope.h" /* struct label: the pair as two runs of bytes */

#define LABEL_NAME "__name__"

struct labels {
    uint64_t hash; /* XXH3-64 over name 0xFF value 0xFF ...; equal sets have equal hashes */
    size_t count;
    struct label pairs[]; /* ascending by name (byte order), names unique, values not empty */
};

/* Room for one label set of any size, on the stack of whoever looks at a series. */
struct labels_room {
    _Alignas(uint64_t) uint8_t bytes[sizeof(struct labels) +
                                     SERIES_LABELS_MAX * sizeof(struct label)];
};

/* Builds from pairs in any order.  Pairs with an empty value are dropped (an empty label is no
 * label); a name twice is ERR_INVALID; bytes that are no UTF-8 or hold NUL are ERR_MALFORMED;
 * sizes past the wire's limits are ERR_LIMIT.  arena NULL: malloc. */
int labels_build(const struct label *pairs, size_t count, struct arena *arena,
                 const struct labels **ret_labels);

/* A copy with texts of its own.  NULL when the arena is full. */
const struct labels *labels_copy(const struct labels *labels, struct arena *arena);

/* Frees what labels_build() malloc'd.  NULL is allowed. */
void labels_free(const struct labels *labels);

/* The value of a label, or an empty run. */
struct bytes labels_get(const struct labels *labels, struct bytes name);
static inline struct bytes labels_get_text(const struct labels *labels, const char *name)
{
    return labels_get(labels, bytes_of(name));
}

bool labels_equal(const struct labels *a, const struct labels *b);

/* Prometheus's order: pair by pair, name then value; fewer pairs first on a tie. */
int labels_compare(const struct labels *a, const struct labels *b);

/* Appends {a="b", c="d"} with name{...} form when __name__ is there, escaped as Prometheus
 * prints it (UTF-8 names quoted). */
void labels_print(const struct labels *labels, struct buf *out);

/* The same with __name__ as a pair among the others, {__name__="up", job="a"}: the form of
 * Prometheus's error messages. */
void labels_print_pairs(const struct labels *labels, struct buf *out);

/* Appends the text in double quotes, escaped as Go's strconv.Quote. */
void text_quote(struct bytes text, struct buf *out);

/* Alertmanager's fingerprint: FNV-1a 64 over name 0xFF value 0xFF, sorted by name. */
uint64_t labels_fingerprint(const struct labels *labels);

/* Prometheus 3's own hash, which decides what limit_ratio() takes: XXH64 over sized names and
 * values. */
uint64_t labels_prometheus_hash(const struct labels *labels);

/* Serialization used in the store: varint count, then sized name, sized value ... */
void labels_write(const struct labels *labels, struct buf *out);
int labels_read(struct reader *reader, struct arena *arena, const struct labels **ret_labels);

/* A scratch builder for operations that change labels (by/without, label_replace, stamping). */
struct labels_builder {
    struct label *pairs;
    size_t count, capacity;
    bool failed;
};
void labels_builder_init(struct labels_builder *builder);
void labels_builder_done(struct labels_builder *builder);
/* Starts over from `labels` (may be NULL). */
void labels_builder_reset(struct labels_builder *builder, const struct labels *labels);
/* Sets or, with an empty value, deletes.  The bytes must outlive the next build. */
void labels_builder_set(struct labels_builder *builder, struct bytes name, struct bytes value);
void labels_builder_delete(struct labels_builder *builder, struct bytes name);
int labels_builder_build(struct labels_builder *builder, struct arena *arena,
                         const struct labels **ret_labels);

/* Is it a legal label or metric name in the legacy alphabet ([a-zA-Z_][a-zA-Z0-9_]*, metrics
 * also ':')?  UTF-8 names outside it are legal too, but printed quoted. */
bool label_name_is_legacy(struct bytes name);
bool metric_name_is_legacy(struct bytes name);
