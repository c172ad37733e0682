/*
 * channel_email.c - a mail in Chinese, or English, over SMTP.
 *
 *     Subject: 【告警】HostCpuHigh（2 项）web01        (RFC 2047)
 *     text/plain; charset=UTF-8; base64: what, where, since when, value, labels, annotations
 *
 * The Message-ID is made of the message's stable id, so what a retry delivers twice is one mail
 * for any client that cares; what follows a beginning refers to it (In-Reply-To).  Only the 250
 * after DATA accepts; 4yz answers and broken links are tried again soon, 5yz at the slowest
 * pace.
 *
 * Recipients are judged one by one, by the server's answers to their RCPT.  One that is refused
 * for good (5yz) does not stop the mail to the others; it is named in the verdict.  One that is
 * refused for now (4yz: greylisting, a full mailbox) is tried again, alone, while what comes
 * later goes on to the others.
 *
 *     progress   n times: sized address that has the mail, or never will
 *
 *  STARTTLS is demanded when require_tls says so
 * (port 465 speaks TLS from the first byte), and not tried otherwise.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/channel.h"
#include "collector/client/http_tls.h"
#include "collector/notify/mail_text.h"
#include "collector/notify/message_text.h"
#include "collector/notify/template.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define MAIL_ALERTS_MAX  200 /* written out; the rest are counted */
#define SECRET_BYTES_MAX ((size_t)4096)
#define REFUSAL_BYTES    ((size_t)200)
#define ENVELOPE         "X-Envelope-To: "

/* ---- what the mail says ------------------------------------------------------------------ */

/* What the mail says in one of two languages. */
enum word { SUMMARY, DESCRIPTION, WHERE, SEVERITY, LABELS, ANNOTATIONS, VALUE, SEE, CONSOLE, GROUP };

static const char *word(const struct message *message, enum word which)
{
    static const char *const words[][2] = {
        [SUMMARY] = {"内容：", "What: "},
        [DESCRIPTION] = {"说明：", "Description: "},
        [WHERE] = {"位置：", "Where: "},
        [SEVERITY] = {"级别：", "Severity: "},
        [LABELS] = {"标签：", "Labels:"},
        [ANNOTATIONS] = {"注释：", "Annotations:"},
        [VALUE] = {"当前值：", "Value: "},
        [SEE] = {"查看：", "See: "},
        [CONSOLE] = {"控制台：", "Console: "},
        [GROUP] = {"分组：", "Group: "},
    };
    return words[which][message->is_english];
}

static void put_pairs(struct buf *out, const char *title, const struct labels *labels)
{
    if (labels->count == 0)
        return;
    buf_printf(out, "%s\n", title);
    for (size_t i = 0; i < labels->count; i++) {
        buf_put_text(out, "    ");
        buf_put(out, labels->pairs[i].name.data, labels->pairs[i].name.size);
        buf_put_text(out, " = ");
        buf_put(out, labels->pairs[i].value.data, labels->pairs[i].value.size);
        buf_put_char(out, '\n');
    }
}

static void put_field(struct buf *out, const char *title, struct bytes value)
{
    if (value.size == 0)
        return;
    buf_put_text(out, title);
    buf_put(out, value.data, value.size);
    buf_put_char(out, '\n');
}

static void put_alert(const struct message *message, const struct alert *alert, size_t number,
                      struct buf *out)
{
    char time[MAIL_DATE_BYTES], value[VALUE_NUMBER_BYTES];
    const bool english = message->is_english;

    buf_printf(out, "%zu. %s ", number, message_alert_state(message, alert));
    buf_put(out, labels_get_text(alert->labels, "alertname").data,
            labels_get_text(alert->labels, "alertname").size);
    buf_put_char(out, '\n');
    put_field(out, word(message, SUMMARY), labels_get_text(alert->annotations, "summary"));
    put_field(out, word(message, DESCRIPTION),
              labels_get_text(alert->annotations, "description"));
    put_field(out, word(message, WHERE), labels_get_text(alert->labels, "instance"));
    put_field(out, word(message, SEVERITY), labels_get_text(alert->labels, "severity"));
    buf_printf(out, english ? "Began: %s (Beijing time)\n" : "开始时间：%s（北京时间）\n",
               mail_local_time(alert->starts_ms, time));
    if (!alert->firing)
        buf_printf(out, english ? "%s: %s (Beijing time)\n" : "%s时间：%s（北京时间）\n",
                   message_alert_end(message, alert), mail_local_time(alert->ends_ms, time));
    if (!alert->external && !alert->is_ruleless) /* only rules give one */
        buf_printf(out, "%s%s\n", word(message, VALUE),
                   template_value_number_text(alert->value, value));
    put_pairs(out, word(message, LABELS), alert->labels);
    put_pairs(out, word(message, ANNOTATIONS), alert->annotations);
    if (alert->generator_url != NULL && alert->generator_url[0] != '\0')
        buf_printf(out, "%s%s\n", word(message, SEE), alert->generator_url);
    buf_put_char(out, '\n');
}

