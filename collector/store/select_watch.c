/* select_watch.c - see select_watch.h. */
#include "collector/store/select_watch.h"

#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"

#define LOOK_EVERY     256
#define BUCKETS        4096U
#define SEEN_BYTES_MAX ((size_t)8 << 20) /* values past it are tried again in each source */

struct seen_value {
    struct seen_value *next; /* in its bucket */
    const struct matcher *matcher;
    bool matches;
    size_t size;
    uint8_t bytes[];
};

static int64_t thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_cancelled(const struct select_watch *watch)
{
    return watch->cancelled != NULL && __atomic_load_n(watch->cancelled, __ATOMIC_RELAXED);
}

static bool is_late(const struct select_watch *watch)
{
    return watch->deadline_mono_ns != 0 &&
           clock_mono(&clock_system) >= (mono_ns)watch->deadline_mono_ns;
}

int select_watch_look(const struct select_watch *watch)
{
    return is_cancelled(watch) ? ERR_CANCELLED : is_late(watch) ? ERR_TIMEOUT : 0;
}

void select_watch_init(struct select_watch *watch, const struct query_budget *budget,
                       struct arena_total *total)
{
    *watch = (struct select_watch){.total = total};
    if (budget == NULL)
        return;
    watch->cancelled = budget->cancelled;
    watch->deadline_mono_ns = budget->deadline_mono_ns;
}

/* Where what is known of a value hangs; NULL: no memory for any. */
static struct seen_value **bucket_of(struct select_watch *watch, const struct matcher *matcher,
                                     struct bytes value)
{
    if (watch->seen == NULL) {
        arena_init(&watch->memory, SEEN_BYTES_MAX);
        watch->memory.total = watch->total;
        watch->seen = arena_alloc(&watch->memory, BUCKETS, sizeof(struct seen_value *));
    }
    uint64_t hash = XXH3_64bits_withSeed(value.data, value.size, (uintptr_t)matcher);
    return watch->seen == NULL ? NULL : &watch->seen[hash % BUCKETS];
}

static const struct seen_value *find(const struct seen_value *at, const struct matcher *matcher,
                                     struct bytes value)
{
    while (at != NULL &&
           (at->matcher != matcher || !bytes_equal((struct bytes){at->bytes, at->size}, value)))
        at = at->next;
    return at;
}

static void remember(struct select_watch *watch, struct seen_value **bucket,
                     const struct matcher *matcher, struct bytes value, bool matches)
{
    struct seen_value *seen =
        arena_alloc(&watch->memory, 1, sizeof(struct seen_value) + value.size);
    if (seen == NULL) {
        watch->is_full = true;
        return;
    }
    *seen = (struct seen_value){*bucket, matcher, matches, value.size};
    if (value.size > 0)
        memcpy(seen->bytes, value.data, value.size);
    *bucket = seen;
}

/* One that is slow: out of what is known, or timed. */
static int match_slowly(struct select_watch *watch, const struct matcher *matcher,
                        struct bytes value, bool *ret_matches)
{
    struct seen_value **bucket = bucket_of(watch, matcher, value);
    const struct seen_value *seen = bucket == NULL ? NULL : find(*bucket, matcher, value);
    if (seen != NULL) {
        *ret_matches = seen->matches;
        return 0;
    }
    if (watch->is_hurried && bucket != NULL && !watch->is_full) {
        watch->put_off = matcher;
        return ERR_AGAIN;
    }
    int error = select_watch_look(watch);
    if (error != 0)
        return error;
    int64_t began_ns = thread_ns();
    *ret_matches = matcher_matches(matcher, value, &error);
    watch->slow_ns += thread_ns() - began_ns;
    if (error == 0 && watch->slow_ns > SLOW_NS_MAX) {
        error = select_watch_look(watch);
        if (error == 0)
            error = ERR_LIMIT;
    }
    if (error == 0 && bucket != NULL)
        remember(watch, bucket, matcher, value, *ret_matches);
    return error;
}

int select_watch_step(struct select_watch *watch)
{
    return watch->steps++ % LOOK_EVERY == 0 ? select_watch_look(watch) : 0;
}

int select_watch_match(struct select_watch *watch, const struct matcher *matcher,
                       struct bytes value, bool *ret_matches)
{
    int error = select_watch_step(watch);
    if (error != 0)
        return error;
    if (matcher_is_slow(matcher))
        error = match_slowly(watch, matcher, value, ret_matches);
    else
        *ret_matches = matcher_matches(matcher, value, &error);
    if (error == ERR_LIMIT)
        watch->too_slow = matcher;
    return error;
}

void select_watch_done(struct select_watch *watch)
{
    if (watch->seen != NULL)
        arena_reset(&watch->memory);
    watch->seen = NULL;
}

int select_watch_explain(const struct select_watch *watch, int error, struct diagnosis *why)
{
    switch (error) {
    case ERR_LIMIT:
        if (watch->too_slow != NULL)
            return diagnose(why, error, "the regular expression \"%.*s\" takes too long",
                            (int)watch->too_slow->value.size,
                            (const char *)watch->too_slow->value.data);
        return diagnose(why, error, "the query needs more samples or memory than allowed");
    case ERR_CANCELLED:
        return diagnose(why, error, "the query was cancelled");
    case ERR_TIMEOUT:
        return diagnose(why, error, "the query timed out");
    default:
        return diagnose(why, error, "reading samples: %s", error_text(error));
    }
}
