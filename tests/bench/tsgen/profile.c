#include "tests/bench/tsgen/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/file.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
#define HOLES_OF       20 /* one scrape of so many may be missing */

bool profile_has_values(const struct series *series)
{
    return !series->is_counter && series->distinct <= PROFILE_VALUES_MAX;
}

/* Fills holes with the value before; false if there are too many. */
static bool mend(struct series *series, size_t scrapes, double *ret_lowest, double *ret_highest)
{
    size_t holes = 0;
    double lowest = (double)INFINITY, highest = (double)-INFINITY;
    for (size_t k = 0; k < scrapes; k++) {
        double value = series->values[k];
        holes += isnan(value) ? 1 : 0;
        lowest = value < lowest ? value : lowest;
        highest = value > highest ? value : highest;
    }
    if (holes > scrapes / HOLES_OF)
        return false;
    for (size_t k = 0; k < scrapes; k++)
        if (isnan(series->values[k]))
            series->values[k] = k > 0 ? series->values[k - 1] : lowest;
    *ret_lowest = lowest;
    *ret_highest = highest;
    return true;
}

static void print_changes(const struct series *series, size_t count, size_t step)
{
    for (size_t k = 0; k < count; k++) {
        double change = series_to_units(series, series->values[k]);
        if (!profile_has_values(series)) {
            change = series_to_units(series, series->values[k + step]) - change;
            if (series->is_counter && change < 0)
                change = 0;
        }
        (void)printf("%s%.17g", k == 0 ? "" : ",", change);
    }
}

int profile_print(struct recording *recording, size_t step, struct diagnosis *why)
{
    size_t kept = 0;
    double lowest, highest;
    if (step == 0 || recording->scrape_count < step + 2)
        return diagnose(why, ERR_INVALID, "the recording is too short");
    size_t changes = recording->scrape_count - step;
    recording_classify(recording);
    (void)printf("#profile step=%zus changes=%zu\n", step, changes);
    for (size_t i = 0; i < recording->set.count; i++) {
        struct series *series = &recording->set.items[i];
        if (!mend(series, recording->scrape_count, &lowest, &highest))
            continue;
        bool moves = series->distinct > 1;
        (void)printf("%.*s\t%d\t%d\t%lld\t%d\t%.17g\t%.17g\t%.17g\t%zu\t",
                     (int)series->key.size, (const char *)series->key.data, series->is_counter,
                     series->decimals, (long long)series->unit, series->distinct,
                     series->values[0], lowest, highest, moves ? changes : 0);
        if (moves)
            print_changes(series, changes, step);
        (void)putchar('\n');
        kept++;
    }
    (void)fprintf(stderr, "%zu scrapes, %zu series, %zu kept\n", recording->scrape_count,
                  recording->set.count, kept);
    return 0;
}

/* Reads what follows the key of a line. */
static int read_behaviour(struct profile *profile, struct series *series, char *at,
                          struct behaviour *ret_behaviour)
{
    struct behaviour behaviour = {0};
    series->is_counter = strtol(at, &at, 10) != 0;
    series->decimals = (int)strtol(at, &at, 10);
    series->unit = strtoll(at, &at, 10);
    series->distinct = (int)strtol(at, &at, 10);
    behaviour.first = strtod(at, &at);
    behaviour.lowest = strtod(at, &at);
    behaviour.highest = strtod(at, &at);
    behaviour.change_count = strtoull(at, &at, 10);
    if (series->decimals > SERIES_DECIMALS_MAX || series->unit == 0 || *at != '\t' ||
        (behaviour.change_count != 0 && profile->change_count != 0 &&
         behaviour.change_count != profile->change_count))
        return ERR_MALFORMED;
    if (behaviour.change_count > 0) {
        profile->change_count = behaviour.change_count;
        behaviour.changes =
            arena_alloc(&profile->set.arena, behaviour.change_count, sizeof(double));
        if (behaviour.changes == NULL)
            return ERR_NOMEM;
        at++;
        for (size_t k = 0; k < behaviour.change_count; k++) {
            behaviour.changes[k] = strtod(at, &at);
            at += *at == ',' ? 1 : 0;
        }
    }
    *ret_behaviour = behaviour;
    return 0;
}

static int read_lines(struct profile *profile, char *text)
{
    char *state = NULL;
    size_t lines = 0;
    for (char *at = text; *at != '\0'; at++)
        lines += *at == '\n' ? 1 : 0;
    profile->behaviours = calloc(lines + 1, sizeof *profile->behaviours);
    if (profile->behaviours == NULL)
        return ERR_NOMEM;
    for (char *line = strtok_r(text, "\n", &state); line != NULL;
         line = strtok_r(NULL, "\n", &state)) {
        size_t index, key_size = strcspn(line, "\t");
        if (line[0] == '#')
            continue;
        if (line[key_size] != '\t')
            return ERR_MALFORMED;
        int error =
            series_set_find(&profile->set, (struct bytes){(uint8_t *)line, key_size}, &index);
        if (error == 0)
            error = read_behaviour(profile, &profile->set.items[index], line + key_size + 1,
                                   &profile->behaviours[index]);
        if (error != 0)
            return error;
    }
    return profile->set.count == 0 ? ERR_MALFORMED : 0;
}

int profile_read(const char *path, struct profile *ret_profile, struct diagnosis *why)
{
    struct profile profile = {0};
    char *text;
    int error = file_read_whole(path, FILE_BYTES_MAX, &text, NULL, why);
    if (error != 0)
        return error;
    error = series_set_init(&profile.set);
    if (error == 0)
        error = read_lines(&profile, text);
    free(text);
    if (error != 0) {
        profile_done(&profile);
        return diagnose(why, error, "%s: %s", path, error_text(error));
    }
    *ret_profile = profile;
    return 0;
}

void profile_done(struct profile *profile)
{
    series_set_done(&profile->set);
    free(profile->behaviours);
    profile->behaviours = NULL;
}
