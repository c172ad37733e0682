/*
 * field_set.c - series by the hash of what names them (field_set.h).
 */
#include "probe/source/field_set.h"

#include <stdlib.h>

#define FIRST_CAPACITY 16
#define FNV_PRIME      UINT64_C(1099511628211)

uint64_t field_hash(uint64_t hash, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ text.data[i]) * FNV_PRIME;
    return (hash ^ 0xff) * FNV_PRIME; /* no UTF-8 holds this byte */
}

void field_set_begin(struct field_set *set)
{
    set->round++;
    set->next = 0;
}

static struct field *field_new(struct field_set *set, uint64_t hash)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? set->capacity * 2 : FIRST_CAPACITY;
        if (capacity > FIELD_SET_MOST)
            return NULL;
        struct field *grown = realloc(set->fields, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        set->fields = grown;
        set->capacity = capacity;
    }
    struct field *field = &set->fields[set->count++];
    *field = (struct field){hash, SERIES_NONE, set->round};
    return field;
}

struct field *field_set_touch(struct field_set *set, uint64_t hash, enum field_state *ret_state)
{
    for (size_t tried = 0; tried < set->count; tried++) {
        size_t at = set->next + tried;
        if (at >= set->count)
            at -= set->count;
        struct field *field = &set->fields[at];
        if (field->hash != hash)
            continue;
        *ret_state = field->round == set->round ? FIELD_AGAIN : FIELD_KNOWN;
        field->round = set->round;
        set->next = at + 1 == set->count ? 0 : at + 1;
        return field;
    }
    *ret_state = FIELD_NEW;
    return field_new(set, hash);
}

void field_set_sweep(struct field_set *set, struct emitter *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (set->fields[i].round == set->round)
            set->fields[kept++] = set->fields[i];
        else if (set->fields[i].handle != SERIES_NONE)
            emitter_end(out, set->fields[i].handle);
    }
    set->count = kept;
}

void field_set_done(struct field_set *set)
{
    free(set->fields);
    *set = (struct field_set){0};
}
