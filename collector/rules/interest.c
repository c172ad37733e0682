/*
 * interest.c - see interest.h.
 */
#include "collector/rules/interest.h"

#include <stdlib.h>

#include "collector/rules/scope.h"
#include "proto/base/error.h"

#define PAGE_BITS    12
#define PAGE_SIZE    ((size_t)1 << PAGE_BITS)
#define PAGES_MAX    ((uint64_t)1 << 20) /* ids from 2^32 on are looked up anew each time */
#define BUCKETS      65536u
#define CLASS_NOBODY 1u

struct selector {
    const struct rule *rule;
    struct matcher *const *matchers; /* the expression's */
    size_t matcher_count;
    struct selector *next; /* of the same metric name */
};

/* Selectors that fix the metric name, by it; the rest under the empty name. */
struct metric {
    struct bytes name;
    struct selector *selectors;
    struct metric *next;
};

struct class_entry {
    struct interest_class class;
    uint64_t hash;
    uint32_t number;
    struct class_entry *next;         /* of its bucket */
    struct class_entry *next_pending; /* in order of touching */
};

struct instance_entry {
    struct instance_entry *next;
    char text[];
};

struct interest {
    struct arena arena; /* selectors, metrics, classes, instances */
    struct metric *metrics[1024];
    struct class_entry *buckets[BUCKETS];
    struct instance_entry *instances[BUCKETS];
    struct class_entry **classes; /* by number */
    size_t class_count, class_capacity;
    struct class_entry *first_pending, **last_pending;
    uint32_t **pages;
    size_t page_count;
    size_t rule_count;
    const struct rule **scratch; /* one class being built */
};

static uint64_t hash_bytes(struct bytes bytes)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ bytes.data[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

/* ---- selectors --------------------------------------------------------------------------- */

static struct metric *metric_of(struct interest *interest, struct bytes name, bool makes)
{
    struct metric **bucket = &interest->metrics[hash_bytes(name) % 1024];
    struct metric *metric = *bucket;
    while (metric != NULL && !bytes_equal(metric->name, name))
        metric = metric->next;
    if (metric != NULL || !makes)
        return metric;
    metric = arena_alloc(&interest->arena, 1, sizeof *metric);
    if (metric == NULL)
        return NULL;
    metric->name = name; /* the matcher's, which lives as long as the rule set */
    metric->next = *bucket;
    *bucket = metric;
    return metric;
}

struct adding {
    struct interest *interest;
    const struct rule *rule;
};

static int add_selector(void *context, struct matcher *const *matchers, size_t count)
{
    struct adding *adding = context;
    struct arena *arena = &adding->interest->arena;
    struct selector *selector = arena_alloc(arena, 1, sizeof *selector);
    struct matcher **copy = arena_alloc(arena, count + 1, sizeof(struct matcher *));
    struct bytes name = {0};
    struct metric *metric;

    for (size_t i = 0; i < count; i++)
        if (matchers[i]->kind == MATCH_EQUAL &&
            bytes_equal(matchers[i]->name, bytes_of(LABEL_NAME)))
            name = matchers[i]->value;
    metric = metric_of(adding->interest, name, true);
    if (selector == NULL || copy == NULL || metric == NULL)
        return ERR_NOMEM;
    if (count > 0)
        memcpy(copy, matchers, count * sizeof(struct matcher *));
    selector->rule = adding->rule;
    selector->matchers = copy;
    selector->matcher_count = count;
    selector->next = metric->selectors;
    metric->selectors = selector;
    return 0;
}

int interest_new(const struct rule_set *set, struct interest **ret_interest)
{
    struct interest *interest = calloc(1, sizeof *interest);
    int error = 0;

    if (interest == NULL)
        return ERR_NOMEM;
    arena_init(&interest->arena, (size_t)1 << 30);
    interest->last_pending = &interest->first_pending;
    interest->rule_count = set->rule_count;
    interest->class_count = CLASS_NOBODY + 1;
    interest->scratch = arena_alloc(&interest->arena, set->rule_count + 1,
                                    sizeof(const struct rule *));
    if (interest->scratch == NULL)
        error = ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < set->rule_count; i++) {
        struct adding adding = {interest, set->rules[i]};
        if (set->rules[i]->is_alert)
            error = promql_expression_selectors(set->rules[i]->expression, add_selector,
                                                &adding);
        if (error == 0 && set->rules[i]->recover != NULL)
            error = promql_expression_selectors(set->rules[i]->recover, add_selector, &adding);
    }
    if (error != 0) {
        interest_free(interest);
        return error;
    }
    *ret_interest = interest;
    return 0;
}

void interest_free(struct interest *interest)
{
    if (interest == NULL)
        return;
    for (size_t i = 0; i < interest->page_count; i++)
        free(interest->pages[i]);
    free(interest->pages);
    free(interest->classes);
    arena_reset(&interest->arena);
    free(interest);
}

/* ---- classes ----------------------------------------------------------------------------- */

static const char *intern_instance(struct interest *interest, struct bytes value)
{
    struct instance_entry **bucket = &interest->instances[hash_bytes(value) % BUCKETS];
    struct instance_entry *entry = *bucket;
    while (entry != NULL && !bytes_equal(bytes_of(entry->text), value))
        entry = entry->next;
    if (entry != NULL)
        return entry->text;
    entry = arena_alloc(&interest->arena, 1, sizeof *entry + value.size + 1);
    if (entry == NULL)
        return NULL;
    if (value.size > 0)
        memcpy(entry->text, value.data, value.size);
    entry->next = *bucket;
    *bucket = entry;
    return entry->text;
}

