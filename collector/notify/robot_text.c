/*
 * robot_text.c - see robot_text.h.
 */
#include "collector/notify/robot_text.h"

#include <inttypes.h>
#include <string.h>

#include "collector/notify/message_text.h"
#include "collector/notify/template_data.h"
#include "proto/base/error.h"

#define HEAD_BYTES_MAX ((size_t)64)  /* of a joined message's first line */
#define LINE_BYTES_MAX ((size_t)600) /* of a summary: one alert must not fill the message */

static void put_number(const struct message *message, const struct alert *alert,
                       struct buf *out)
{
    buf_printf(out, "%s %08" PRIx32, message->is_english ? "no." : "编号",
               (uint32_t)(alert->fingerprint >> 32));
}

static void put_alias(const struct robot_words *words, const struct alert *alert,
                      struct buf *out)
{
    struct bytes alias = labels_get_text(alert->labels, words->alias_label);
    if (alias.size == 0)
        return;
    buf_put_char(out, ' ');
    message_put_line(alias, LINE_BYTES_MAX, out);
}

/* "严重 申报系统 编号 1a2b3c4d": nothing that an outsider must not read. */
static void put_tag(const struct robot_words *words, const struct message *message,
                    const struct alert *alert, struct buf *out)
{
    message_put_severity(message, labels_get_text(alert->labels, "severity"), out);
    if (!words->is_terse)
        put_alias(words, alert, out);
    buf_put_char(out, ' ');
    put_number(message, alert, out);
    if (words->is_terse)
        put_alias(words, alert, out);
    buf_put_char(out, '\n');
}

static void put_outside(const struct robot_words *words, const struct message *message,
                        const struct alert *alert, struct buf *out)
{
    buf_printf(out, "%s ", message_alert_state(message, alert));
    put_tag(words, message, alert, out);
}

static void put_inside(const struct message *message, const struct alert *alert,
                       struct buf *out)
{
    struct bytes summary = labels_get_text(alert->annotations, "summary");
    struct bytes where = labels_get_text(alert->labels, "instance");
    buf_printf(out, "%s ", message_alert_state(message, alert));
    if (summary.size > 0) {
        message_put_line(summary, LINE_BYTES_MAX, out);
        return;
    }
    message_put_line(labels_get_text(alert->labels, "alertname"), LINE_BYTES_MAX, out);
    if (where.size > 0) {
        buf_put_char(out, ' ');
        message_put_line(where, LINE_BYTES_MAX, out);
    }
}

static void put_alert(const struct robot_words *words, const struct message *message,
                      const struct alert *alert, size_t number, struct buf *out)
{
    char time[MESSAGE_TIME_BYTES];
    const bool english = message->is_english;

    buf_printf(out, "%zu. ", number);
    if (!words->tells_all) {
        put_outside(words, message, alert, out);
        return;
    }
    put_inside(message, alert, out);
    buf_put_text(out, "\n   ");
    message_put_severity(message, labels_get_text(alert->labels, "severity"), out);
    buf_printf(out, english ? ", since %s" : "，%s 起",
               message_short_time(alert->starts_ms, time));
    if (!alert->firing && english)
        buf_printf(out, ", %s %s", message_alert_end(message, alert),
                   message_short_time(alert->ends_ms, time));
    else if (!alert->firing)
        buf_printf(out, "，%s %s", message_short_time(alert->ends_ms, time),
                   message_alert_end(message, alert));
    buf_put_text(out, english ? ", " : "，");
    put_number(message, alert, out);
    buf_put_char(out, '\n');
}

static void put_head(const struct robot_words *words, const struct message *message,
                     struct buf *out)
{
    if (words->tells_all) {
        message_put_subject(message, out);
    } else {
        buf_put_text(out, message_mark(message));
        message_put_incident(message, out);
        buf_printf(out, message->is_english ? "%zu" : "%zu 项", message->alert_count);
    }
    buf_put_char(out, '\n');
}

/* The gravest's severity and number, and how many there are. */
static void put_terse_head(const struct message *message, struct buf *out)
{
    const struct alert *gravest = &message->alerts[0];
    for (size_t i = message->alert_count; i-- > 0;)
        if (bytes_equal(labels_get_text(message->alerts[i].labels, "severity"),
                        bytes_of("critical")))
            gravest = &message->alerts[i];
    buf_put_text(out, message_mark(message));
    message_put_incident(message, out);
    message_put_severity(message, labels_get_text(gravest->labels, "severity"), out);
    buf_put_char(out, ' ');
    put_number(message, gravest, out);
    if (message->alert_count > 1)
        buf_printf(out, message->is_english ? ", %zu in all" : " 等 %zu 项",
                   message->alert_count);
    buf_put_char(out, '\n');
}

