/*
 * api_names.c - /api/v1/labels, label/NAME/values, series: what is there.
 *
 * Several match[] mean "or": each is asked for, and the sorted answers are merged.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/http/api_parts.h"
#include "proto/base/error.h"

/* A question of this kind, while it is answered. */
struct search {
    struct selectors selectors;
    struct querier *querier;
    const struct queryable_calls *calls;
    int64_t from_ms, until_ms;
    size_t limit;
    struct arena arena;
    struct query_budget budget;
    struct diagnosis why; /* of what went wrong */
};

static bool search_open(struct http_request *request, struct http_response *response,
                        enum selector_errors errors, struct search *search)
{
    *search = (struct search){0};
    arena_init(&search->arena, app_of(request)->promql.max_memory_bytes);
    search->arena.total = api_memory(request);
    search->budget.samples_left = UINT64_MAX;
    search->budget.cancelled = &request->cancelled;
    search->budget.at_hand = request->at_once;
    if (!api_deadline(request, response, &search->budget.deadline_mono_ns) ||
        !api_time(request, response, "start", TIME_FIRST_MS, &search->from_ms) ||
        !api_time(request, response, "end", TIME_LAST_MS, &search->until_ms) ||
        !api_limit(request, response, &search->limit) ||
        !api_selectors(request, response, errors, &search->selectors) ||
        !api_is_in_time(response, search->budget.deadline_mono_ns))
        return false;
    struct queryable *store = store_queryable(app_of(request)->store);
    struct diagnosis why = {0};
    search->calls = store->calls;
    int error = store->calls->open(store, search->from_ms, search->until_ms, &search->querier,
                                   &why);
    if (error == 0)
        return true;
    reply_code(response, error, &why);
    return false;
}

static void search_close(struct search *search)
{
    if (search->querier != NULL)
        search->calls->close(search->querier);
    api_selectors_free(&search->selectors);
    arena_reset(&search->arena);
}

/* ---- names and values ------------------------------------------------------------------ */

static int compare_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

struct texts {
    struct bytes *items; /* in the search's arena */
    size_t count, capacity; /* 0: one selector's own list, which is not to be changed */
};

/* Adds the sorted list that one selector gave. */
static int add_texts(struct search *search, struct texts *all, struct bytes *items, size_t count)
{
    if (count == 0)
        return 0;
    if (all->count == 0) {
        *all = (struct texts){items, count, 0};
        return 0;
    }
    struct bytes *grown = api_grow(&search->arena, all->items, all->count, count, sizeof *grown,
                                   &all->capacity);
    if (grown == NULL)
        return ERR_LIMIT;
    memcpy(grown + all->count, items, count * sizeof *grown);
    all->items = grown;
    all->count += count;
    return 0;
}

/* Sorts what several selectors gave; each stays once. */
static void merge(struct texts *all)
{
    size_t kept = 0;
    qsort(all->items, all->count, sizeof *all->items, compare_bytes);
    for (size_t i = 0; i < all->count; i++) {
        if (kept == 0 || !bytes_equal(all->items[kept - 1], all->items[i]))
            all->items[kept++] = all->items[i];
    }
    all->count = kept;
}

/* Names (label NULL) or values of a label, over all selectors. */
static int gather(struct search *search, const struct bytes *label, struct texts *all)
{
    size_t rounds = search->selectors.count == 0 ? 1 : search->selectors.count;
    int error = 0;
    for (size_t i = 0; i < rounds && error == 0; i++) {
        const struct selector *selector = &search->selectors.items[i]; /* zeroed past the end */
        struct bytes *items = NULL;
        size_t count = 0;
        if (label == NULL)
            error = search->calls->label_names(search->querier, selector->matchers,
                                               selector->count, &search->budget, &search->arena,
                                               &items, &count, &search->why);
        else
            error = search->calls->label_values(search->querier, *label, selector->matchers,
                                                selector->count, &search->budget,
                                                &search->arena, &items, &count, &search->why);
        if (error == 0)
            error = add_texts(search, all, items, count);
    }
    if (error == 0 && all->capacity > 0)
        merge(all);
    return error;
}

static void answer_texts(struct http_response *response, const struct search *search,
                         const struct texts *texts, int error)
{
    if (error == ERR_AGAIN && search->budget.at_hand) {
        response->put_off = true;
        return;
    }
    if (error != 0) {
        api_store_error(response, error, &search->arena, &search->why);
        return;
    }
    bool is_cut = search->limit > 0 && texts->count > search->limit;
    size_t count = is_cut ? search->limit : texts->count;
    struct reply reply;
    reply_start(&reply, response);
    json_write_array(&reply.json);
    for (size_t i = 0; i < count; i++)
        json_write_string(&reply.json, texts->items[i]);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, is_cut ? "results truncated due to limit" : NULL);
}

/* Matchers have to be compiled, and looked for in files. */
static bool is_put_off(const struct http_request *request, struct http_response *response)
{
    response->put_off = request->at_once && http_parameter(request, "match[]") != NULL;
    return response->put_off;
}

void api_labels(struct http_request *request, struct http_response *response)
{
    if (is_put_off(request, response))
        return;
    struct search search;
    struct texts texts = {0};
    if (search_open(request, response, SELECTOR_ERRORS_BARE, &search))
        answer_texts(response, &search, &texts, gather(&search, NULL, &texts));
    search_close(&search);
}

