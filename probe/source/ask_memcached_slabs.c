/*
 * ask_memcached_slabs.c - slab classes, as memcached_exporter names them:
 *
 *     stats slabs    STAT 1:chunk_size 96
 *     stats items    STAT items:1:age 23
 *
 * Some forty series a class, up to 63 classes; `drop: memcached_slab_.*` leaves them out.
 * Types are the exporter's, oddities included (the age of what was evicted last is a counter
 * there).
 */
#include "probe/source/ask_memcached_slabs.h"

#define ROWS(table) (table), sizeof(table) / sizeof(table)[0]
#define CAS_FIELDS  2 /* of a class: hits and badval; who misses has none */

static const struct ask_metric slabs[] = {
    {"chunk_size", "memcached_slab_chunk_size_bytes", METRIC_GAUGE, "Bytes of a chunk."},
    {"chunks_per_page", "memcached_slab_chunks_per_page", METRIC_GAUGE, "Chunks of a page."},
    {"total_pages", "memcached_slab_current_pages", METRIC_GAUGE, "Pages of the class."},
    {"total_chunks", "memcached_slab_current_chunks", METRIC_GAUGE, "Chunks of the class."},
    {"used_chunks", "memcached_slab_chunks_used", METRIC_GAUGE, "Chunks that hold an item."},
    {"free_chunks", "memcached_slab_chunks_free", METRIC_GAUGE, "Chunks that hold none."},
    {"free_chunks_end", "memcached_slab_chunks_free_end", METRIC_GAUGE,
     "Free chunks at the end of the last page."},
    {"mem_requested", "memcached_slab_mem_requested_bytes", METRIC_GAUGE,
     "Bytes that the items take up in their chunks."},
};

static const struct ask_metric items[] = {
    {"number", "memcached_slab_current_items", METRIC_GAUGE, "Items in the class."},
    {"age", "memcached_slab_items_age_seconds", METRIC_GAUGE, "Age of the oldest item."},
    {"number_hot", "memcached_slab_hot_items", METRIC_GAUGE, "Items in the HOT LRU."},
    {"number_warm", "memcached_slab_warm_items", METRIC_GAUGE, "Items in the WARM LRU."},
    {"number_cold", "memcached_slab_cold_items", METRIC_GAUGE, "Items in the COLD LRU."},
    {"number_temp", "memcached_slab_temporary_items", METRIC_GAUGE,
     "Items in the TEMPORARY LRU."},
    {"age_hot", "memcached_slab_hot_age_seconds", METRIC_GAUGE,
     "Age of the oldest item in the HOT LRU."},
    {"age_warm", "memcached_slab_warm_age_seconds", METRIC_GAUGE,
     "Age of the oldest item in the WARM LRU."},
    {"mem_requested", "memcached_slab_mem_requested_bytes", METRIC_GAUGE,
     "Bytes that the items take up in their chunks."},
    {"evicted", "memcached_slab_items_evicted_total", METRIC_COUNTER,
     "Items that had to go before they expired."},
    {"evicted_nonzero", "memcached_slab_items_evicted_nonzero_total", METRIC_COUNTER,
     "Of those, the ones that had a time to expire."},
    {"evicted_time", "memcached_slab_items_evicted_time_seconds", METRIC_COUNTER,
     "How long ago the item evicted last was asked for."},
    {"evicted_unfetched", "memcached_slab_items_evicted_unfetched_total", METRIC_COUNTER,
     "Items evicted that nobody had asked for."},
    {"expired_unfetched", "memcached_slab_items_expired_unfetched_total", METRIC_COUNTER,
     "Items expired that nobody had asked for."},
    {"outofmemory", "memcached_slab_items_outofmemory_total", METRIC_COUNTER,
     "Items that found no room."},
    {"tailrepairs", "memcached_slab_items_tailrepairs_total", METRIC_COUNTER,
     "Repairs of items that a lost reference held."},
    {"reclaimed", "memcached_slab_items_reclaimed_total", METRIC_COUNTER,
     "Items stored where one had expired."},
    {"crawler_reclaimed", "memcached_slab_items_crawler_reclaimed_total", METRIC_COUNTER,
     "Items freed by the LRU crawler."},
    {"moves_to_cold", "memcached_slab_items_moves_to_cold", METRIC_COUNTER,
     "Items moved from HOT or WARM to COLD."},
    {"moves_to_warm", "memcached_slab_items_moves_to_warm", METRIC_COUNTER,
     "Items moved from COLD to WARM."},
    {"moves_within_lru", "memcached_slab_items_moves_within_lru", METRIC_COUNTER,
     "Items moved within HOT or WARM."},
};