static void put_text(const struct robot_words *words, const struct message *message,
                     struct buf *out)
{
    if (words->is_terse && !words->tells_all && message->alert_count == 1) {
        buf_put_text(out, message_mark(message));
        message_put_incident(message, out);
        put_tag(words, message, &message->alerts[0], out);
        return;
    }
    if (words->is_terse && words->tells_all)
        put_terse_head(message, out);
    else
        put_head(words, message, out);
    for (size_t i = 0; i < message->alert_count; i++)
        put_alert(words, message, &message->alerts[i], i + 1, out);
    if (words->tells_all && message->acknowledge_url != NULL)
        buf_printf(out, message->is_english ? "Acknowledge: %s\n" : "认领：%s\n",
                   message->acknowledge_url);
    if (words->tells_all && message->external_url[0] != '\0')
        buf_printf(out, message->is_english ? "Console: %s\n" : "控制台：%s\n",
                   message->external_url);
}

static void put_digest(const struct robot_words *words, const struct message *message,
                       struct buf *out)
{
    for (size_t i = 0; i < message->alert_count; i++) {
        const struct alert *alert = &message->alerts[i];
        message_put_incident(message, out);
        if (!words->tells_all) {
            put_outside(words, message, alert, out);
            continue;
        }
        put_inside(message, alert, out);
        buf_put_text(out, message->is_english ? ", " : "，");
        put_number(message, alert, out);
        buf_put_char(out, '\n');
    }
    message_put_passed(message, words->tells_all, out);
}

int robot_text_compose(const struct robot_words *words, const struct message *message,
                       struct buf *body)
{
    struct buf digest = {0}, text = {0};

    put_digest(words, message, &digest);
    if (words->text != NULL)
        message_put_template(message, words->text, &text);
    else
        put_text(words, message, &text);
    if (message->passed != NULL && text.size > 0 && text.data[text.size - 1] != '\n')
        buf_put_char(&text, '\n');
    message_put_passed(message, words->tells_all, &text);
    buf_put_sized(body, buf_bytes(&digest));
    buf_put_sized(body, buf_bytes(&text));
    if (!buf_ok(&digest) || !buf_ok(&text))
        body->failed = true;
    buf_done(&digest);
    buf_done(&text);
    return buf_ok(body) ? 0 : ERR_NOMEM;
}

size_t robot_text_fit(const struct bytes *bodies, size_t count, size_t limit)
{
    size_t fit = 0, size = HEAD_BYTES_MAX;
    while (fit < count) {
        struct reader reader = reader_of(bodies[fit]);
        size += reader_sized(&reader).size;
        if (size > limit && fit > 0)
            break;
        fit++;
    }
    return fit;
}

/* At most `limit` bytes, whole lines where there are some, never half a character. */
static void put_cut(const struct robot_words *words, struct bytes text, size_t limit,
                    struct buf *out)
{
    const char *note = words->is_english ? "... (more: see the console)" : "……（未完，详见控制台）";
    size_t room = limit - strlen(note), end;

    if (text.size <= limit) {
        buf_put(out, text.data, text.size);
        return;
    }
    end = room;
    while (end > 0 && text.data[end - 1] != '\n')
        end--;
    if (end == 0)
        for (end = room; end > 0 && (text.data[end] & 0xC0) == 0x80;)
            end--;
    buf_put(out, text.data, end);
    buf_put_text(out, note);
}

int robot_text_join(const struct robot_words *words, const struct bytes *bodies, size_t count,
                    size_t limit, struct buf *out)
{
    struct buf whole = {0};
    bool is_broken = false;

    if (count > 1)
        buf_printf(&whole, words->is_english ? "[Digest] %zu messages\n" : "【汇总】%zu 条通知\n",
                   count);
    for (size_t i = 0; i < count; i++) {
        struct reader reader = reader_of(bodies[i]);
        struct bytes digest = reader_sized(&reader), text = reader_sized(&reader);
        is_broken = is_broken || reader.failed;
        buf_put(&whole, count > 1 ? digest.data : text.data,
                count > 1 ? digest.size : text.size);
    }
    put_cut(words, buf_bytes(&whole), limit, out);
    if (!buf_ok(&whole))
        out->failed = true;
    buf_done(&whole);
    if (is_broken)
        return ERR_CORRUPT;
    return buf_ok(out) ? 0 : ERR_NOMEM;
}