static void put_own_text(const struct message *message, struct buf *out)
{
    const bool english = message->is_english;
    size_t shown =
        message->alert_count < MAIL_ALERTS_MAX ? message->alert_count : MAIL_ALERTS_MAX;
    buf_printf(out,
               english ? "Fengsui: %zu firing, %zu resolved.\n\n"
                       : "烽燧监控：%zu 项告警中，%zu 项已恢复。\n\n",
               message->firing_count, message->alert_count - message->firing_count);
    if (message->acknowledge_url != NULL)
        buf_printf(out,
                   english ? "Acknowledge this incident (open, then confirm): %s\n\n"
                           : "认领此事件（打开后再点一次确认）：%s\n\n",
                   message->acknowledge_url);
    for (size_t i = 0; i < shown; i++)
        put_alert(message, &message->alerts[i], i + 1, out);
    if (shown < message->alert_count)
        buf_printf(out, english ? "Not listed: %zu more.\n\n" : "另有 %zu 项未列出。\n\n",
                   message->alert_count - shown);
    if (message->external_url[0] != '\0')
        buf_printf(out, "%s%s\n", word(message, CONSOLE), message->external_url);
    buf_printf(out, "%s%s\n", word(message, GROUP), message->group_key);
}

/* A line of ours below whatever text the mail has. */
static void put_passed(const struct message *message, bool is_page, struct buf *out)
{
    struct buf line = {0};
    message_put_passed(message, true, &line);
    if (line.size > 0 && is_page) {
        buf_put_text(out, "\n<p>");
        for (size_t i = 0; i < line.size; i++) {
            const char c = (char)line.data[i];
            if (c == '<' || c == '>' || c == '&')
                buf_put_text(out, c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;");
            else
                buf_put_char(out, c);
        }
        buf_put_text(out, "</p>\n");
    } else if (line.size > 0) {
        if (out->size > 0 && out->data[out->size - 1] != '\n')
            buf_put_char(out, '\n');
        buf_put(out, line.data, line.size);
    }
    if (!buf_ok(&line))
        out->failed = true;
    buf_done(&line);
}

static const char *header_template(const struct email_settings *email, const char *name)
{
    for (size_t i = 0; i < email->header_count; i++)
        if (strcasecmp(email->headers[i].name, name) == 0)
            return email->headers[i].value;
    return NULL;
}

static bool is_own_header(const char *name)
{
    static const char *const own[] = {
        "Subject",     "From",         "To",           "Date",
        "Message-ID",  "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
        "In-Reply-To", "References"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcasecmp(name, own[i]) == 0)
            return true;
    return false;
}

/* What a mail belongs to: the one that told the beginning; or the incident, which begins for
 * each person with another mail. */
static void put_thread(const struct message *message, struct buf *body)
{
    char thread[64] = "";
    if (message->reply_to != NULL)
        (void)snprintf(thread, sizeof thread, "<%s@fengsui>", message->reply_to);
    else if (message->incident != 0)
        (void)snprintf(thread, sizeof thread, "<incident-%" PRIu64 "@fengsui>",
                       message->incident);
    if (thread[0] != '\0')
        buf_printf(body, "In-Reply-To: %s\r\nReferences: %s\r\n", thread, thread);
}

static void put_headers(const struct email_settings *email, const struct message *message,
                        struct buf *body)
{
    static const char *const addressed[] = {"From", "To"};
    char date[MAIL_DATE_BYTES];
    struct buf text = {0};
    const char *subject = header_template(email, "Subject");

    for (size_t i = 0; i < 2; i++) {
        const char *given = header_template(email, addressed[i]);
        buf_clear(&text);
        message_put_template(message,
                             given != NULL ? given
                             : i == 0      ? email->from
                                           : email->to,
                             &text);
        mail_put_addresses(body, addressed[i], buf_text(&text));
    }
    buf_clear(&text);
    if (subject != NULL)
        message_put_template(message, subject, &text);
    else
        message_put_subject(message, &text);
    mail_put_header(body, "Subject", buf_bytes(&text));
    buf_printf(body, "Date: %s\r\n", mail_date(message->now_ms, date));
    buf_printf(body, "Message-ID: <%s@fengsui>\r\n", message->id);
    put_thread(message, body);
    for (size_t i = 0; i < email->header_count; i++) {
        if (is_own_header(email->headers[i].name))
            continue;
        buf_clear(&text);
        message_put_template(message, email->headers[i].value, &text);
        mail_put_header(body, email->headers[i].name, buf_bytes(&text));
    }
    if (!buf_ok(&text))
        body->failed = true;
    buf_done(&text);
}

static void put_part(struct buf *body, const char *type, struct buf *content)
{
    buf_printf(body,
               "Content-Type: text/%s; charset=UTF-8\r\n"
               "Content-Transfer-Encoding: base64\r\n\r\n",
               type);
    mail_put_base64(body, buf_bytes(content));
    if (!buf_ok(content))
        body->failed = true;
    buf_done(content);
}

/* Whom a template names is known here alone: a line in front of the mail, which is not sent. */
static void put_envelope(const struct email_settings *email, const struct message *message,
                         struct buf *body)
{
    struct buf to = {0};
    if (strstr(email->to, "{{") == NULL)
        return;
    message_put_template(message, email->to, &to);
    buf_put_text(body, ENVELOPE);
    for (size_t i = 0; i < to.size; i++)
        buf_put_u8(body, to.data[i] < ' ' ? ' ' : to.data[i]);
    buf_put_text(body, "\r\n");
    if (!buf_ok(&to))
        body->failed = true;
    buf_done(&to);
}

static int email_compose(const void *settings, const struct message *message, struct buf *body)
{
    const struct email_settings *email = settings;
    struct buf text = {0}, page = {0};

    put_envelope(email, message, body);
    put_headers(email, message, body);
    buf_put_text(body, "MIME-Version: 1.0\r\n");
    if (email->text != NULL)
        message_put_template(message, email->text, &text);
    else
        put_own_text(message, &text);
    put_passed(message, false, &text);
    if (email->html == NULL) {
        put_part(body, "plain", &text);
        return buf_ok(body) ? 0 : ERR_NOMEM;
    }
    /* The better form comes last; '=' and '_' stand in no base64 line start, so no part ends
     * early. */
    buf_printf(body, "Content-Type: multipart/alternative; boundary=\"=_%s\"\r\n\r\n--=_%s\r\n",
               message->id, message->id);
    put_part(body, "plain", &text);
    buf_printf(body, "\r\n--=_%s\r\n", message->id);
    message_put_page(message, email->html, &page);
    put_passed(message, true, &page);
    put_part(body, "html", &page);
    buf_printf(body, "\r\n--=_%s--\r\n", message->id);
    return buf_ok(body) ? 0 : ERR_NOMEM;
}

/* ---- how it is sent ---------------------------------------------------------------------- */

static size_t give_body(char *room, size_t size, size_t count, void *context)
{
    struct client_request *request = context;
    size_t left = request->body.size - request->body_sent, space = size * count;
    size_t bytes = left < space ? left : space;
    memcpy(room, request->body.data + request->body_sent, bytes);
    request->body_sent += bytes;
    return bytes;
}

/* The server's lines, one a call: the last refusal is kept for the diagnosis. */
static size_t keep_refusal(char *line, size_t size, size_t count, void *context)
{
    struct client_request *request = context;
    size_t bytes = size * count;
    if (bytes > 3 && (line[0] == '4' || line[0] == '5')) {
        size_t shown = bytes < REFUSAL_BYTES ? bytes : REFUSAL_BYTES;
        buf_clear(&request->answer);
        buf_put(&request->answer, line, shown);
    }
    return bytes;
}

/* Notes the answer to each RCPT, in order: 2, 4 or 5; 0 while there is none. */
static int watch_recipients(CURL *easy, curl_infotype type, char *data, size_t size,
                            void *context)
{
    struct client_request *request = context;
    struct buf *note = &request->note;
    (void)easy;

    if (type == CURLINFO_HEADER_OUT && size > 4 && strncasecmp(data, "RCPT", 4) == 0)
        buf_put_u8(note, 0);
    else if (type == CURLINFO_HEADER_IN && size > 3 && data[3] != '-' && note->size > 0 &&
             note->data[note->size - 1] == 0 && data[0] >= '2' && data[0] <= '5')
        note->data[note->size - 1] = (uint8_t)(data[0] - '0');
    return 0;
}

static bool is_settled(struct bytes progress, struct bytes address)
{
    struct reader reader = reader_of(progress);
    while (!reader.failed && reader_left(&reader) > 0)
        if (bytes_equal(reader_sized(&reader), address))
            return true;
    return false;
}

/* Those who do not have it yet; if that is nobody (the list has changed meanwhile), all. */
static int list_recipients(const char *to_list, struct bytes progress,
                           struct curl_slist **recipients)
{
    struct buf word = {0};
    struct bytes to;
    int error = 0;

    while (error == 0 && (to = mail_next_address(&to_list)).size > 0) {
        struct curl_slist *longer;
        if (is_settled(progress, to))
            continue;
        buf_clear(&word);
        buf_printf(&word, "<%.*s>", (int)to.size, (const char *)to.data);
        longer = buf_ok(&word) ? curl_slist_append(*recipients, buf_text(&word)) : NULL;
        error = longer == NULL ? ERR_NOMEM : 0;
        if (longer != NULL)
            *recipients = longer;
    }
    buf_done(&word);
    return error;
}

/* The line in front of the mail, if there is one, taken off what is sent; else `to`. */
static int take_recipients(const struct email_settings *email, struct client_request *request,
                           const char **ret_to)
{
    const size_t mark = strlen(ENVELOPE);
    const uint8_t *end;

    *ret_to = email->to;
    if (request->body.size < mark || memcmp(request->body.data, ENVELOPE, mark) != 0)
        return 0;
    end = memchr(request->body.data, '\r', request->body.size);
    if (end == NULL)
        return ERR_CORRUPT;
    request->text = strndup((const char *)request->body.data + mark,
                            (size_t)(end - request->body.data) - mark);
    *ret_to = request->text;
    request->body = (struct bytes){
        end + 2, request->body.size - (size_t)(end + 2 - request->body.data)};
    return request->text == NULL ? ERR_NOMEM : 0;
}

static int set_addresses(const struct email_settings *email, CURL *easy,
                         struct client_request *request, const char *to,
                         struct diagnosis *why)
{
    const char *from_list = email->from;
    struct bytes from = mail_next_address(&from_list);
    struct buf word = {0};
    int error;

    buf_printf(&word, "<%.*s>", (int)from.size, (const char *)from.data);
    (void)curl_easy_setopt(easy, CURLOPT_MAIL_FROM, buf_text(&word));
    error = buf_ok(&word) ? 0 : ERR_NOMEM;
    buf_done(&word);
    if (error == 0)
        error = list_recipients(to, request->progress, &request->recipients);
    if (error == 0 && request->recipients == NULL)
        error = list_recipients(to, (struct bytes){0}, &request->recipients);
    if (error == 0 && request->recipients == NULL)
        error = diagnose(why, ERR_INVALID, "to names nobody");
    (void)curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, request->recipients);
    (void)curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, keep_refusal);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, watch_recipients);
    (void)curl_easy_setopt(easy, CURLOPT_DEBUGDATA, request);
    return error;
}

