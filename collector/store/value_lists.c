/* value_lists.c - entries by file and label, lists by what is in them; see value_lists.h. */
#include "collector/store/value_lists.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define BUCKETS  4096u /* a label of some thousand files, and some labels of each */
#define PART_MAX 4     /* one list takes at most this part of the room */

struct value_list {
    uint64_t hash;
    size_t holders; /* entries and readers */
    struct value_list *next; /* in its bucket */
    size_t size;
    uint8_t texts[];
};

struct entry {
    uint64_t generation, label_hash;
    struct value_list *list;
    struct entry *next; /* in its bucket */
    TAILQ_ENTRY(entry) use;
    size_t label_size;
    uint8_t label[];
};

struct value_lists {
    size_t limit_bytes; /* fixed */
    pthread_mutex_t lock;
    /* under lock */
    struct entry *entries[BUCKETS];
    struct value_list *lists[BUCKETS];
    TAILQ_HEAD(uses, entry) uses; /* the last used first */
    size_t bytes, entry_count, list_count;
};

int value_lists_new(size_t limit_bytes, struct value_lists **ret_lists)
{
    struct value_lists *lists = calloc(1, sizeof *lists);
    if (lists == NULL)
        return ERR_NOMEM;
    lists->limit_bytes = limit_bytes;
    TAILQ_INIT(&lists->uses);
    must(pthread_mutex_init(&lists->lock, NULL) == 0);
    *ret_lists = lists;
    return 0;
}

/* -- under the lock ---------------------------------------------------------------------- */

static size_t bytes_of_list(const struct value_list *list)
{
    return sizeof *list + list->size;
}

static size_t bytes_of_entry(const struct entry *entry)
{
    return sizeof *entry + entry->label_size;
}

/* One holder less. */
static void drop_list(struct value_lists *lists, struct value_list *list)
{
    if (--list->holders > 0)
        return;
    struct value_list **at = &lists->lists[list->hash % BUCKETS];
    while (*at != list)
        at = &(*at)->next;
    *at = list->next;
    lists->bytes -= bytes_of_list(list);
    lists->list_count--;
    free(list);
}

static struct entry **place_of(struct value_lists *lists, uint64_t generation, struct bytes label,
                               uint64_t label_hash)
{
    struct entry **at = &lists->entries[(label_hash ^ generation) % BUCKETS];
    while (*at != NULL && ((*at)->generation != generation || (*at)->label_hash != label_hash ||
                           !bytes_equal((struct bytes){(*at)->label, (*at)->label_size}, label)))
        at = &(*at)->next;
    return at;
}

static void put_out(struct value_lists *lists, struct entry *entry)
{
    struct entry **at = &lists->entries[(entry->label_hash ^ entry->generation) % BUCKETS];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    TAILQ_REMOVE(&lists->uses, entry, use);
    lists->bytes -= bytes_of_entry(entry);
    lists->entry_count--;
    drop_list(lists, entry->list);
    free(entry);
}

/* The one that is equal; NULL: there is none. */
static struct value_list *find_equal(struct value_lists *lists, uint64_t hash, struct bytes texts)
{
    struct value_list *list = lists->lists[hash % BUCKETS];
    while (list != NULL && (list->hash != hash || !bytes_equal(value_list_texts(list), texts)))
        list = list->next;
    return list;
}

/* Without holders yet; NULL: no memory. */
static struct value_list *obtain_list(struct value_lists *lists, struct bytes texts)
{
    const uint64_t hash = XXH3_64bits(texts.data, texts.size);
    struct value_list *list = find_equal(lists, hash, texts);
    if (list != NULL)
        return list;
    list = malloc(sizeof *list + texts.size);
    if (list == NULL)
        return NULL;
    *list = (struct value_list){.hash = hash, .size = texts.size};
    if (texts.size > 0)
        memcpy(list->texts, texts.data, texts.size);
    list->next = lists->lists[hash % BUCKETS];
    lists->lists[hash % BUCKETS] = list;
    lists->bytes += bytes_of_list(list);
    lists->list_count++;
    return list;
}

