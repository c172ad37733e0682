/*
 * syslog.h - the source: messages of other devices on this host's network, as log lines.
 *
 *     sources:
 *       syslog:
 *         listen: [udp://0.0.0.0:5514, tcp://0.0.0.0:5514]
 *         allow: [10.20.0.0/16]          # who may send; everybody by default
 *         rate_limit: 200                # of each sender; these five as in `logs`
 *         ...
 *
 * Off until an address is named.  RFC 3164 and RFC 5424 over UDP (RFC 5426) and TCP (RFC 6587).
 * Lines are of the origin syslog://ADDRESS and have its logwatch_* series (account_series.h).
 *
 * Metrics, of all: syslog_received_messages_total{transport},
 * syslog_dropped_messages_total{reason} (socket_buffer: the kernel had no room; sender_refused;
 * connection_limit), syslog_senders, syslog_connections, syslog_listener_up{listen}.
 *
 * A tick is a look, as with log files: collect() reads the sockets until they are empty or the
 * tick is full; what it has no room for waits in the kernel (syslog_source_has_more()).
 */
#pragma once

#include "probe/log/redact.h"
#include "probe/source/source.h"

extern const struct source source_syslog;

/* The key of what is masked (redact.h); before start(), which makes one for this run alone
 * where none was set. */
void syslog_source_set_key(void *state, const struct redact_key *key);
