/*
 * robot_text.h - what a message says in a chat: short, in Chinese (or English: message_text.h),
 * and no more than may be told.
 *
 *     full                                     number (default: the room is outside the house)
 *     【告警】HostCpuHigh（2 项）                【告警】2 项
 *     1. [告警中] web01 的 CPU 使用率 97%         1. [告警中] 严重 申报系统 编号 1a2b3c4d
 *        严重，11-28 23:12:01 起，编号 1a2b3c4d
 *     控制台：https://...
 *
 * A text message begins with what matters most, for its first part may be all that arrives:
 *
 *     full                                     number
 *     【告警】严重 编号 1a2b3c4d 等 2 项         【告警】严重 编号 1a2b3c4d 申报系统
 *     1. [告警中] web01 的 CPU 使用率 97%
 *     ...
 *
 * What came and went unseen (passed.h) is a last line: "【补记】停机期间起止的告警 2 项", in full with
 * names and times.
 *
 * The number is the first eight digits of the alert's fingerprint: what the console and
 * fengsuictl call it.  Where messages come faster than a room takes them, several are told in
 * one, a line an alert.
 *
 *     body   sized digest (its lines) | sized text
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>

#include "collector/notify/channel.h"

struct robot_words {
    bool is_terse;  /* severity and number first, as in a text message */
    bool is_english; /* of what is made without a message: the joint of several */
    bool tells_all; /* names, summaries, links: the room is as trusted as the console */
    const char
        *alias_label;      /* the label that says which system, in words meant for outsiders */
    const char *text;      /* a template over the message, only with tells_all; NULL: our own */
    size_t text_bytes_max; /* of one message, as the service counts them */
};

/* Appends the body to store.  0, ERR_NOMEM. */
int robot_text_compose(const struct robot_words *words, const struct message *message,
                       struct buf *body);

/* How many of these bodies, from the first on, fit into one message of at most `limit` bytes;
 * at least one, for a body alone is cut to fit. */
size_t robot_text_fit(const struct bytes *bodies, size_t count, size_t limit);

/* The text of one message made of `count` bodies (1: the whole text; more: their digests), cut
 * at the end of a line where it is longer than `limit`.  ERR_CORRUPT, ERR_NOMEM. */
int robot_text_join(const struct robot_words *words, const struct bytes *bodies, size_t count,
                    size_t limit, struct buf *out);
