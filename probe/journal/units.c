/*
 * units.c - see units.h.
 */
#include "probe/journal/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "probe/log/account_series.h"
#include "probe/log/templates_series.h"

#define PREFIX "journal://"

static struct journal_unit *find(const struct journal_units *units, struct bytes name)
{
    for (size_t i = 0; i < units->count; i++)
        if (bytes_equal(bytes_of(units->items[i]->path + strlen(PREFIX)), name))
            return units->items[i];
    return NULL;
}

static struct journal_unit *add(struct journal_units *units, struct bytes name)
{
    struct journal_unit *unit = calloc(1, sizeof *unit);
    size_t room = strlen(PREFIX) + name.size + 1;
    char *path = malloc(room);
    if (unit == NULL || path == NULL) {
        free(unit);
        free(path);
        return NULL;
    }
    (void)snprintf(path, room, PREFIX "%.*s", (int)name.size, (const char *)name.data);
    unit->path = path;
    /* Without memory lines are still taken, and their templates not told apart. */
    (void)log_account_init(&unit->account, units->settings, bytes_of(path));
    templates_resume(unit->account.templates, unit->account.path, units->notes);
    uint64_t id = XXH3_64bits_withSeed(path, room, (uint64_t)units->started_ms);
    unit->file_id = id == 0 ? 1 : id;
    units->items[units->count++] = unit;
    return unit;
}

/* Printable, and not too long. */
static bool is_name(struct bytes name)
{
    if (name.size == 0 || name.size >= JOURNAL_FIELD_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] >= 0x7f)
            return false;
    return true;
}

struct journal_unit *journal_units_find(struct journal_units *units,
                                        const struct journal_export *entry)
{
    struct bytes name = journal_export_field(entry, JOURNAL_UNIT);
    if (bytes_equal(journal_export_field(entry, JOURNAL_TRANSPORT), bytes_of("kernel")))
        name = bytes_of("kernel");
    if (name.size == 0)
        name = journal_export_field(entry, JOURNAL_IDENTIFIER);
    if (!is_name(name))
        name = bytes_of("other");
    struct journal_unit *unit = find(units, name);
    if (unit == NULL && units->count >= JOURNAL_UNITS_MAX) {
        name = bytes_of("other");
        unit = find(units, name);
    }
    return unit != NULL || units->count > JOURNAL_UNITS_MAX ? unit : add(units, name);
}

void journal_units_done(struct journal_units *units)
{
    for (size_t i = 0; i < units->count; i++) {
        account_series_free(units->items[i]->series);
        log_account_done(&units->items[i]->account);
        free(units->items[i]->path);
        free(units->items[i]);
    }
    *units = (struct journal_units){0};
}

void journal_units_emit(struct journal_units *units, bool all, struct emitter *out)
{
    for (size_t i = 0; i < units->count; i++) {
        struct journal_unit *unit = units->items[i];
        if (unit->series == NULL)
            unit->series = account_series_new(&unit->account, out);
        if (unit->series != NULL)
            account_series_emit(unit->series, &unit->account, all, out);
    }
}
