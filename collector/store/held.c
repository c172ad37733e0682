/*
 * held.c - how far back what is kept reaches, by rule of retention.
 *
 * Which rules mean series of a file is found in its postings, once: files do not change, nor do
 * the rules of an open store.  So being asked every few seconds costs no look into files.
 */
#include <roaring/roaring.h>

#include "collector/store/parts.h"
#include "collector/store/rollup_make.h"
#include "collector/store/span_parts.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

_Static_assert(STORE_TIERS == (int)AGE_KINDS, "each kind has an age");
_Static_assert(STORE_HELD_MAX == AGES_MAX, "a bit of a mask for the others and for each rule");

#define BIT(row) (UINT64_C(1) << (row))
#define LOOKED_AT_MAX 4096 /* series of memory; their neighbours began with them */

/* -- ages -------------------------------------------------------------------------------- */

/* Of the others (row 0), and of whom a rule means and no other does. */
static struct series_ages ages_of_row(const struct ages *ages, size_t row)
{
    struct series_ages of = ages->others;
    for (int k = 0; k < AGE_KINDS && row > 0; k++)
        if (ages->rules[row - 1].names[k])
            of.of[k] = ages->rules[row - 1].ages.of[k];
    return of;
}

static void fill_row(const struct ages *ages, size_t row, struct store_held *ret_held)
{
    const struct series_ages of = ages_of_row(ages, row);
    *ret_held = (struct store_held){.age_ms = {of.of[AGE_OF_SAMPLES]}};
    if (row > 0)
        ret_held->selection = (struct store_selection){ages->rules[row - 1].who->matchers,
                                                       ages->rules[row - 1].who->count};
    for (int k = 0; k < AGE_KINDS; k++)
        ret_held->oldest_ms[k] = INT64_MAX;
    for (size_t t = 0; t < ROLLUP_TIERS; t++)
        ret_held->age_ms[AGE_OF_TIER + t] =
            ages_make(ages, &of, t) ? of.of[AGE_OF_TIER + t] : STORE_NEVER;
}

/* -- who is in a source ------------------------------------------------------------------ */

/* Hands on whom each row means; the watch as for postings_select(). */
static int each_row(const struct ages *ages, const struct postings_source *source,
                    struct select_watch *watch,
                    void (*each)(void *context, size_t row, const roaring_bitmap_t *meant),
                    void *context)
{
    roaring_bitmap_t *left = roaring_bitmap_create();
    int error = left == NULL ? ERR_NOMEM : source->all(source->context, left);
    for (size_t i = 0; i < ages->rule_count && error == 0; i++) {
        const struct deletion *who = ages->rules[i].who;
        roaring_bitmap_t *meant = NULL;
        error = postings_select(source, who->matchers, who->count, watch, &meant);
        if (error != 0)
            break;
        each(context, i + 1, meant);
        roaring_bitmap_andnot_inplace(left, meant);
        roaring_bitmap_free(meant);
    }
    if (error == 0)
        each(context, 0, left);
    if (left != NULL)
        roaring_bitmap_free(left);
    return error;
}

static void note_row(void *context, size_t row, const roaring_bitmap_t *meant)
{
    *(uint64_t *)context |= roaring_bitmap_is_empty(meant) ? 0 : BIT(row);
}

static bool is_aside(struct span *span)
{
    must(pthread_mutex_lock(&span->lock) == 0);
    const bool is = span->quarantined;
    must(pthread_mutex_unlock(&span->lock) == 0);
    return is;
}

/* None of a file that is damaged, which is named elsewhere. */
static int rows_in_file(const struct ages *ages, struct span *span, uint64_t *ret_rows)
{
    struct span_reader *reader = NULL;
    uint64_t rows = ages->rule_count == 0 ? BIT(0) : atomic_load(&span->rules);
    int error = 0;
    *ret_rows = 0;
    if (is_aside(span))
        return 0;
    if (rows == 0) {
        error = span_reader_open(span, &reader);
        if (error == 0) {
            struct postings_source source = span_postings(reader);
            error = each_row(ages, &source, NULL, note_row, &rows);
        }
        span_reader_close(reader);
        if (error == ERR_LIMIT) { /* a pattern takes too long: there may be any */
            rows = UINT64_MAX;
            error = 0;
        }
        if (error == 0)
            atomic_store(&span->rules, rows);
    }
    if (error == 0)
        *ret_rows = rows;
    return error == ERR_CORRUPT ? 0 : error;
}

/* -- times ------------------------------------------------------------------------------- */

/* From when on readers see anything of what lies from min_ms to max_ms, in a file that ends at
 * end_ms; INT64_MAX: of none of it (ages.h: holes of samples, days of records). */