/* Not there yet.  Without the memory it is not remembered, no harm. */
static void add_entry(struct value_lists *lists, struct entry **place, uint64_t generation,
                      struct bytes label, uint64_t label_hash, struct value_list *list)
{
    struct entry *entry = malloc(sizeof *entry + label.size);
    if (entry == NULL)
        return;
    *entry = (struct entry){.generation = generation,
                            .label_hash = label_hash,
                            .list = list,
                            .label_size = label.size};
    if (label.size > 0)
        memcpy(entry->label, label.data, label.size);
    list->holders++;
    *place = entry;
    TAILQ_INSERT_HEAD(&lists->uses, entry, use);
    lists->bytes += bytes_of_entry(entry);
    lists->entry_count++;
    for (struct entry *oldest; lists->bytes > lists->limit_bytes &&
                               (oldest = TAILQ_LAST(&lists->uses, uses)) != entry;)
        put_out(lists, oldest);
}

/* -- for all ----------------------------------------------------------------------------- */

void value_lists_free(struct value_lists *lists)
{
    if (lists == NULL)
        return;
    while (!TAILQ_EMPTY(&lists->uses))
        put_out(lists, TAILQ_FIRST(&lists->uses));
    must(lists->list_count == 0);
    (void)pthread_mutex_destroy(&lists->lock);
    free(lists);
}

struct value_list *value_lists_find(struct value_lists *lists, uint64_t generation,
                                    struct bytes label)
{
    struct value_list *list = NULL;
    const uint64_t label_hash = XXH3_64bits(label.data, label.size);
    must(pthread_mutex_lock(&lists->lock) == 0);
    struct entry *entry = *place_of(lists, generation, label, label_hash);
    if (entry != NULL) {
        TAILQ_REMOVE(&lists->uses, entry, use);
        TAILQ_INSERT_HEAD(&lists->uses, entry, use);
        list = entry->list;
        list->holders++;
    }
    must(pthread_mutex_unlock(&lists->lock) == 0);
    return list;
}

struct value_list *value_lists_put(struct value_lists *lists, uint64_t generation,
                                   struct bytes label, struct bytes texts)
{
    const uint64_t label_hash = XXH3_64bits(label.data, label.size);
    if (texts.size > lists->limit_bytes / PART_MAX)
        return NULL;
    must(pthread_mutex_lock(&lists->lock) == 0);
    struct entry **place = place_of(lists, generation, label, label_hash);
    struct value_list *list = *place != NULL ? (*place)->list : obtain_list(lists, texts);
    if (list != NULL) {
        list->holders++; /* the caller, who keeps it while others make room */
        if (*place == NULL)
            add_entry(lists, place, generation, label, label_hash, list);
    }
    must(pthread_mutex_unlock(&lists->lock) == 0);
    return list;
}

struct bytes value_list_texts(const struct value_list *list)
{
    return (struct bytes){list->texts, list->size};
}

void value_lists_release(struct value_lists *lists, struct value_list *list)
{
    if (list == NULL)
        return;
    must(pthread_mutex_lock(&lists->lock) == 0);
    drop_list(lists, list);
    must(pthread_mutex_unlock(&lists->lock) == 0);
}

void value_lists_forget(struct value_lists *lists, uint64_t generation)
{
    must(pthread_mutex_lock(&lists->lock) == 0);
    for (struct entry *entry = TAILQ_FIRST(&lists->uses), *older; entry != NULL; entry = older) {
        older = TAILQ_NEXT(entry, use);
        if (entry->generation == generation)
            put_out(lists, entry);
    }
    must(pthread_mutex_unlock(&lists->lock) == 0);
}

void value_lists_sum(struct value_lists *lists, size_t *ret_lists, size_t *ret_entries,
                     size_t *ret_bytes)
{
    must(pthread_mutex_lock(&lists->lock) == 0);
    *ret_lists = lists->list_count;
    *ret_entries = lists->entry_count;
    *ret_bytes = lists->bytes;
    must(pthread_mutex_unlock(&lists->lock) == 0);
}
