/*
 * postings.c - the head's index: a hash of label pairs, each with its bitmap.
 *
 *   names  hash -> label_name  { values: every posting of that name, in no order }
 *   pairs  hash -> posting     { name, value, ids }
 *
 *   slots  number -> posting
 *
 * The texts live in the postings; the head's series have their numbers, so that a pair a
 * thousand series share is in memory once, and costs each of them four bytes.  Slots lie in
 * pieces, each as long as all before it and one more, that stay where they are: who has a
 * number of a series that lives needs no lock to look there.
 */
#include "collector/store/postings.h"

#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define BUCKETS_FIRST 1024u
#define RECENT_MAX    16
#define PIECE_FIRST   256u /* slots; a power of two */
#define PIECES        24u

struct label_name {
    struct label_name *next; /* in its bucket */
    uint64_t hash;
    struct posting **values;
    size_t count, capacity;
    struct bytes text;
    uint8_t storage[];
};

struct posting {
    struct posting *next; /* in its bucket */
    uint64_t hash;
    struct label_name *name;
    roaring_bitmap_t *ids;
    size_t position; /* in name->values */
    uint32_t number;
    struct bytes value;
    uint8_t storage[];
};

union slot {
    struct posting *posting;
    uintptr_t next_free; /* a number and one; 0: none */
};

struct postings {
    union slot *pieces[PIECES];
    uint32_t slot_count; /* that have ever been used */
    uintptr_t free_slot; /* as next_free */
    struct posting **pairs;
    size_t pair_buckets, pair_count;
    struct label_name **names;
    size_t name_buckets, name_count;
    roaring_bitmap_t *all;
    size_t bytes;
    /* Of the series added last, by the place of the label: those of one host, made together,
     * differ in few, and the others need not be hashed. */
    struct posting *recent[RECENT_MAX];
};

int postings_new(struct postings **ret_postings)
{
    struct postings *postings = calloc(1, sizeof *postings);
    if (postings == NULL)
        return ERR_NOMEM;
    postings->pair_buckets = BUCKETS_FIRST;
    postings->name_buckets = BUCKETS_FIRST;
    postings->pairs = calloc(postings->pair_buckets, sizeof *postings->pairs);
    postings->names = calloc(postings->name_buckets, sizeof *postings->names);
    postings->all = roaring_bitmap_create();
    if (postings->pairs == NULL || postings->names == NULL || postings->all == NULL) {
        postings_free(postings);
        return ERR_NOMEM;
    }
    *ret_postings = postings;
    return 0;
}

static void posting_free(struct posting *posting)
{
    if (posting->ids != NULL)
        roaring_bitmap_free(posting->ids);
    free(posting);
}

void postings_free(struct postings *postings)
{
    if (postings == NULL)
        return;
    for (size_t i = 0; postings->pairs != NULL && i < postings->pair_buckets; i++)
        for (struct posting *at = postings->pairs[i], *next; at != NULL; at = next) {
            next = at->next;
            posting_free(at);
        }
    for (size_t i = 0; postings->names != NULL && i < postings->name_buckets; i++)
        for (struct label_name *at = postings->names[i], *next; at != NULL; at = next) {
            next = at->next;
            free(at->values);
            free(at);
        }
    if (postings->all != NULL)
        roaring_bitmap_free(postings->all);
    for (size_t i = 0; i < PIECES; i++)
        free(postings->pieces[i]);
    free(postings->pairs);
    free(postings->names);
    free(postings);
}

/* -- numbers ----------------------------------------------------------------------------- */

/* Which piece a number is in; *ret_at is its place there. */
static size_t piece_of(uint32_t number, size_t *ret_at)
{
    const uint64_t shifted = (uint64_t)number + PIECE_FIRST;
    const unsigned top = 63u - (unsigned)__builtin_clzll(shifted);
    *ret_at = (size_t)(shifted - (UINT64_C(1) << top));
    return top - (unsigned)__builtin_ctz(PIECE_FIRST);
}