static int set_security(const struct email_settings *email, CURL *easy, bool implicit_tls,
                        struct client_request *request, struct diagnosis *why)
{
    (void)curl_easy_setopt(
        easy, CURLOPT_USE_SSL,
        (long)(email->require_tls || implicit_tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    int error = http_tls_set(&email->tls, easy, request);
    if (error != 0 || email->username == NULL)
        return error;
    if (email->password == NULL && email->password_file != NULL) {
        error = file_read_secret(email->password_file, SECRET_BYTES_MAX, &request->secret, why);
        if (error != 0)
            return error;
    }
    (void)curl_easy_setopt(easy, CURLOPT_USERNAME, email->username);
    (void)curl_easy_setopt(easy, CURLOPT_PASSWORD,
                           email->password != NULL   ? email->password
                           : request->secret != NULL ? request->secret
                           : email->secret != NULL   ? email->secret
                                                     : "");
    /* A secret alone never crosses the wire: CRAM-MD5 or no mail. */
    if (email->password == NULL && request->secret == NULL && email->secret != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS, "AUTH=CRAM-MD5");
    if (email->identity != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_SASL_AUTHZID, email->identity);
    return 0;
}

static int email_prepare(const void *settings, CURL *easy, struct client_request *request,
                         struct diagnosis *why)
{
    const struct email_settings *email = settings;
    bool implicit_tls = strcmp(strrchr(email->smarthost, ':'), ":465") == 0;
    const char *to = email->to;
    struct buf url = {0};
    int error = take_recipients(email, request, &to);

    if (error != 0)
        return error;
    buf_printf(&url, "%s://%s/%s", implicit_tls ? "smtps" : "smtp", email->smarthost,
               email->hello);
    error = buf_ok(&url) ? http_tls_set_url(&email->tls, easy, buf_text(&url), request)
                         : ERR_NOMEM;
    buf_done(&url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.size);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)email->timeout_ms);
    if (error == 0)
        error = set_addresses(email, easy, request, to, why);
    if (error == 0)
        error = set_security(email, easy, implicit_tls, request, why);
    return error;
}

