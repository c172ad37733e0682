/*
 * run_script.c - runs PromQL test scripts against the engine over a store in memory.
 *
 *     run_script [--verbose] FILE|FOLDER...     every *.test; exits 1 if a case fails
 *     run_script --foreign FOLDER               $FENGSUI_SHARED/conformance/promql if set, else
 *                                               FOLDER; skipped in one line where it is missing
 *
 * The language is that of Prometheus's promqltest: load, clear, eval instant, eval range, and
 * expect lines.  An instant case is run a second time as the middle step of a range query.
 * Cases about native histograms are skipped and counted, as are those whose error says that
 * something is not supported.
 */
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/promql/case.h"
#include "tests/promql/memory_store.h"
#include "tests/promql/pin.h"

#define FOREIGN_MAX 64
#define WHY_BYTES   1024

struct counts {
    size_t passed, failed, histograms, unsupported;
};

struct run {
    const char *path;
    bool verbose;
    struct memory_store store;
    char *foreign[FOREIGN_MAX]; /* metrics that hold native histograms */
    size_t foreign_count;
    struct counts counts;
};

static const struct promql_options options = {
    .lookback_ms = 300000,
    .default_step_ms = 60000,
    .max_samples = 50000000,
    .max_memory_bytes = (size_t)1 << 30,
    .delayed_name_removal = true,
    .experimental = true,
};

static bool close_enough(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (a == b || fabs(a) + fabs(b) < 1e-12)
        return true;
    return !isinf(a) && !isinf(b) && fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b)) + 1e-14;
}