static union slot *slot_of(const struct postings *postings, uint32_t number)
{
    size_t at;
    union slot *piece = postings->pieces[piece_of(number, &at)];
    return &piece[at];
}

static bool give_number(struct postings *postings, struct posting *posting)
{
    size_t at;
    if (postings->free_slot != 0) {
        posting->number = (uint32_t)(postings->free_slot - 1);
        postings->free_slot = slot_of(postings, posting->number)->next_free;
    } else {
        const size_t piece = piece_of(postings->slot_count, &at);
        if (piece >= PIECES)
            return false;
        if (postings->pieces[piece] == NULL)
            postings->pieces[piece] = calloc((size_t)PIECE_FIRST << piece, sizeof(union slot));
        if (postings->pieces[piece] == NULL)
            return false;
        posting->number = postings->slot_count++;
    }
    slot_of(postings, posting->number)->posting = posting;
    return true;
}

static void take_number(struct postings *postings, const struct posting *posting)
{
    slot_of(postings, posting->number)->next_free = postings->free_slot;
    postings->free_slot = (uintptr_t)posting->number + 1;
}

/* -- finding ----------------------------------------------------------------------------- */

static uint64_t name_hash(struct bytes name)
{
    return XXH3_64bits(name.data, name.size);
}

static uint64_t pair_hash(uint64_t of_name, struct bytes value)
{
    return XXH3_64bits_withSeed(value.data, value.size, of_name);
}

static struct label_name *find_name(const struct postings *postings, struct bytes name)
{
    uint64_t hash = name_hash(name);
    struct label_name *at = postings->names[hash & (postings->name_buckets - 1)];
    while (at != NULL && (at->hash != hash || !bytes_equal(at->text, name)))
        at = at->next;
    return at;
}

static struct posting *find_pair(const struct postings *postings, struct label_name *name,
                                 struct bytes value)
{
    uint64_t hash = pair_hash(name->hash, value);
    struct posting *at = postings->pairs[hash & (postings->pair_buckets - 1)];
    while (at != NULL &&
           (at->hash != hash || at->name != name || !bytes_equal(at->value, value)))
        at = at->next;
    return at;
}

/* -- adding ------------------------------------------------------------------------------ */

static struct bytes keep_text(uint8_t *storage, struct bytes text)
{
    memcpy(storage, text.data, text.size);
    storage[text.size] = '\0';
    return (struct bytes){storage, text.size};
}

static struct label_name *obtain_name(struct postings *postings, struct bytes text)
{
    struct label_name *name = find_name(postings, text);
    if (name != NULL)
        return name;
    name = calloc(1, sizeof *name + text.size + 1);
    if (name == NULL)
        return NULL;
    name->hash = name_hash(text);
    name->text = keep_text(name->storage, text);
    size_t bucket = name->hash & (postings->name_buckets - 1);
    name->next = postings->names[bucket];
    postings->names[bucket] = name;
    postings->name_count++;
    postings->bytes += sizeof *name + text.size;
    return name;
}

static void grow_pairs(struct postings *postings)
{
    size_t buckets = postings->pair_buckets * 2;
    struct posting **pairs = calloc(buckets, sizeof *pairs);
    if (pairs == NULL)
        return; /* longer chains, no harm */
    for (size_t i = 0; i < postings->pair_buckets; i++)
        for (struct posting *at = postings->pairs[i], *next; at != NULL; at = next) {
            next = at->next;
            at->next = pairs[at->hash & (buckets - 1)];
            pairs[at->hash & (buckets - 1)] = at;
        }
    free(postings->pairs);
    postings->pairs = pairs;
    postings->pair_buckets = buckets;
}

static bool list_value(struct label_name *name, struct posting *posting)
{
    if (name->count == name->capacity) {
        size_t capacity = name->capacity == 0 ? 4 : name->capacity * 2;
        struct posting **values = realloc(name->values, capacity * sizeof *values);
        if (values == NULL)
            return false;
        name->values = values;
        name->capacity = capacity;
    }
    posting->position = name->count;
    name->values[name->count++] = posting;
    return true;
}

