/*
 * ask_redis_table.h - redis_exporter's name of each field of INFO.
 */
#pragma once

#include "probe/source/ask.h"

#define REDIS_METRIC_ROWS 98
#define REDIS_MASTER_ROWS 3

extern const struct ask_metric redis_metrics[REDIS_METRIC_ROWS];
/* With labels master_host and master_port. */
extern const struct ask_metric redis_master[REDIS_MASTER_ROWS];
extern const struct ask_metric redis_master_link;
/* With the label db; their fields are those of a line of # Keyspace. */
extern const struct ask_metric redis_db_keys, redis_db_expiring, redis_db_ttl;
/* With the label cmd; # Commandstats. */
extern const struct ask_metric redis_command_calls, redis_command_seconds;
extern const struct ask_metric redis_command_rejected, redis_command_failed;
/* With the label err; # Errorstats. */
extern const struct ask_metric redis_errors;
/* With slave_ip, slave_port and slave_state. */
extern const struct ask_metric redis_replica_offset, redis_replica_lag;
extern const struct ask_metric redis_instance, redis_replica, redis_start_time;
extern const struct ask_metric redis_maxclients, redis_slowlog;