/* ---- label names in paths -------------------------------------------------------------- */

static size_t put_utf8(uint32_t rune, char *to)
{
    if (rune < 0x80) {
        to[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        to[0] = (char)(0xc0 | rune >> 6);
        to[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        to[0] = (char)(0xe0 | rune >> 12);
        to[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        to[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | rune >> 18);
    to[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    to[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    to[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}

/* Prometheus's "values" escaping: U__a_2e_b is a.b, a double underscore is one.  What is no
 * escape stays as it is (model.UnescapeName).  Output is never longer than input. */
static void unescape_name(char *name)
{
    if (strncmp(name, "U__", 3) != 0)
        return;
    char *original = strdup(name);
    char *to = name;
    const char *from = name + 3;
    bool is_fit = original != NULL;
    while (is_fit && *from != '\0') {
        if (*from != '_') {
            *to++ = *from++;
        } else if (from[1] == '_') {
            *to++ = '_';
            from += 2;
        } else {
            char *end = NULL;
            unsigned long rune = strtoul(from + 1, &end, 16);
            size_t digits = (size_t)(end - from - 1);
            is_fit = digits > 0 && digits <= 6 && *end == '_' && rune > 0 && rune <= 0x10ffff;
            if (is_fit) {
                to += put_utf8((uint32_t)rune, to);
                from = end + 1;
            }
        }
    }
    *to = '\0';
    if (!is_fit && original != NULL)
        memcpy(name, original, strlen(original) + 1);
    free(original);
}

/* Tells a name as Go quotes it. */
static void refuse_name(struct http_response *response, struct bytes name)
{
    struct buf text = {0};
    text_quote(name, &text);
    reply_error(response, API_BAD_DATA, "invalid label name: %s", buf_text(&text));
    buf_done(&text);
}

void api_label_values(struct http_request *request, struct http_response *response)
{
    static const char tail[] = "/values";
    if (is_put_off(request, response))
        return;
    size_t size = strlen(request->rest);
    size_t name_size = size - (sizeof tail - 1);
    if (size < sizeof tail || strcmp(request->rest + name_size, tail) != 0) {
        response->status = 404;
        response->content_type = "text/plain; charset=utf-8";
        buf_put_text(&response->body, "404 page not found\n");
        return;
    }
    char *name = strndup(request->rest, name_size);
    if (name == NULL) {
        reply_code(response, ERR_NOMEM, NULL);
        return;
    }
    unescape_name(name);
    struct bytes label = bytes_of(name);
    if (label.size == 0 || !utf8_is_valid(label)) {
        refuse_name(response, label);
    } else {
        struct search search;
        struct texts texts = {0};
        if (search_open(request, response, SELECTOR_ERRORS_BARE, &search))
            answer_texts(response, &search, &texts, gather(&search, &label, &texts));
        search_close(&search);
    }
    free(name);
}

/* ---- series ---------------------------------------------------------------------------- */

static int compare_series(const void *a, const void *b)
{
    return labels_compare(((const struct series_samples *)a)->labels,
                          ((const struct series_samples *)b)->labels);
}

/* The series of all selectors, sorted, each once. */
static int gather_series(struct search *search, struct series_list *all)
{
    struct select_hints hints = {.from_ms = search->from_ms, .until_ms = search->until_ms,
                                 .no_samples = true};
    for (size_t i = 0; i < search->selectors.count; i++) {
        const struct selector *selector = &search->selectors.items[i];
        struct series_samples *found = NULL;
        size_t count = 0;
        int error = search->calls->select(search->querier, selector->matchers, selector->count,
                                          &hints, &search->budget, &search->arena, &found,
                                          &count, &search->why);
        if (error == 0)
            error = api_series_add(all, &search->arena, found, count);
        if (error != 0)
            return error;
    }
    size_t kept = 0;
    if (all->count > 0)
        qsort(all->items, all->count, sizeof *all->items, compare_series);
    for (size_t i = 0; i < all->count; i++) {
        if (kept == 0 || !labels_equal(all->items[kept - 1].labels, all->items[i].labels))
            all->items[kept++] = all->items[i];
    }
    all->count = kept;
    return 0;
}

static void answer_series(struct http_response *response, struct search *search)
{
    struct series_list series = {0};
    int error = gather_series(search, &series);
    if (error != 0) {
        api_store_error(response, error, &search->arena, &search->why);
        return;
    }
    bool is_cut = search->limit > 0 && series.count > search->limit;
    size_t count = is_cut ? search->limit : series.count;
    struct reply reply;
    reply_start(&reply, response);
    json_write_array(&reply.json);
    for (size_t i = 0; i < count; i++)
        api_write_metric(&reply.json, series.items[i].labels);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, is_cut ? "results truncated due to limit" : NULL);
}

void api_series(struct http_request *request, struct http_response *response)
{
    if (http_parameter(request, "match[]") == NULL) {
        reply_error(response, API_BAD_DATA, "no match[] parameter provided");
        return;
    }
    struct search search;
    if (search_open(request, response, SELECTOR_ERRORS_NAMED, &search))
        answer_series(response, &search);
    search_close(&search);
}
