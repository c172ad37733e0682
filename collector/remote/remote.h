/*
 * remote.h - Prometheus remote write, sending: everything committed to one or more receivers.
 *
 *     remote_new() ─> store_open(release = remote_release) ─> remote_open() ... remote_stop()
 *                                                      ─> store_close() ─> remote_free()
 *
 * A receiver has a thread (sender.h) that reads the store's log and remembers in the store what was
 * acknowledged.  When the store cuts its log, remote_release() spills what a receiver has yet to
 * get into files (spill.h), until they reach the limit: then the oldest go, counted and said.  So
 * nothing is written twice while all receivers keep up, and a receiver that is away for a day costs
 * a few bytes a sample on disk, no memory, and no acknowledgement a moment.
 *
 * A receiver that is new begins with what is committed from then on.  What is remembered of one
 * that is no more in the configuration goes.
 *
 * Threads: as each call says.
 */
#pragma once

#include "collector/remote/sender.h"
#include "collector/store/store.h"
#include "proto/base/config.h"
#include "proto/base/diagnosis.h"

struct remote;

/* Checks `remote_write` (NULL: none).  Any thread. */
int remote_check(struct config *config, const struct config_node *list, struct diagnosis *why);

/* Before the store opens: until remote_open() nothing is released.  `data` is the data folder. */
int remote_new(const char *data, uint64_t backlog_bytes, struct remote **ret_remote);
/* store_options.release.  The store's keeper, and whoever closes the store. */
uint64_t remote_release(void *remote, uint64_t through);
/* store_options.hold.  Any thread but the one that releases. */
void remote_hold(void *remote, bool is_held);

/* Main thread.  Starts a sender for each entry; forgets receivers that are none any more. */
int remote_open(struct remote *remote, struct store *store, struct config *config,
                const struct config_node *list, struct diagnosis *why);
/* Main thread; of a list that was checked.  Entries that are the same word by word go on. */
int remote_reload(struct remote *remote, struct config *config, const struct config_node *list,
                  struct diagnosis *why);
/* Main thread: ends the senders; remote_release() still spills for them.  NULL is allowed. */
void remote_stop(struct remote *remote);
void remote_free(struct remote *remote); /* after the store; NULL is allowed */

/* Calls `each` for every receiver, in the order of the configuration.  Any thread. */
void remote_each(struct remote *remote,
                 void (*each)(void *context, const struct sender_status *status), void *context);
/* fengsui_collector_remote_out_*.  Any thread. */
void remote_print_metrics(struct remote *remote, struct buf *out);
