/*
 * message_text.h - the words that mails and chats share: Chinese, or English where
 * message->is_english (global.language of alerting.yml).
 *
 * Any thread.
 */
#pragma once

#include "collector/notify/channel.h"

/* "【告警】", "【恢复】" or "【测试】"; "【抖动】" and "【无数据】" where all of it is so. */
const char *message_mark(const struct message *message);

/* "[告警中]", "[已恢复]"; "[数据中断]", "[抖动]" while it fires, "[无数据]" when it ended so. */
const char *message_alert_state(const struct message *message, const struct alert *alert);
/* How it ended: "恢复", or "终止（无数据）". */
const char *message_alert_end(const struct message *message, const struct alert *alert);

/* One line that says what it is about: "【告警】HostCpuHigh（2 项）web01：CPU 使用率 97%". */
void message_put_subject(const struct message *message, struct buf *out);

/* "事件17 "; nothing where there is none. */
void message_put_incident(const struct message *message, struct buf *out);
/* "严重" for critical, "警告" for warning, "提示" for info; another word as it is; "未分级" if
 * there is none.  In English the word itself, or "unrated". */
void message_put_severity(const struct message *message, struct bytes severity, struct buf *out);

/* A line of what began and ended while nobody looked (passed.h), with its end; nothing where there
 * is none.  `tells_all`: with names and times, else how many. */
void message_put_passed(const struct message *message, bool tells_all, struct buf *out);

/* `text` as one line: control characters become blanks; past `limit` bytes cut between
 * characters, with "…". */
void message_put_line(struct bytes text, size_t limit, struct buf *out);

/* A user's template over the message; an error in it is counted and stands in its place, for
 * the message must still go. */
void message_put_template(const struct message *message, const char *text, struct buf *out);
/* The same for a page: what actions print is escaped. */
void message_put_page(const struct message *message, const char *text, struct buf *out);

/* "11-28 23:12:01", Beijing time (UTC+8). */
#define MESSAGE_TIME_BYTES 32
const char *message_short_time(int64_t ts_ms, char text[MESSAGE_TIME_BYTES]);