static bool wrong(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(char *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static const struct series_samples *find_series(const struct promql_result *result,
                                                const struct labels *labels, size_t *ret_place)
{
    for (size_t i = 0; i < result->series_count; i++)
        if (labels_equal(result->series[i].labels, labels)) {
            *ret_place = i;
            return &result->series[i];
        }
    return NULL;
}

static bool check_points(const struct case_of *test, const struct series_line *line,
                         const struct series_samples *got, char *why)
{
    bool timed = test->range || test->expected.range_vector;
    int64_t start = test->range ? test->start_ms : test->expected.range_start_ms;
    int64_t step = test->range ? test->step_ms : test->expected.range_step_ms;
    size_t next = 0;

    for (size_t i = 0; i < line->count; i++) {
        if (!line->points[i].present)
            continue;
        if (next == got->count)
            return wrong(why, "only %zu points", got->count);
        if (timed && got->times_ms[next] != start + (int64_t)i * step)
            return wrong(why, "point %zu is at %lld ms", next, (long long)got->times_ms[next]);
        if (!close_enough(got->values[next], line->points[i].value))
            return wrong(why, "point %zu is %.17g instead of %.17g", next, got->values[next],
                         line->points[i].value);
        next++;
    }
    return next == got->count || wrong(why, "%zu points too many", got->count - next);
}

static bool check_series(const struct case_of *test, const struct promql_result *result,
                         char *why)
{
    const struct expectation *expected = &test->expected;
    size_t before = 0;
    for (size_t i = 0; i < expected->count; i++) {
        struct buf text = {0};
        size_t place = 0;
        const struct series_samples *got =
            find_series(result, expected->lines[i].labels, &place);
        labels_print(expected->lines[i].labels, &text);
        bool good = got != NULL;
        if (!good)
            (void)wrong(why, "no series %s", buf_text(&text));
        else
            good = check_points(test, &expected->lines[i], got, why);
        if (good && expected->ordered && i > 0 && place < before)
            good = wrong(why, "%s is out of order", buf_text(&text));
        before = place;
        buf_done(&text);
        if (!good)
            return false;
    }
    if (result->series_count != expected->count) {
        struct buf text = {0};
        for (size_t i = 0; i < result->series_count && i < 4; i++) {
            labels_print(result->series[i].labels, &text);
            buf_put_char(&text, ' ');
        }
        (void)wrong(why, "%zu series instead of %zu: %s", result->series_count, expected->count,
                    buf_text(&text));
        buf_done(&text);
        return false;
    }
    return true;
}

static bool has_note(const char *const *notes, size_t count, const char *message)
{
    for (size_t i = 0; i < count; i++)
        if (message == NULL || strcmp(notes[i], message) == 0)
            return true;
    return false;
}

static bool check_result(const struct case_of *test, const struct promql_result *result,
                         char *why)
{
    const struct expectation *expected = &test->expected;
    const struct promql_annotations *notes = &result->annotations;

    if (expected->warn && !has_note(notes->warnings, notes->warning_count, expected->message))
        return wrong(why, "no such warning; got %s",
                     notes->warning_count > 0 ? notes->warnings[0] : "none");
    if (expected->info && !has_note(notes->infos, notes->info_count, expected->message))
        return wrong(why, "no such info; got %s",
                     notes->info_count > 0 ? notes->infos[0] : "none");
    if (expected->no_warn && notes->warning_count > 0)
        return wrong(why, "warning: %s", notes->warnings[0]);
    if (expected->no_info && notes->info_count > 0)
        return wrong(why, "info: %s", notes->infos[0]);
    if (expected->is_string)
        return (result->type == PROMQL_STRING &&
                bytes_equal(result->string, bytes_of(expected->string))) ||
               wrong(why, "not the string");
    if (expected->is_scalar && expected->count == 0) {
        if (result->series_count != 1 || (!test->range && result->type != PROMQL_SCALAR))
            return wrong(why, "not a scalar");
        return close_enough(result->series[0].values[0], expected->scalar) ||
               wrong(why, "%.17g instead of %.17g", result->series[0].values[0],
                     expected->scalar);
    }
    return check_series(test, result, why);
}

static int run_query(struct run *run, const char *text, int64_t start_ms, int64_t end_ms,
                     int64_t step_ms, struct promql_result *ret_result,
                     struct promql_error *error)
{
    struct promql_query query = {
        .text = text, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms};
    return promql_run(&options, &run->store.queryable, &query, ret_result, error);
}

/* The same instant query as the middle step of a range: the middle must not differ. */
static bool check_as_range(struct run *run, const struct case_of *test, char *why)
{
    struct promql_result result;
    struct promql_error error;
    int64_t middle = test->start_ms;
    static const char *const own[] = {"start(", "end(", "range(", "step("};

    if (test->range || test->expected.is_string || test->expected.range_vector ||
        test->expected.ordered)
        return true;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcasestr(test->query, own[i]) != NULL)
            return true;
    if (run_query(run, test->query, middle - 60000, middle + 60000, 60000, &result, &error) !=
        0)
        return strstr(error.why.text, "for range query") != NULL ||
               wrong(why, "as a range query: %s", error.why.text);
    size_t kept = 0;
    for (size_t i = 0; i < result.series_count; i++)
        for (size_t n = 0; n < result.series[i].count; n++)
            if (result.series[i].times_ms[n] == middle) {
                struct series_samples one = result.series[i];
                one.times_ms += n;
                one.values += n;
                one.count = 1;
                result.series[kept++] = one;
                break;
            }
    result.series_count = kept;
    struct case_of plain = *test;
    char inner[WHY_BYTES] = "";
    plain.expected.warn = plain.expected.info = false; /* the other steps have notes too */
    plain.expected.no_warn = plain.expected.no_info = false;
    bool good =
        test->expected.is_scalar && test->expected.count == 0
            ? kept == 1 && close_enough(result.series[0].values[0], test->expected.scalar)
            : check_series(&plain, &result, inner);
    promql_result_done(&result);
    return good || wrong(why, "as a range query: %s", inner);
}

/* The same instant query with "@ then" on all its selectors, an hour later: nothing differs. */
static bool check_pinned(struct run *run, const struct case_of *test, char *why)
{
    struct promql_result result;
    struct promql_error error;
    struct promql_query query = {.start_ms = test->start_ms + 3600000,
                                 .end_ms = test->start_ms + 3600000};

    if (test->range || test->expected.is_string || test->expected.range_vector)
        return true;
    struct promql_expression *expression = pin_parse(test->query, test->start_ms);
    if (expression == NULL)
        return true;
    char inner[WHY_BYTES] = "";
    bool good = promql_run_expression(&options, &run->store.queryable, expression, &query,
                                      &result, &error) == 0;
    promql_expression_free(expression);
    if (!good)
        return wrong(why, "with @: %s", error.why.text);
    struct case_of plain = *test;
    plain.expected.message = NULL; /* it may name the evaluation time */
    good = check_result(&plain, &result, inner);
    promql_result_done(&result);
    return good || wrong(why, "with @: %s", inner);
}

static bool mentions_foreign(const struct run *run, const char *query)
{
    /* A selector without a name may select them too. */
    bool nameless = strstr(query, "__name__=~") != NULL || *query == '{';
    for (size_t i = 0; i < run->foreign_count; i++)
        if (nameless || strstr(query, run->foreign[i]) != NULL)
            return true;
    return false;
}

static void run_case(struct run *run, const struct case_of *test)
{
    struct promql_result result;
    struct promql_error error;
    char why[WHY_BYTES] = "";
    bool good;

    if (test->expected.foreign || mentions_foreign(run, test->query)) {
        run->counts.histograms++;
        return;
    }
    int code = run_query(run, test->query, test->start_ms, test->end_ms,
                         test->range ? test->step_ms : 0, &result, &error);
    if (code != 0) {
        if (strstr(error.why.text, "not supported") != NULL) {
            run->counts.unsupported++;
            return;
        }
        good = test->expected.fail && (test->expected.message == NULL ||
                                       strcmp(test->expected.message, error.why.text) == 0);
        (void)wrong(why, "error: %s", error.why.text);
    } else {
        good =
            test->expected.fail ? wrong(why, "should fail") : check_result(test, &result, why);
        promql_result_done(&result);
        good = good && check_as_range(run, test, why) &&
               (test->expected.fail || check_pinned(run, test, why));
    }
    run->counts.passed += good;
    run->counts.failed += !good;
    if (!good && run->verbose)
        (void)printf("%s:%zu: %s\n    %s\n", run->path, test->line, test->query, why);
}

static void clear(struct run *run)
{
    memory_store_clear(&run->store);
    for (size_t i = 0; i < run->foreign_count; i++)
        free(run->foreign[i]);
    run->foreign_count = 0;
}

static void remember_foreign(struct run *run, const struct labels *labels)
{
    struct bytes name = labels_get_text(labels, LABEL_NAME);
    if (name.size > 0 && run->foreign_count < FOREIGN_MAX)
        run->foreign[run->foreign_count++] = strndup((const char *)name.data, name.size);
}

static bool load_line(struct run *run, int64_t step_ms, const char *text)
{
    struct series_line line;
    size_t number;
    if (!notation_series(text, &line))
        return false;
    if (line.foreign)
        remember_foreign(run, line.labels);
    must(memory_store_series(&run->store, line.labels->pairs, line.labels->count, &number) ==
         0);
    run->store.series[number].count = 0; /* named twice: the later line stands */
    for (size_t i = 0; i < line.count; i++)
        if (line.points[i].present)
            (void)memory_store_put(&run->store, number, (int64_t)i * step_ms,
                                   line.points[i].value);
    series_line_free(&line);
    return true;
}

static void case_done(struct case_of *test)
{
    for (size_t i = 0; i < test->expected.count; i++)
        series_line_free(&test->expected.lines[i]);
    test->expected.count = 0;
}

enum block { BLOCK_NONE, BLOCK_LOAD, BLOCK_EVAL };

struct script {
    enum block block;
    int64_t step_ms;
    bool buckets; /* load_with_nhcb: makes native histograms too */
    struct case_of test;
};

static void end_block(struct run *run, struct script *script)
{
    if (script->block == BLOCK_EVAL)
        run_case(run, &script->test);
    case_done(&script->test);
    script->block = BLOCK_NONE;
}

/* One line, trimmed; `indented` if it began with a space.  False if it makes no sense. */
static bool script_line(struct run *run, struct script *script, char *text, bool indented,
                        size_t number)
{
    char *rest;
    if (*text == '#')
        return true;
    if (*text == '\0' || !indented)
        end_block(run, script);
    if (*text == '\0')
        return true;
    if (indented && script->block == BLOCK_LOAD)
        return load_line(run, script->step_ms, text);
    if (indented && script->block == BLOCK_EVAL)
        return case_line(&script->test, text);
    if (strcmp(text, "clear") == 0) {
        clear(run);
        return true;
    }
    if ((rest = script_after(text, "load")) != NULL ||
        (rest = script_after(text, "load_with_nhcb")) != NULL) {
        script->block = BLOCK_LOAD;
        return script_take_duration(&rest, &script->step_ms);
    }
    script->block = BLOCK_EVAL;
    return strncmp(text, "eval", 4) == 0 && case_begin(&script->test, text, number);
}

/* Lines are kept until the end, because expectations point into them. */
static bool run_file(struct run *run)
{
    FILE *file = fopen(run->path, "r");
    static struct script script; /* too large for the stack */
    char *lines[8000];
    size_t count = 0;
    size_t capacity = 0;
    char *line = NULL;
    bool good = true;

    if (file == NULL) {
        perror(run->path);
        return false;
    }
    script = (struct script){.block = BLOCK_NONE};
    memory_store_init(&run->store);
    while (good && count < sizeof lines / sizeof lines[0] &&
           getline(&line, &capacity, file) >= 0) {
        bool indented = isspace((unsigned char)line[0]);
        char *copy = lines[count++] = strdup(line);
        must(copy != NULL);
        while (isspace((unsigned char)*copy))
            copy++;
        for (size_t size = strlen(copy); size > 0 && isspace((unsigned char)copy[size - 1]);
             size--)
            copy[size - 1] = '\0';
        good = script_line(run, &script, copy, indented, count);
        if (!good)
            (void)printf("%s:%zu: cannot read: %s\n", run->path, count, copy);
    }
    end_block(run, &script);
    clear(run);
    for (size_t i = 0; i < count; i++)
        free(lines[i]);
    free(line);
    (void)fclose(file);
    (void)printf("%s: %zu of %zu passed", run->path, run->counts.passed,
                 run->counts.passed + run->counts.failed);
    if (run->counts.histograms + run->counts.unsupported > 0)
        (void)printf(" (skipped: %zu native histograms, %zu not supported)",
                     run->counts.histograms, run->counts.unsupported);
    (void)printf("\n");
    return good && run->counts.failed == 0;
}

static int is_script(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && strcmp(entry->d_name + size - 5, ".test") == 0;
}

static bool run_path(const char *path, bool verbose)
{
    struct dirent **names = NULL;
    int count = scandir(path, &names, is_script, alphasort);
    bool good = count != 0;

    if (count < 0) {
        struct run run = {.path = path, .verbose = verbose};
        return run_file(&run);
    }
    for (int i = 0; i < count; i++) {
        char full[1024];
        (void)snprintf(full, sizeof full, "%s/%s", path, names[i]->d_name);
        struct run run = {.path = full, .verbose = verbose};
        good = run_file(&run) && good;
        free(names[i]);
    }
    free(names);
    return good;
}

static int run_foreign(const char *fallback)
{
    const char *shared = getenv("FENGSUI_SHARED");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s%s", shared != NULL ? shared : fallback,
                   shared != NULL ? "/conformance/promql" : "");
    DIR *folder = opendir(path);
    if (folder == NULL) {
        (void)printf("skipped: no foreign scripts in %s\n", path);
        return 0;
    }
    (void)closedir(folder);
    return run_path(path, true) ? 0 : 1;
}

int main(int argc, char **argv)
{
    bool verbose = true;
    bool good = argc > 1;
    if (argc == 3 && strcmp(argv[1], "--foreign") == 0)
        return run_foreign(argv[2]);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quiet") == 0)
            verbose = false;
        else
            good = run_path(argv[i], verbose) && good;
    }
    return good ? 0 : 1;
}
