/*
 * search.h - one search through log lines: the head first, then blocks, then the answer.
 *
 *     log_search_new(query)
 *     log_search_head(search, head)                        before the blocks' snapshot is taken
 *     for each block: log_search_wants(search, stream, &info) &&
 *                     log_search_block(search, stream, file, block)
 *     log_search_finish(search, arena, &hits, &count)
 *     log_search_free(search)
 *
 * Blocks may be pushed in any order; pushing them by time in the direction of the query (newest
 * first if it says so) is fastest, because a search that has `limit` hits wants no block that
 * cannot improve them.  A line found twice (head and block, or two blocks) is one hit.
 *
 * Memory: `limit` hits, at most LOG_SEARCH_BYTES_MAX of text, and one unpacked block.
 * A search belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/log/block.h"
#include "collector/log/head.h"
#include "collector/store/store.h"
#include "proto/base/diagnosis.h"

#define LOG_SEARCH_LIMIT_DEFAULT ((size_t)1000) /* for a query with limit 0 */
#define LOG_SEARCH_LIMIT_MAX     ((size_t)100000)
#define LOG_SEARCH_BYTES_MAX     ((size_t)128 << 20)

struct log_search;

/* The query, its pattern and its regex must outlive the search.  ERR_LIMIT (limit or pattern
 * too large), ERR_NOMEM. */
int log_search_new(const struct log_query *query, struct log_search **ret_search,
                   struct diagnosis *why);
void log_search_free(struct log_search *search); /* NULL is allowed */

/* Could a block with this header still add to the answer? */
bool log_search_wants(const struct log_search *search, uint64_t stream_id,
                      const struct log_block_info *info);

/* Looks through a block.  ERR_MALFORMED: the block does not parse (nothing of it was taken; the
 * search may go on); ERR_LIMIT, ERR_NOMEM: give up. */
int log_search_block(struct log_search *search, uint64_t stream_id, uint64_t file_id,
                     struct bytes block, struct diagnosis *why);

int log_search_head(struct log_search *search, struct log_head *head, struct diagnosis *why);

/* The hits in (time, stream, file, offset) order, or the exact reverse if newest_first; in
 * `arena`.  The search is used up. */
int log_search_finish(struct log_search *search, struct arena *arena, struct log_hit **ret_hits,
                      size_t *ret_count);
