/*
 * fuzz_promql.c - queries from strangers, parsed, printed and run over a small store.
 *
 * The first byte chooses instant or range and delayed names.  Properties: what parses prints to
 * text, on one line or laid out over several, that parses and prints the same again; a query ends in a result that is sorted in time
 * and without stale markers, or in an error that has a reason; memory stays under the ceiling.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/promql/memory_store.h"

#define TEXT_BYTES_MAX 2000

/* Series that info() can join: two hosts, and what is said of them, twice about one. */
static void fill_infos(struct memory_store *store)
{
    static const char *const rows[][3] = {{"d", "h1", ""},
                                          {"d", "h2", ""},
                                          {"target_info", "h1", "x"},
                                          {"target_info", "h1", "y"},
                                          {"e_info", "h2", "x"}};
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        size_t number;
        struct label pairs[] = {{bytes_of("__name__"), bytes_of(rows[n][0])},
                                {bytes_of("instance"), bytes_of(rows[n][1])},
                                {bytes_of("job"), bytes_of("j")},
                                {bytes_of("os"), bytes_of(rows[n][2])}};
        must(memory_store_series(store, pairs, rows[n][2][0] == '\0' ? 3 : 4, &number) == 0);
        for (int64_t i = 0; i < 12; i++)
            if (i / 6 == (int64_t)n % 2 || n < 2)
                (void)memory_store_put(store, number, i * 15000 + (int64_t)n, (double)i);
    }
}

static void fill(struct memory_store *store)
{
    static const char *const names[] = {"a", "b_total", "c_bucket"};
    static const char *const values[] = {"1", "2", "+Inf"};
    const uint64_t stale_bits = STALE_NAN_BITS;
    double stale;
    memcpy(&stale, &stale_bits, sizeof stale);
    memory_store_init(store);
    for (size_t n = 0; n < 9; n++) {
        size_t number;
        struct label pairs[] = {{bytes_of("__name__"), bytes_of(names[n / 3])},
                                {bytes_of(n / 3 == 2 ? "le" : "l"), bytes_of(values[n % 3])}};
        must(memory_store_series(store, pairs, 2, &number) == 0);
        for (int64_t i = 0; i < 12; i++)
            if ((i + (int64_t)n) % 5 != 0)
                (void)memory_store_put(store, number, i * 15000,
                                       i == 7 ? stale : (double)((i * (int64_t)(n + 3)) % 11));
    }
    fill_infos(store);
}

static void check_printing(const struct promql_expression *expression,
                           void (*print)(const struct promql_expression *, struct buf *))
{
    struct promql_expression *again = NULL;
    struct promql_error error;
    struct buf once = {0};
    struct buf twice = {0};
    print(expression, &once);
    must(buf_ok(&once));
    if (promql_parse(buf_text(&once), &again, &error) == 0) {
        print(again, &twice);
        must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    } else {
        must(error.failure != PROMQL_OK && error.why.text[0] != '\0');
        /* A duration past the printable, or a text grown past a limit: anything else is a bug.
         */
        must(strstr(error.why.text, "duration") != NULL ||
             strstr(error.why.text, "deep") != NULL || strstr(error.why.text, "longer") != NULL);
    }
    promql_expression_free(again);
    buf_done(&once);
    buf_done(&twice);
}

static void check_result(const struct promql_result *result)
{
    for (size_t i = 0; i < result->series_count; i++) {
        const struct series_samples *series = &result->series[i];
        must(series->count > 0 && series->labels != NULL);
        for (size_t n = 0; n < series->count; n++)
            must(n == 0 || series->times_ms[n] > series->times_ms[n - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_store store; /* filled once, never changed after */
    char text[TEXT_BYTES_MAX + 1];
    struct promql_expression *expression = NULL;
    struct promql_result result;
    struct promql_error error;

    if (size < 1 || size > TEXT_BYTES_MAX)
        return 0;
    if (store.count == 0)
        fill(&store);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (promql_parse(text, &expression, &error) != 0) {
        must(error.failure != PROMQL_OK && error.why.text[0] != '\0');
        return 0;
    }
    check_printing(expression, promql_expression_print);
    check_printing(expression, promql_expression_lay_out);
    struct promql_options options = {.lookback_ms = 300000,
                                     .default_step_ms = 60000,
                                     .max_samples = 20000,
                                     .max_memory_bytes = (size_t)2 << 20,
                                     .delayed_name_removal = (data[0] & 2) != 0,
                                     .experimental = true};
    struct promql_query query = {.start_ms = 60000, .end_ms = 60000};
    if ((data[0] & 1) != 0) {
        query.end_ms = 240000;
        query.step_ms = 20000;
    }
    int code =
        promql_run_expression(&options, &store.queryable, expression, &query, &result, &error);
    if (code == 0) {
        check_result(&result);
        promql_result_done(&result);
    } else {
        must(error.failure != PROMQL_OK && error.failure != PROMQL_INTERNAL &&
             error.why.text[0] != '\0');
    }
    promql_expression_free(expression);
    return 0;
}
