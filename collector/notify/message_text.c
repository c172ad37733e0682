/*
 * message_text.c - see message_text.h.
 */
#include "collector/notify/message_text.h"

#include <stdio.h>
#include <string.h>

#include "collector/notify/mail_text.h"
#include "collector/notify/passed.h"
#include "collector/notify/template_data.h"

#define SUBJECT_BYTES_MAX 400
#define PASSED_NAMED_MAX  ((size_t)5)
#define PASSED_NAME_BYTES ((size_t)120)

void message_put_subject(const struct message *message, struct buf *out)
{
    const struct labels *common = message->common_labels;
    struct bytes name = labels_get_text(common, "alertname");
    struct bytes where = labels_get_text(common, "instance");
    struct bytes summary = labels_get_text(message->common_annotations, "summary");

    buf_put_text(out, message_mark(message));
    message_put_incident(message, out);
    if (name.size > 0)
        buf_put(out, name.data, name.size);
    else
        buf_put_text(out, message->is_english ? "several alerts" : "多种告警");
    if (message->alert_count > 1)
        buf_printf(out, message->is_english ? " (%zu)" : "（%zu 项）", message->alert_count);
    if (where.size > 0) {
        buf_put_char(out, ' ');
        buf_put(out, where.data, where.size);
    }
    if (summary.size > 0 && summary.size < SUBJECT_BYTES_MAX) {
        buf_put_text(out, message->is_english ? ": " : "：");
        buf_put(out, summary.data, summary.size);
    }
}

static bool all_have(const struct message *message, enum alert_note note)
{
    for (size_t i = 0; i < message->alert_count; i++)
        if (message->alerts[i].note != note)
            return false;
    return message->alert_count > 0;
}

const char *message_mark(const struct message *message)
{
    const bool english = message->is_english;
    if (message->is_trial)
        return english ? "[Test] " : "【测试】";
    if (message->firing_count > 0 && all_have(message, ALERT_NOTE_FLAPPING))
        return english ? "[Flapping] " : "【抖动】";
    if (message->firing_count > 0)
        return english ? "[Alert] " : "【告警】";
    if (all_have(message, ALERT_NOTE_NO_DATA))
        return english ? "[No data] " : "【无数据】";
    return english ? "[Resolved] " : "【恢复】";
}

const char *message_alert_state(const struct message *message, const struct alert *alert)
{
    const bool english = message->is_english;
    switch (alert->note) {
    case ALERT_NOTE_STALE:
        return english ? "[data missing]" : "[数据中断]";
    case ALERT_NOTE_FLAPPING:
        return english ? "[flapping]" : "[抖动]";
    case ALERT_NOTE_NO_DATA:
        return english ? "[no data]" : "[无数据]";
    case ALERT_NOTE_NONE:
        break;
    }
    if (english)
        return alert->firing ? "[firing]" : "[resolved]";
    return alert->firing ? "[告警中]" : "[已恢复]";
}

const char *message_alert_end(const struct message *message, const struct alert *alert)
{
    if (message->is_english)
        return alert->note == ALERT_NOTE_NO_DATA ? "ended (no data)" : "resolved";
    return alert->note == ALERT_NOTE_NO_DATA ? "终止（无数据）" : "恢复";
}

void message_put_incident(const struct message *message, struct buf *out)
{
    if (message->incident != 0)
        buf_printf(out, message->is_english ? "incident %llu " : "事件%llu ",
                   (unsigned long long)message->incident);
}

void message_put_severity(const struct message *message, struct bytes severity, struct buf *out)
{
    static const struct {
        const char *name, *chinese;
    } words[] = {{"critical", "严重"}, {"warning", "警告"}, {"info", "提示"}};

    for (size_t i = 0; !message->is_english && i < sizeof words / sizeof words[0]; i++) {
        if (bytes_equal(severity, bytes_of(words[i].name))) {
            buf_put_text(out, words[i].chinese);
            return;
        }
    }
    if (severity.size == 0)
        buf_put_text(out, message->is_english ? "unrated" : "未分级");
    else
        message_put_line(severity, 64, out);
}

static void put_passed_names(const struct message *message, struct buf *out)
{
    const struct passed_line *line = message->passed;
    const bool english = message->is_english;
    size_t named = line->count < PASSED_NAMED_MAX ? line->count : PASSED_NAMED_MAX;

    buf_put_text(out, english ? ": " : "：");
    for (size_t i = 0; i < named; i++) {
        const struct passed_alert *alert = &line->alerts[i];
        char from[MESSAGE_TIME_BYTES], to[MESSAGE_TIME_BYTES];
        if (i > 0)
            buf_put_text(out, english ? ", " : "；");
        message_put_line(bytes_of(alert->name), PASSED_NAME_BYTES, out);
        if (alert->instance[0] != '\0')
            buf_put_char(out, ' ');
        message_put_line(bytes_of(alert->instance), PASSED_NAME_BYTES, out);
        buf_printf(out, english ? " (%s to %s)" : "（%s 至 %s）",
                   message_short_time(alert->starts_ms, from),
                   message_short_time(alert->ends_ms, to));
    }
    if (named < line->count)
        buf_put_text(out, english ? ", and others: see the console" : "；等，详见控制台");
}

void message_put_passed(const struct message *message, bool tells_all, struct buf *out)
{
    if (message->passed == NULL || message->passed->count == 0)
        return;
    buf_printf(out,
               message->is_english ? "[Past] began and ended while the collector was down: %zu"
                                   : "【补记】停机期间起止的告警 %zu 项",
               message->passed->count);
    if (tells_all)
        put_passed_names(message, out);
    buf_put_char(out, '\n');
}

void message_put_line(struct bytes text, size_t limit, struct buf *out)
{
    size_t end = text.size < limit ? text.size : limit;
    while (end > 0 && end < text.size && (text.data[end] & 0xC0) == 0x80)
        end--;
    for (size_t i = 0; i < end; i++) {
        uint8_t c = text.data[i];
        buf_put_u8(out, c < 0x20 || c == 0x7f ? ' ' : c);
    }
    if (end < text.size)
        buf_put_text(out, "…");
}

static void put_template(const struct message *message, const char *text, bool is_html,
                         struct buf *out)
{
    struct diagnosis why = {0};
    size_t before = out->size;
    if (template_data_expand(message, text, is_html, out, &why) == 0)
        return;
    out->size = before;
    if (message->template_errors != NULL)
        ++*message->template_errors;
    buf_printf(out, is_html ? "&lt;error expanding template: %s&gt;"
                            : "<error expanding template: %s>",
               why.text);
}

void message_put_template(const struct message *message, const char *text, struct buf *out)
{
    put_template(message, text, false, out);
}

void message_put_page(const struct message *message, const char *text, struct buf *out)
{
    put_template(message, text, true, out);
}

const char *message_short_time(int64_t ts_ms, char text[MESSAGE_TIME_BYTES])
{
    char whole[MAIL_DATE_BYTES];
    const char *after_year = strchr(mail_local_time(ts_ms, whole), '-');
    (void)snprintf(text, MESSAGE_TIME_BYTES, "%.31s", after_year != NULL ? after_year + 1 : "");
    return text;
}