static struct posting *obtain_pair(struct postings *postings, const struct label *label)
{
    struct label_name *name = obtain_name(postings, label->name);
    if (name == NULL)
        return NULL;
    struct posting *posting = find_pair(postings, name, label->value);
    if (posting != NULL)
        return posting;
    posting = calloc(1, sizeof *posting + label->value.size + 1);
    if (posting == NULL)
        return NULL;
    posting->name = name;
    posting->hash = pair_hash(name->hash, label->value);
    posting->value = keep_text(posting->storage, label->value);
    posting->ids = roaring_bitmap_create();
    if (posting->ids == NULL || !give_number(postings, posting)) {
        posting_free(posting);
        return NULL;
    }
    if (!list_value(name, posting)) {
        take_number(postings, posting);
        posting_free(posting);
        return NULL;
    }
    if (postings->pair_count >= postings->pair_buckets)
        grow_pairs(postings);
    size_t bucket = posting->hash & (postings->pair_buckets - 1);
    posting->next = postings->pairs[bucket];
    postings->pairs[bucket] = posting;
    postings->pair_count++;
    postings->bytes += sizeof *posting + label->value.size;
    return posting;
}

static struct posting *obtain_recent(struct postings *postings, const struct label *label,
                                     size_t place)
{
    if (place >= RECENT_MAX)
        return obtain_pair(postings, label);
    struct posting *recent = postings->recent[place];
    if (recent == NULL || !bytes_equal(recent->value, label->value) ||
        !bytes_equal(recent->name->text, label->name))
        recent = postings->recent[place] = obtain_pair(postings, label);
    return recent;
}

static void drop_if_empty(struct postings *postings, struct posting *posting)
{
    if (!roaring_bitmap_is_empty(posting->ids))
        return;
    for (size_t i = 0; i < RECENT_MAX; i++)
        if (postings->recent[i] == posting)
            postings->recent[i] = NULL;
    struct label_name *name = posting->name;
    struct posting *last = name->values[--name->count];
    name->values[posting->position] = last;
    last->position = posting->position;
    struct posting **link = &postings->pairs[posting->hash & (postings->pair_buckets - 1)];
    while (*link != posting)
        link = &(*link)->next;
    *link = posting->next;
    postings->pair_count--;
    postings->bytes -= sizeof *posting + posting->value.size;
    take_number(postings, posting);
    posting_free(posting);
}

int postings_add(struct postings *postings, const struct labels *labels, uint32_t id,
                 uint32_t *pairs)
{
    for (size_t i = 0; i < labels->count; i++) {
        struct posting *posting = obtain_recent(postings, &labels->pairs[i], i);
        if (posting == NULL) {
            postings_remove(postings, pairs, i, id);
            return ERR_NOMEM;
        }
        roaring_bitmap_add(posting->ids, id);
        pairs[i] = posting->number;
    }
    roaring_bitmap_add(postings->all, id);
    return 0;
}

void postings_remove(struct postings *postings, const uint32_t *pairs, size_t count,
                     uint32_t id)
{
    for (size_t i = 0; i < count; i++) {
        struct posting *posting = slot_of(postings, pairs[i])->posting;
        roaring_bitmap_remove(posting->ids, id);
        drop_if_empty(postings, posting);
    }
    roaring_bitmap_remove(postings->all, id);
}

struct label posting_label(const struct postings *postings, uint32_t pair)
{
    const struct posting *posting = slot_of(postings, pair)->posting;
    return (struct label){posting->name->text, posting->value};
}

