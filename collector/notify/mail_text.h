/*
 * mail_text.h - RFC 5322 pieces: encoded words, base64 bodies, dates, address lists.
 *
 * Any thread.
 */
#pragma once

#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"

/* A header "Name: value\r\n"; a value that is not plain ASCII becomes RFC 2047 words (UTF-8,
 * base64, at most 75 characters each, never cutting a character), folded.  Line breaks in the
 * value become blanks. */
void mail_put_header(struct buf *out, const char *name, struct bytes value);

/* The same for a list of addresses: only the names become RFC 2047 words, for an address must
 * stand there as it is. */
void mail_put_addresses(struct buf *out, const char *name, const char *list);

/* Base64 in lines of 76, each ended by CRLF. */
void mail_put_base64(struct buf *out, struct bytes bytes);

/* "Mon, 23 Nov 2026 14:40:56 +0800"; Beijing time. */
#define MAIL_DATE_BYTES 64
const char *mail_date(int64_t ts_ms, char text[MAIL_DATE_BYTES]);
/* "2026-11-23 14:40:56"; Beijing time (UTC+8, without summer time since 1991). */
const char *mail_local_time(int64_t ts_ms, char text[MAIL_DATE_BYTES]);

/* The next bare address of a list like "A <a@b>, c@d", without brackets; an empty run at the
 * end.  *at moves on. */
struct bytes mail_next_address(const char **at);
