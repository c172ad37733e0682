/*
 * memory.c - see memory.h.
 */
#include "collector/memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collector/store/slab.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 33)
#define HAS_MALLINFO2 1 /* the one before it counts in int */
#endif
#endif

#define LOOK_MS       1000
#define WASTE_BYTES   ((size_t)4 << 20) /* not worth a walk below it, */
#define WASTE_PART    64                /* nor below so small a part of what is in use */
#define ACHIEVED_PART 4                 /* of the waste: less than that was not worth it */
#define RESTS_PART    16                /* at rest: what is in use changed by less than that */
#define GROWN_PART    4                 /* looked at again early once so much was added */
#define LOOKS_WASTED  2                 /* so often in a row too much: at rest or not */
#define LOOKS_OFF_MAX 256               /* after giving back achieved nothing */
#define REST_TIMES    100               /* as long as a look takes: it walks what is free */

struct heaps {
    size_t used, free;
};

struct memory_watch {
    uv_timer_t timer;
    uv_work_t work;
    bool works, stops;
    struct heaps heaps;             /* at the last look, by the pool's thread */
    mono_ns took_ns, rested_ns;     /* it, and when the next one may come */
    size_t used;                    /* at the last look */
    size_t waste;                   /* when last given back */
    size_t returned;                /* and what came of it */
    size_t gone;                    /* of what is free: given back, and not taken since */
    unsigned looks_wasted;          /* how often in a row there was much of it */
    unsigned looks_off, looks_left; /* how long to look away, and how long still */
    size_t stayed;                  /* resident when last given back */
};

void memory_setup(void)
{
#ifdef __GLIBC__
    /* An answer of megabytes is rare and short-lived: glibc would keep its memory in the heap
     * of whichever thread made it, for it learns from the first such block to treat them as
     * small. */
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

/* Resident memory that no file backs; 0 if nobody tells. */
static size_t anonymous_bytes(void)
{
    unsigned long size, resident, shared;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    int read = fscanf(file, "%lu %lu %lu", &size, &resident, &shared);
    (void)fclose(file);
    if (read != 3 || resident < shared)
        return 0;
    return (size_t)(resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

static struct heaps look_at_heaps(void)
{
#ifdef HAS_MALLINFO2
    const struct mallinfo2 info = mallinfo2();
    return (struct heaps){info.uordblks + info.hblkhd + slab_held_bytes(), info.fordblks};
#else
    return (struct heaps){SIZE_MAX / 2, 0}; /* nobody tells: then nothing is taken for waste */
#endif
}

/* What is resident beyond what is in use is wasted for certain, but much of what is in use was
 * never touched (queues of connections, above all) and hides as much that is wasted.  So what
 * became free since memory was given back counts, too. */
static size_t waste_of(const struct memory_watch *watch, struct heaps heaps)
{
    const size_t anonymous = anonymous_bytes(), freed = heaps.free - watch->gone;
    const size_t excess = anonymous > heaps.used ? anonymous - heaps.used : 0;
    return excess > freed ? excess : freed;
}

static void give_back(uv_work_t *work)
{
    struct memory_watch *watch = work->data;
    const size_t before = anonymous_bytes();
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    watch->stayed = anonymous_bytes();
    watch->returned = before > watch->stayed ? before - watch->stayed : 0;
    watch->gone = look_at_heaps().free;
}

static void given_back(uv_work_t *work, int status)
{
    struct memory_watch *watch = work->data;
    (void)status;
    watch->works = false;
    if (watch->stops) {
        free(watch);
        return;
    }
    /* Holes smaller than a page stay: looking again soon would find the same. */
    if (watch->returned < watch->waste / ACHIEVED_PART)
        watch->looks_off = watch->looks_off == 0                   ? 1
                           : watch->looks_off >= LOOKS_OFF_MAX / 2 ? LOOKS_OFF_MAX
                                                                   : 2 * watch->looks_off;
    else
        watch->looks_off = 0;
    watch->looks_left = watch->looks_off;
}

/* Is there so much more than then that giving back may achieve something? */
static bool has_grown(const struct memory_watch *watch)
{
    return anonymous_bytes() > watch->stayed + watch->stayed / GROWN_PART;
}

/* On a thread of the pool: the loop has others to serve meanwhile. */
static void look(uv_work_t *work)
{
    struct memory_watch *watch = work->data;
    const mono_ns began_ns = clock_mono(&clock_system);
    watch->heaps = look_at_heaps();
    watch->took_ns = clock_mono(&clock_system) - began_ns;
}

static void looked(uv_work_t *work, int status)
{
    struct memory_watch *watch = work->data;
    const struct heaps heaps = watch->heaps;
    const size_t used = heaps.used, before = watch->used;
    (void)status;
    watch->works = false;
    if (watch->stops) {
        free(watch);
        return;
    }
    watch->rested_ns = clock_mono(&clock_system) + REST_TIMES * watch->took_ns;
    const size_t change = used > before ? used - before : before - used;
    watch->used = used;
    if (watch->gone > heaps.free)
        watch->gone = heaps.free;
    watch->waste = waste_of(watch, heaps);
    if (watch->waste < WASTE_BYTES || watch->waste < used / WASTE_PART) {
        watch->looks_wasted = 0;
        return;
    }
    /* What grows may need it soon; but not what it has left aside for so long. */
    if (change > used / RESTS_PART && ++watch->looks_wasted < LOOKS_WASTED)
        return;
    watch->looks_wasted = 0;
    watch->works = uv_queue_work(work->loop, &watch->work, give_back, given_back) == 0;
}

static void on_look(uv_timer_t *timer)
{
    struct memory_watch *watch = timer->data;
    if (watch->works || clock_mono(&clock_system) < watch->rested_ns)
        return;
    if (watch->looks_left > 0 && !has_grown(watch)) {
        watch->looks_left--;
        return;
    }
    watch->works = uv_queue_work(timer->loop, &watch->work, look, looked) == 0;
}

int memory_watch_start(uv_loop_t *loop, struct memory_watch **ret_watch)
{
    struct memory_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return ERR_NOMEM;
    must(uv_timer_init(loop, &watch->timer) == 0);
    watch->timer.data = watch;
    watch->work.data = watch;
    must(uv_timer_start(&watch->timer, on_look, LOOK_MS, LOOK_MS) == 0);
    *ret_watch = watch;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct memory_watch *watch = handle->data;
    watch->stops = true;
    if (!watch->works)
        free(watch);
}

void memory_watch_stop(struct memory_watch *watch)
{
    if (watch != NULL)
        uv_close((uv_handle_t *)&watch->timer, on_closed);
}