static const struct ask_metric lru_hits = {NULL, "memcached_slab_lru_hits_total",
                                           METRIC_COUNTER, "Hits of get, by LRU."};
static const struct {
    const char *field, *lru;
} lru_rows[] = {
    {"hits_to_hot", "hot"},
    {"hits_to_warm", "warm"},
    {"hits_to_cold", "cold"},
    {"hits_to_temp", "temporary"},
};

static const struct ask_metric commands = {NULL, "memcached_slab_commands_total",
                                           METRIC_COUNTER,
                                           "Requests of the class, by command and status."};
static const struct {
    const char *field, *command, *status;
} command_rows[] = {
    {"get_hits", "get", "hit"},     {"delete_hits", "delete", "hit"},
    {"incr_hits", "incr", "hit"},   {"decr_hits", "decr", "hit"},
    {"cas_hits", "cas", "hit"},     {"cas_badval", "cas", "badval"},
    {"touch_hits", "touch", "hit"},
};

static void put_command(struct ask_out *out, struct span number, const char *command,
                        const char *status, double value)
{
    const struct label labels[] = {{bytes_of("command"), bytes_of(command)},
                                   {bytes_of("slab"), span_bytes(number)},
                                   {bytes_of("status"), bytes_of(status)}};
    ask_put(out, &commands, labels, 3, value);
}

static void put_found(struct ask_out *out, const struct ask_metric *table, size_t count,
                      struct span number, struct span field, double value)
{
    const struct ask_metric *metric = ask_metric_find(table, count, field);
    const struct label label = {bytes_of("slab"), span_bytes(number)};
    if (metric != NULL)
        ask_put(out, metric, &label, 1, value);
}

static void take_command(struct memcached_slab *slab, struct span number, struct span field,
                         double value, struct ask_out *out)
{
    if (span_is(field, "cmd_set")) {
        slab->set = value;
        slab->has_set = true;
    }
    for (size_t i = 0; i < sizeof command_rows / sizeof *command_rows; i++) {
        if (!span_is(field, command_rows[i].field))
            continue;
        put_command(out, number, command_rows[i].command, command_rows[i].status, value);
        if (strcmp(command_rows[i].command, "cas") != 0)
            continue;
        slab->cas += value;
        if (++slab->cas_fields == CAS_FIELDS && slab->has_set)
            put_command(out, number, "set", "hit", slab->set - slab->cas);
    }
}

bool memcached_slab_take(struct memcached_slab *slab, struct span field, double value,
                         struct ask_out *out)
{
    struct span rest = field;
    uint64_t class;
    bool is_items = scan_text(&rest, "items:");
    struct span number = {rest.at, rest.at};
    if (!scan_u64(&rest, &class) || rest.at >= rest.end || *rest.at != ':')
        return false;
    number.end = rest.at++;
    if (!is_items) {
        if (!slab->is_begun || slab->class != class)
            *slab = (struct memcached_slab){.is_begun = true, .class = class};
        put_found(out, ROWS(slabs), number, rest, value);
        take_command(slab, number, rest, value, out);
        return true;
    }
    put_found(out, ROWS(items), number, rest, value);
    for (size_t i = 0; i < sizeof lru_rows / sizeof *lru_rows; i++) {
        const struct label labels[] = {{bytes_of("lru"), bytes_of(lru_rows[i].lru)},
                                       {bytes_of("slab"), span_bytes(number)}};
        if (span_is(rest, lru_rows[i].field))
            ask_put(out, &lru_hits, labels, 2, value);
    }
    return true;
}
