/*
 * memory.h - what the allocator does not need any more goes back to the system.
 *
 * A burst (ten thousand alerts, an import, an answer of megabytes) leaves holes in the heaps of
 * all threads that glibc keeps for good.  Once the burst is over, or when they stay while memory
 * grows, they are given back.  A walk over the heaps of a million series takes 1 to 10 ms of
 * processor time, so little is enough to be worth one.
 */
#pragma once

#include <uv.h>

/* Sets glibc's thresholds.  Before the first thread. */
void memory_setup(void);

struct memory_watch;

/* Looks every second, and gives back, on a thread of libuv's pool, never on the loop; where a look takes
 * long, less often: it has a hundredth of the time.  Loop thread.  ERR_NOMEM. */
int memory_watch_start(uv_loop_t *loop, struct memory_watch **ret_watch);
/* The loop must run until its handles are closed.  NULL is allowed. */
void memory_watch_stop(struct memory_watch *watch);
