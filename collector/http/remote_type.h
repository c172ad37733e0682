/*
 * remote_type.h - which message a Content-Type announces.
 *
 *     application/x-protobuf                                        1.0
 *     application/x-protobuf;proto=prometheus.WriteRequest          1.0
 *     application/x-protobuf;proto=io.prometheus.write.v2.Request   2.0
 *
 * Read as RFC 9110 has it: names and the media type in any case, blanks around the semicolon, the
 * value quoted or not, other parameters passed by.
 *
 * Threads: any.
 */
#pragma once

enum remote_type { REMOTE_NONE, REMOTE_V1, REMOTE_V2 };

/* No header at all ("") means 1.0: curl and old senders. */
enum remote_type remote_type_of(const char *content_type);