/* How the recipients of this try fared. */
struct recipients {
    size_t told, refused, put_off;
};

/* Counts them, and keeps who need not be tried again; `is_sent`: the mail itself was taken. */
static struct recipients sort_recipients(const struct client_request *request, bool is_sent,
                                         struct buf *kept)
{
    struct recipients found = {0};
    size_t i = 0;

    buf_put(kept, request->progress.data, request->progress.size);
    for (const struct curl_slist *at = request->recipients; at != NULL; at = at->next, i++) {
        uint8_t answer = i < request->note.size ? request->note.data[i] : is_sent ? 2 : 0;
        size_t size = strlen(at->data);
        found.told += is_sent && answer == 2;
        found.refused += answer == 5;
        found.put_off += answer == 4;
        if (answer == 5 || (is_sent && answer == 2))
            buf_put_sized(kept, (struct bytes){(const uint8_t *)at->data + 1, size - 2});
    }
    return found;
}

static void email_judge(const void *settings, CURL *easy, CURLcode result,
                        struct client_request *request, struct client_verdict *ret_verdict)
{
    struct client_verdict verdict = {0};
    struct bytes refusal = buf_bytes(&request->answer);
    struct buf *kept = &request->kept;
    struct recipients found;
    long code = 0;
    (void)settings;

