/*
 * ask_redis_table.c - redis_exporter's name of each field of INFO (ask_redis_table.h).
 *
 * The exporter's help texts of these say no more than the names; ours name the field.
 */
#include "probe/source/ask_redis_table.h"

#define GAUGE(field, name)                                                                     \
    {                                                                                          \
        field, "redis_" name, METRIC_GAUGE, "INFO: " field                                     \
    }
#define COUNTER(field, name)                                                                   \
    {                                                                                          \
        field, "redis_" name, METRIC_COUNTER, "INFO: " field                                   \
    }

const struct ask_metric redis_metrics[REDIS_METRIC_ROWS] = {
    GAUGE("uptime_in_seconds", "uptime_in_seconds"),
    GAUGE("process_id", "process_id"),
    GAUGE("hz", "hz"),
    GAUGE("configured_hz", "configured_hz"),
    GAUGE("connected_clients", "connected_clients"),
    GAUGE("blocked_clients", "blocked_clients"),
    GAUGE("tracking_clients", "tracking_clients"),
    GAUGE("client_longest_output_list", "client_longest_output_list"),
    GAUGE("client_biggest_input_buf", "client_biggest_input_buf"),
    GAUGE("client_recent_max_output_buffer", "client_recent_max_output_buffer_bytes"),
    GAUGE("client_recent_max_input_buffer", "client_recent_max_input_buffer_bytes"),
    GAUGE("allocator_active", "allocator_active_bytes"),
    GAUGE("allocator_allocated", "allocator_allocated_bytes"),
    GAUGE("allocator_resident", "allocator_resident_bytes"),
    GAUGE("allocator_frag_ratio", "allocator_frag_ratio"),
    GAUGE("allocator_frag_bytes", "allocator_frag_bytes"),
    GAUGE("allocator_rss_ratio", "allocator_rss_ratio"),
    GAUGE("allocator_rss_bytes", "allocator_rss_bytes"),
    GAUGE("used_memory", "memory_used_bytes"),
    GAUGE("used_memory_rss", "memory_used_rss_bytes"),
    GAUGE("used_memory_peak", "memory_used_peak_bytes"),
    GAUGE("used_memory_lua", "memory_used_lua_bytes"),
    GAUGE("used_memory_overhead", "memory_used_overhead_bytes"),
    GAUGE("used_memory_startup", "memory_used_startup_bytes"),
    GAUGE("used_memory_dataset", "memory_used_dataset_bytes"),
    GAUGE("used_memory_scripts", "memory_used_scripts_bytes"),
    GAUGE("maxmemory", "memory_max_bytes"),
    GAUGE("mem_fragmentation_ratio", "mem_fragmentation_ratio"),
    GAUGE("mem_fragmentation_bytes", "mem_fragmentation_bytes"),
    GAUGE("mem_clients_slaves", "mem_clients_slaves"),
    GAUGE("mem_clients_normal", "mem_clients_normal"),
    GAUGE("expired_stale_perc", "expired_stale_percentage"),
    GAUGE("mem_not_counted_for_evict", "mem_not_counted_for_eviction_bytes"),
    GAUGE("lazyfree_pending_objects", "lazyfree_pending_objects"),
    GAUGE("active_defrag_running", "active_defrag_running"),
    GAUGE("migrate_cached_sockets", "migrate_cached_sockets_total"),
    GAUGE("active_defrag_hits", "defrag_hits"),
    GAUGE("active_defrag_misses", "defrag_misses"),
    GAUGE("active_defrag_key_hits", "defrag_key_hits"),
    GAUGE("active_defrag_key_misses", "defrag_key_misses"),
    GAUGE("expired_time_cap_reached_count", "expired_time_cap_reached_total"),
    GAUGE("loading", "loading_dump_file"),
    GAUGE("rdb_changes_since_last_save", "rdb_changes_since_last_save"),
    GAUGE("rdb_bgsave_in_progress", "rdb_bgsave_in_progress"),
    GAUGE("rdb_last_save_time", "rdb_last_save_timestamp_seconds"),
    GAUGE("rdb_last_bgsave_status", "rdb_last_bgsave_status"),
    GAUGE("rdb_last_bgsave_time_sec", "rdb_last_bgsave_duration_sec"),
    GAUGE("rdb_current_bgsave_time_sec", "rdb_current_bgsave_duration_sec"),
    GAUGE("rdb_last_cow_size", "rdb_last_cow_size_bytes"),
    GAUGE("aof_enabled", "aof_enabled"),
    GAUGE("aof_rewrite_in_progress", "aof_rewrite_in_progress"),
    GAUGE("aof_rewrite_scheduled", "aof_rewrite_scheduled"),
    GAUGE("aof_last_rewrite_time_sec", "aof_last_rewrite_duration_sec"),
    GAUGE("aof_current_rewrite_time_sec", "aof_current_rewrite_duration_sec"),
    GAUGE("aof_last_cow_size", "aof_last_cow_size_bytes"),
    GAUGE("aof_current_size", "aof_current_size_bytes"),
    GAUGE("aof_base_size", "aof_base_size_bytes"),
    GAUGE("aof_pending_rewrite", "aof_pending_rewrite"),
    GAUGE("aof_buffer_length", "aof_buffer_length"),
    GAUGE("aof_rewrite_buffer_length", "aof_rewrite_buffer_length"),
    GAUGE("aof_pending_bio_fsync", "aof_pending_bio_fsync"),
    GAUGE("aof_delayed_fsync", "aof_delayed_fsync"),
    GAUGE("aof_last_bgrewrite_status", "aof_last_bgrewrite_status"),
    GAUGE("aof_last_write_status", "aof_last_write_status"),
    GAUGE("module_fork_in_progress", "module_fork_in_progress"),
    GAUGE("module_fork_last_cow_size", "module_fork_last_cow_size"),
    GAUGE("pubsub_channels", "pubsub_channels"),
    GAUGE("pubsub_patterns", "pubsub_patterns"),
    GAUGE("latest_fork_usec", "latest_fork_usec"),
    GAUGE("connected_slaves", "connected_slaves"),
    GAUGE("repl_backlog_size", "replication_backlog_bytes"),
    GAUGE("repl_backlog_active", "repl_backlog_is_active"),
    GAUGE("repl_backlog_first_byte_offset", "repl_backlog_first_byte_offset"),
    GAUGE("repl_backlog_histlen", "repl_backlog_history_bytes"),
    GAUGE("master_repl_offset", "master_repl_offset"),
    GAUGE("second_repl_offset", "second_repl_offset"),
    GAUGE("slave_expires_tracked_keys", "slave_expires_tracked_keys"),
    GAUGE("slave_priority", "slave_priority"),
    GAUGE("sync_full", "replica_resyncs_full"),
    GAUGE("sync_partial_ok", "replica_partial_resync_accepted"),
    GAUGE("sync_partial_err", "replica_partial_resync_denied"),
    GAUGE("cluster_enabled", "cluster_enabled"),
    GAUGE("server_threads", "server_threads_total"),
    GAUGE("total_system_memory", "total_system_memory_bytes"),
    COUNTER("total_connections_received", "connections_received_total"),
    COUNTER("total_commands_processed", "commands_processed_total"),
    COUNTER("rejected_connections", "rejected_connections_total"),
    COUNTER("total_net_input_bytes", "net_input_bytes_total"),
    COUNTER("total_net_output_bytes", "net_output_bytes_total"),
    COUNTER("expired_keys", "expired_keys_total"),
    COUNTER("evicted_keys", "evicted_keys_total"),
    COUNTER("keyspace_hits", "keyspace_hits_total"),
    COUNTER("keyspace_misses", "keyspace_misses_total"),
    COUNTER("used_cpu_sys", "cpu_sys_seconds_total"),
    COUNTER("used_cpu_user", "cpu_user_seconds_total"),
    COUNTER("used_cpu_sys_children", "cpu_sys_children_seconds_total"),
    COUNTER("used_cpu_user_children", "cpu_user_children_seconds_total"),
    COUNTER("total_error_replies", "error_replies_total"),
};