static int64_t seen_from(const struct ages *ages, size_t row, int kind, int64_t min_ms,
                         int64_t max_ms, int64_t end_ms)
{
    const struct series_ages of = ages_of_row(ages, row);
    const int64_t now_ms = clock_unix_ms(ages->clock);
    const int64_t age_ms = of.of[kind];
    if (ages->rule_count == 0 || age_ms == STORE_FOREVER)
        return min_ms;
    if (kind >= AGE_OF_TIER)
        return age_is_over(age_ms, end_ms, now_ms) ? INT64_MAX : min_ms;
    if (ages_make(ages, &of, 0) || ages_make(ages, &of, 1) || min_ms >= now_ms - age_ms)
        return min_ms;
    return max_ms < now_ms - age_ms ? INT64_MAX : now_ms - age_ms;
}

static void note(struct store_held *held, int kind, int64_t from_ms)
{
    if (from_ms < held->oldest_ms[kind])
        held->oldest_ms[kind] = from_ms;
}

static int look_in_files(struct store *store, int kind, struct store_held *rows, size_t count)
{
    const struct ages *ages = &store->deletes.ages;
    const enum span_kind of =
        kind < AGE_OF_TIER ? SPAN_SAMPLES : rollup_tiers[kind - AGE_OF_TIER].kind;
    struct span **spans;
    size_t span_count;
    int error =
        span_set_acquire_kind(store->spans, of, INT64_MIN, INT64_MAX, &spans, &span_count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < span_count && error == 0; i++) {
        const struct span_manifest *manifest = &span_info_of(spans[i])->manifest;
        uint64_t meant;
        error = rows_in_file(ages, spans[i], &meant);
        for (size_t row = 0; row < count && error == 0; row++)
            if ((meant & BIT(row)) != 0)
                note(&rows[row], kind,
                     seen_from(ages, row, kind, manifest->min_ms, manifest->max_ms,
                               manifest->end_ms));
    }
    span_set_release(store->spans, spans, span_count);
    return error;
}

struct head_look {
    struct store *store;
    struct store_held *rows;
    struct select_watch watch; /* one for all rows */
};

/* Of those of whom no file has samples; under the table's lock. */
static void look_at_row(void *context, size_t row, const roaring_bitmap_t *meant)
{
    const struct head_look *look = context;
    struct head *head = look->store->head;
    struct store_held *held = &look->rows[row];
    int64_t first_ms = INT64_MAX;
    roaring_uint32_iterator_t at;
    if (held->oldest_ms[AGE_OF_SAMPLES] != INT64_MAX)
        return;
    roaring_init_iterator(meant, &at);
    for (size_t i = 0; at.has_value && i < LOOKED_AT_MAX; i++) {
        const struct series *series = head_peek_id(head, at.current_value);
        pthread_rwlock_t *shard = &head->shards[head_shard_of(at.current_value)];
        if (series != NULL) {
            must(pthread_rwlock_rdlock(shard) == 0);
            const int64_t own_ms = series_first_ms(series);
            must(pthread_rwlock_unlock(shard) == 0);
            first_ms = own_ms < first_ms ? own_ms : first_ms;
        }
        roaring_advance_uint32_iterator(&at);
    }
    if (first_ms != INT64_MAX)
        note(held, AGE_OF_SAMPLES,
             seen_from(&look->store->deletes.ages, row, AGE_OF_SAMPLES, first_ms, INT64_MAX,
                       INT64_MAX));
}

static int ask_head(void *context, const struct postings_source *source)
{
    struct head_look *look = context;
    return each_row(&look->store->deletes.ages, source, &look->watch, look_at_row, look);
}

static int look_in_head(struct store *store, struct store_held *rows, size_t count)
{
    struct head_look look = {.store = store, .rows = rows};
    bool is_wanted = false;
    for (size_t row = 0; row < count; row++)
        is_wanted = is_wanted || rows[row].oldest_ms[AGE_OF_SAMPLES] == INT64_MAX;
    if (!is_wanted)
        return 0;
    const struct ages *ages = &store->deletes.ages;
    for (size_t i = 0; i < ages->rule_count; i++)
        matchers_prepare(ages->rules[i].who->matchers, ages->rules[i].who->count);
    int error = head_ask(store->head, &look.watch, ask_head, &look);
    select_watch_done(&look.watch);
    return error == ERR_LIMIT ? 0 : error;
}

int store_held(struct store *store, struct store_held rows[STORE_HELD_MAX], size_t *ret_count)
{
    const struct ages *ages = &store->deletes.ages;
    const size_t count = ages->rule_count + 1;
    int error = 0;
    for (size_t row = 0; row < count; row++)
        fill_row(ages, row, &rows[row]);
    for (int k = 0; k < AGE_KINDS && error == 0; k++)
        error = look_in_files(store, k, rows, count);
    if (error == 0)
        error = look_in_head(store, rows, count);
    if (error == 0)
        *ret_count = count;
    return error;
}
