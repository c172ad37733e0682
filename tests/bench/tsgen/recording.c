#include "tests/bench/tsgen/recording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/file.h"

#define FILE_BYTES_MAX ((size_t)4 << 30)

static const char mark[] = "#SCRAPE ";

/* The head of a scrape; false if there is none, or its body is cut off. */
static bool next_scrape(const char **at, const char *end, int64_t *ret_ms,
                        struct bytes *ret_body)
{
    char *number_end;
    if ((size_t)(end - *at) < sizeof mark - 1 || strncmp(*at, mark, sizeof mark - 1) != 0)
        return false;
    *ret_ms = strtoll(*at + sizeof mark - 1, &number_end, 10);
    size_t size = strtoull(number_end, &number_end, 10);
    if (*number_end != '\n' || (size_t)(end - number_end) - 1 < size)
        return false;
    *ret_body = (struct bytes){(const uint8_t *)number_end + 1, size};
    *at = number_end + 1 + size;
    return true;
}

static bool ends_in(struct bytes name, const char *ending)
{
    size_t size = strlen(ending);
    return name.size > size && memcmp(name.data + name.size - size, ending, size) == 0;
}

/* "# TYPE name counter" stands before the samples it speaks of. */
struct type_line {
    struct bytes name;
    bool is_counter;
};

static void read_type(struct bytes line, struct type_line *type)
{
    static const char start[] = "# TYPE ";
    if (line.size < sizeof start || memcmp(line.data, start, sizeof start - 1) != 0)
        return;
    const uint8_t *name = line.data + sizeof start - 1;
    const uint8_t *end = line.data + line.size;
    const uint8_t *space = memchr(name, ' ', (size_t)(end - name));
    if (space == NULL)
        return;
    struct bytes kind = {space + 1, (size_t)(end - space) - 1};
    *type = (struct type_line){.name = {name, (size_t)(space - name)},
                               .is_counter = !bytes_equal(kind, bytes_of("gauge")) &&
                                             !bytes_equal(kind, bytes_of("untyped"))};
}

static int read_sample(struct recording *recording, struct bytes line, size_t scrapes_max,
                       const struct type_line *type)
{
    size_t index;
    const uint8_t *space = memrchr(line.data, ' ', line.size);
    if (space == NULL)
        return ERR_MALFORMED;
    struct bytes key = {line.data, (size_t)(space - line.data)};
    int error = series_set_find(&recording->set, key, &index);
    if (error != 0)
        return error;
    struct series *series = &recording->set.items[index];
    if (series->values == NULL) {
        series->values = arena_alloc(&recording->set.arena, scrapes_max, sizeof(double));
        if (series->values == NULL)
            return ERR_NOMEM;
        for (size_t i = 0; i < scrapes_max; i++)
            series->values[i] = (double)NAN;
        series->is_counter = (type->is_counter && bytes_equal(type->name, series->name)) ||
                             ends_in(series->name, "_sum") || ends_in(series->name, "_count") ||
                             ends_in(series->name, "_bucket");
    }
    series->values[recording->scrape_count] = strtod((const char *)space + 1, NULL);
    return 0;
}

static int read_scrape(struct recording *recording, struct bytes body, size_t scrapes_max)
{
    struct type_line type = {0};
    const uint8_t *at = body.data, *end = body.data + body.size;
    int error = 0;
    while (error == 0 && at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        struct bytes line = {at, (size_t)((stop == NULL ? end : stop) - at)};
        if (line.size > 0 && line.data[0] == '#')
            read_type(line, &type);
        else if (line.size > 0)
            error = read_sample(recording, line, scrapes_max, &type);
        at = stop == NULL ? end : stop + 1;
    }
    return error;
}

int recording_read(const char *path, struct recording *ret_recording, struct diagnosis *why)
{
    struct recording recording = {0};
    char *text;
    size_t size, scrapes = 0;
    int64_t ms;
    struct bytes body;

    int error = file_read_whole(path, FILE_BYTES_MAX, &text, &size, why);
    if (error != 0)
        return error;
    for (const char *at = text; next_scrape(&at, text + size, &ms, &body);)
        scrapes++;
    error = series_set_init(&recording.set);
    recording.scrape_ms = calloc(scrapes + 1, sizeof *recording.scrape_ms);
    if (recording.scrape_ms == NULL)
        error = ERR_NOMEM;
    const char *at = text;
    while (error == 0 && next_scrape(&at, text + size, &ms, &body)) {
        error = read_scrape(&recording, body, scrapes);
        recording.scrape_ms[recording.scrape_count++] = ms;
    }
    free(text);
    if (error == 0 && scrapes == 0)
        error = ERR_MALFORMED;
    if (error != 0) {
        recording_done(&recording);
        return diagnose(why, error, "%s: %s", path, error_text(error));
    }
    *ret_recording = recording;
    return 0;
}

void recording_done(struct recording *recording)
{
    series_set_done(&recording->set);
    free(recording->scrape_ms);
    recording->scrape_ms = NULL;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* More decimals until the value is one of them; -1 when nine are too few. */
static int decimals_for(double value, int decimals)
{
    while (decimals >= 0) {
        struct series series = {.decimals = decimals, .unit = 1};
        double units = nearbyint(series_to_units(&series, value));
        if (fabs(units) < 0x1p53 && series_from_units(&series, units) == value)
            break;
        decimals = decimals == SERIES_DECIMALS_MAX ? -1 : decimals + 1;
    }
    return decimals;
}

void recording_classify(struct recording *recording)
{
    for (size_t i = 0; i < recording->set.count; i++) {
        struct series *series = &recording->set.items[i];
        double seen[SERIES_DISTINCT_MAX];
        int64_t divisor = 0;
        series->decimals = 0;
        series->distinct = 0;
        for (size_t k = 0; k < recording->scrape_count; k++) {
            double value = series->values[k];
            int j = 0;
            if (isnan(value))
                continue;
            series->decimals = decimals_for(value, series->decimals);
            while (j < series->distinct && seen[j] != value)
                j++;
            if (j == series->distinct && j < SERIES_DISTINCT_MAX)
                seen[series->distinct++] = value;
        }
        for (size_t k = 0; series->decimals == 0 && k < recording->scrape_count; k++)
            if (!isnan(series->values[k]))
                divisor = common_divisor(divisor, (int64_t)series->values[k]);
        series->unit = divisor == 0 ? 1 : divisor;
    }
}