/* Rules of the selectors under a metric name that mean the series, after those found before. */
static size_t match_metric(struct interest *interest, struct bytes name,
                           const struct labels *labels, size_t count)
{
    const struct metric *metric = metric_of(interest, name, false);
    for (const struct selector *at = metric == NULL ? NULL : metric->selectors; at != NULL;
         at = at->next) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = interest->scratch[i] == at->rule;
        if (!known && matchers_match(at->matchers, at->matcher_count, labels))
            interest->scratch[count++] = at->rule;
    }
    return count;
}

static bool is_same_class(const struct interest *interest, const struct class_entry *entry,
                          size_t rule_count, const char *instance)
{
    return entry->class.instance == instance && entry->class.rule_count == rule_count &&
           memcmp(entry->class.rules, interest->scratch,
                  rule_count * sizeof(const struct rule *)) == 0;
}

static struct class_entry *make_class(struct interest *interest, size_t rule_count,
                                      const char *instance, uint64_t hash)
{
    struct class_entry *entry = arena_alloc(&interest->arena, 1, sizeof *entry);
    const struct rule **rules =
        arena_alloc(&interest->arena, rule_count, sizeof(const struct rule *));

    if (interest->class_count >= interest->class_capacity) {
        size_t capacity = interest->class_capacity == 0 ? 256 : interest->class_capacity * 2;
        struct class_entry **longer =
            realloc(interest->classes, capacity * sizeof(struct class_entry *));
        if (longer == NULL)
            return NULL;
        interest->classes = longer;
        interest->class_capacity = capacity;
    }
    if (entry == NULL || rules == NULL || interest->class_count >= INTEREST_CLASSES_MAX)
        return NULL;
    memcpy(rules, interest->scratch, rule_count * sizeof(const struct rule *));
    entry->class = (struct interest_class){rules, rule_count, instance, false};
    entry->hash = hash;
    entry->number = (uint32_t)interest->class_count;
    entry->next = interest->buckets[hash % BUCKETS];
    interest->buckets[hash % BUCKETS] = entry;
    interest->classes[interest->class_count++] = entry;
    return entry;
}

/* The class of a series; NULL: nobody cares (or no memory to say who). */
static struct class_entry *classify(struct interest *interest, const struct labels *labels)
{
    size_t count = match_metric(interest, labels_get_text(labels, LABEL_NAME), labels, 0);
    struct class_entry *entry;
    const char *instance;
    uint64_t hash;

    count = match_metric(interest, (struct bytes){0}, labels, count);
    if (count == 0)
        return NULL;
    instance = intern_instance(interest, labels_get_text(labels, SCOPE_LABEL));
    if (instance == NULL)
        return NULL;
    hash = hash_bytes((struct bytes){(const uint8_t *)interest->scratch,
                                     count * sizeof(const struct rule *)}) ^
           (uint64_t)(uintptr_t)instance * UINT64_C(0x9E3779B97F4A7C15);
    for (entry = interest->buckets[hash % BUCKETS]; entry != NULL; entry = entry->next)
        if (entry->hash == hash && is_same_class(interest, entry, count, instance))
            return entry;
    return make_class(interest, count, instance, hash);
}

/* ---- touching ---------------------------------------------------------------------------- */

/* The place of a series in the page table; NULL if it has none. */
static uint32_t *slot_of(struct interest *interest, uint64_t series_id)
{
    uint64_t page = series_id >> PAGE_BITS;
    if (page >= PAGES_MAX)
        return NULL;
    if (page >= interest->page_count) {
        size_t count = interest->page_count == 0 ? 16 : interest->page_count;
        uint32_t **longer;
        while (count <= page)
            count *= 2;
        longer = realloc(interest->pages, count * sizeof(uint32_t *));
        if (longer == NULL)
            return NULL;
        memset(longer + interest->page_count, 0,
               (count - interest->page_count) * sizeof(uint32_t *));
        interest->pages = longer;
        interest->page_count = count;
    }
    if (interest->pages[page] == NULL)
        interest->pages[page] = calloc(PAGE_SIZE, sizeof(uint32_t));
    return interest->pages[page] == NULL ? NULL
                                         : &interest->pages[page][series_id % PAGE_SIZE];
}

bool interest_touch(struct interest *interest, const struct series *series)
{
    uint32_t *slot = slot_of(interest, store_series_id(series));
    struct class_entry *entry;

    if (slot != NULL && *slot == CLASS_NOBODY)
        return false;
    if (slot != NULL && *slot != 0) {
        entry = interest->classes[*slot];
    } else {
        struct labels_room room;
        entry = classify(interest, store_series_labels(series, &room));
        if (slot != NULL)
            *slot = entry == NULL ? CLASS_NOBODY : entry->number;
    }
    if (entry == NULL || entry->class.pending)
        return false;
    entry->class.pending = true;
    entry->next_pending = NULL;
    *interest->last_pending = entry;
    interest->last_pending = &entry->next_pending;
    return true;
}

size_t interest_take(struct interest *interest, struct interest_class **ret_classes,
                     size_t capacity)
{
    size_t count = 0;
    while (count < capacity && interest->first_pending != NULL) {
        struct class_entry *entry = interest->first_pending;
        interest->first_pending = entry->next_pending;
        entry->class.pending = false;
        ret_classes[count++] = &entry->class;
    }
    if (interest->first_pending == NULL)
        interest->last_pending = &interest->first_pending;
    return count;
}