int posting_lists_compare(const struct postings *postings, const uint32_t *a, size_t a_count,
                          const uint32_t *b, size_t b_count)
{
    const size_t shorter = a_count < b_count ? a_count : b_count;
    for (size_t i = 0; i < shorter; i++) {
        if (a[i] == b[i])
            continue;
        const struct posting *of_a = slot_of(postings, a[i])->posting;
        const struct posting *of_b = slot_of(postings, b[i])->posting;
        int order =
            of_a->name == of_b->name ? 0 : bytes_compare(of_a->name->text, of_b->name->text);
        if (order == 0)
            order = bytes_compare(of_a->value, of_b->value);
        if (order != 0)
            return order;
    }
    return a_count < b_count ? -1 : a_count > b_count;
}

size_t postings_bytes(const struct postings *postings)
{
    return postings->bytes;
}

size_t postings_pairs(const struct postings *postings)
{
    return postings->pair_count;
}

void postings_each(const struct postings *postings,
                   bool (*visit)(void *context, struct bytes name, struct bytes value,
                                 uint64_t series),
                   void *context)
{
    for (size_t i = 0; i < postings->name_buckets; i++)
        for (const struct label_name *at = postings->names[i]; at != NULL; at = at->next)
            for (size_t j = 0; j < at->count; j++)
                if (!visit(context, at->text, at->values[j]->value,
                           roaring_bitmap_get_cardinality(at->values[j]->ids)))
                    return;
}

void postings_values(const struct postings *postings, struct bytes name, size_t limit,
                     size_t *from, struct buf *values)
{
    const struct label_name *label = find_name(postings, name);
    const size_t count = label == NULL ? 0 : label->count;
    size_t at = *from;
    for (; at < count && limit > 0; at++, limit--)
        buf_put_sized(values, label->values[at]->value);
    *from = at >= count ? 0 : at;
}

/* -- as a source ------------------------------------------------------------------------- */

static int memory_all(void *context, roaring_bitmap_t *into)
{
    const struct postings *postings = context;
    roaring_bitmap_or_inplace(into, postings->all);
    return 0;
}

static int memory_equal(void *context, struct bytes name, struct bytes value,
                        roaring_bitmap_t *into)
{
    const struct postings *postings = context;
    struct label_name *label = find_name(postings, name);
    struct posting *posting = label == NULL ? NULL : find_pair(postings, label, value);
    if (posting != NULL)
        roaring_bitmap_or_inplace(into, posting->ids);
    return 0;
}

static int visit_name(const struct label_name *name,
                      int (*visit)(void *visitor, struct bytes name, struct bytes value,
                                   const void *token),
                      void *visitor)
{
    int stop = 0;
    for (size_t i = 0; i < name->count && stop == 0; i++)
        stop = visit(visitor, name->text, name->values[i]->value, name->values[i]);
    return stop;
}

static int memory_each(void *context, struct bytes name, struct bytes prefix,
                       int (*visit)(void *visitor, struct bytes name, struct bytes value,
                                    const void *token),
                       void *visitor)
{
    const struct postings *postings = context;
    (void)prefix; /* values are in no order */
    if (name.size > 0) {
        struct label_name *only = find_name(postings, name);
        return only == NULL ? 0 : visit_name(only, visit, visitor);
    }
    int stop = 0;
    for (size_t i = 0; i < postings->name_buckets && stop == 0; i++)
        for (struct label_name *at = postings->names[i]; at != NULL && stop == 0; at = at->next)
            stop = visit_name(at, visit, visitor);
    return stop;
}

static int memory_merge(void *context, const void *token, roaring_bitmap_t *into)
{
    (void)context;
    roaring_bitmap_or_inplace(into, ((const struct posting *)token)->ids);
    return 0;
}

static int memory_intersects(void *context, const void *token, const roaring_bitmap_t *with,
                             bool *ret_yes)
{
    (void)context;
    *ret_yes = roaring_bitmap_intersect(((const struct posting *)token)->ids, with);
    return 0;
}

struct postings_source postings_source_of(struct postings *postings)
{
    return (struct postings_source){
        .context = postings,
        .all = memory_all,
        .equal = memory_equal,
        .each = memory_each,
        .merge = memory_merge,
        .intersects = memory_intersects,
    };
}