const struct ask_metric redis_master[REDIS_MASTER_ROWS] = {
    GAUGE("master_last_io_seconds_ago", "master_last_io_seconds_ago"),
    GAUGE("master_sync_in_progress", "master_sync_in_progress"),
    GAUGE("slave_repl_offset", "slave_repl_offset"),
};

const struct ask_metric redis_master_link = {NULL, "redis_master_link_up", METRIC_GAUGE,
                                             "Master link status on Redis slave"};
const struct ask_metric redis_db_keys = {"keys", "redis_db_keys", METRIC_GAUGE,
                                         "Total number of keys by DB"};
const struct ask_metric redis_db_expiring = {"expires", "redis_db_keys_expiring", METRIC_GAUGE,
                                             "Total number of expiring keys by DB"};
const struct ask_metric redis_db_ttl = {"avg_ttl", "redis_db_avg_ttl_seconds", METRIC_GAUGE,
                                        "Avg TTL in seconds"};
const struct ask_metric redis_command_calls = {"calls", "redis_commands_total", METRIC_COUNTER,
                                               "Total number of calls per command"};
const struct ask_metric redis_command_seconds = {
    "usec", "redis_commands_duration_seconds_total", METRIC_COUNTER,
    "Total amount of time in seconds spent per command"};
const struct ask_metric redis_command_rejected = {
    "rejected_calls", "redis_commands_rejected_calls_total", METRIC_COUNTER,
    "Total number of errors within command execution per command"};
const struct ask_metric redis_command_failed = {
    "failed_calls", "redis_commands_failed_calls_total", METRIC_COUNTER,
    "Total number of errors prior command execution per command"};
const struct ask_metric redis_errors = {"count", "redis_errors_total", METRIC_COUNTER,
                                        "Total number of errors per error type"};
const struct ask_metric redis_replica_offset = {"offset", "redis_connected_slave_offset_bytes",
                                                METRIC_GAUGE, "Offset of connected slave"};
const struct ask_metric redis_replica_lag = {"lag", "redis_connected_slave_lag_seconds",
                                             METRIC_GAUGE, "Lag of connected slave"};
const struct ask_metric redis_instance = {NULL, "redis_instance_info", METRIC_GAUGE,
                                          "Information about the Redis instance"};
const struct ask_metric redis_replica = {NULL, "redis_slave_info", METRIC_GAUGE,
                                         "Information about the Redis slave"};
const struct ask_metric redis_start_time = {
    NULL, "redis_start_time_seconds", METRIC_GAUGE,
    "Start time of the Redis instance since unix epoch in seconds."};
const struct ask_metric redis_maxclients = {NULL, "redis_config_maxclients", METRIC_GAUGE,
                                            "CONFIG GET maxclients"};
const struct ask_metric redis_slowlog = {NULL, "redis_slowlog_length", METRIC_GAUGE,
                                         "Total slowlog"};