    while (refusal.size > 0 && refusal.data[refusal.size - 1] <= ' ')
        refusal.size--;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    found = sort_recipients(request, result == CURLE_OK && code / 100 == 2, kept);
    /* Those whom an earlier try told have it, whatever became of the rest. */
    verdict.yields = found.told > 0 || request->progress.size > 0;
    verdict.accepted = found.put_off == 0 && found.told > 0;
    if (found.told == 0 && found.put_off == 0 && found.refused > 0)
        verdict.accepted = request->progress.size > 0; /* the last of them never will */
    if (verdict.accepted && refusal.size > 0) {
        (void)diagnose(&verdict.why, ERR_REFUSED, "the server refused a part: %.*s",
                       (int)refusal.size, (const char *)refusal.data);
    } else if (!verdict.accepted && found.told > 0) {
        verdict.recoverable = true;
        (void)diagnose(&verdict.why, ERR_AGAIN, "SMTP: not to all yet: %.*s", (int)refusal.size,
                       (const char *)refusal.data);
    } else if (!verdict.accepted) {
        verdict.recoverable = code / 100 != 5 || found.put_off > 0;
        if (found.told == 0 && request->progress.size == 0)
            buf_clear(kept); /* nobody has it: a later try may find even the refused */
        (void)diagnose(&verdict.why, ERR_IO, "SMTP: %s (last answer %ld)%s%.*s",
                       curl_easy_strerror(result), code, refusal.size > 0 ? ": " : "",
                       (int)refusal.size, (const char *)refusal.data);
    }
    *ret_verdict = verdict;
}

const struct channel channel_email = {
    .name = "email",
    .compose = email_compose,
    .prepare = email_prepare,
    .judge = email_judge,
};
