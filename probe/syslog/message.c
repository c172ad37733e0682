/*
 * message.c - see message.h.
 */
#include "probe/syslog/message.h"

#include <stdbool.h>
#include <string.h>

#define PRIORITY_MAX 191

static struct bytes from(struct bytes text, size_t at)
{
    return (struct bytes){text.data + at, text.size - at};
}

/* "<PRI>", one to three digits.  Returns its size, 0 without one. */
static size_t priority(struct bytes raw, uint32_t *ret_severity)
{
    unsigned number = 0;
    size_t at = 1;
    if (raw.size < 3 || raw.data[0] != '<')
        return 0;
    while (at < raw.size && at <= 3 && raw.data[at] >= '0' && raw.data[at] <= '9')
        number = number * 10 + (unsigned)(raw.data[at++] - '0');
    if (at == 1 || at >= raw.size || raw.data[at] != '>' || number > PRIORITY_MAX)
        return 0;
    *ret_severity = number % 8 + 1;
    return at + 1;
}

/* The header's version: "1 " and to come, "12 ". */
static size_t version(struct bytes text)
{
    size_t at = 0;
    while (at < text.size && at < 3 && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at > 0 && text.data[0] != '0' && at < text.size && text.data[at] == ' ' ? at + 1 : 0;
}

static struct bytes without_end(struct bytes text)
{
    while (text.size > 0 &&
           (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r' ||
            text.data[text.size - 1] == '\0'))
        text.size--;
    return text;
}

struct syslog_message syslog_message_read(struct bytes raw)
{
    struct syslog_message message = {0};
    struct bytes text = without_end(raw);
    size_t size = priority(text, &message.severity);
    text = from(text, size);
    if (size > 0)
        text = from(text, version(text));
    message.text = text;
    for (size_t i = 1; size > 0 && i + 3 <= text.size; i++) {
        if (memcmp(text.data + i, "\xef\xbb\xbf", 3) != 0 || text.data[i - 1] != ' ')
            continue;
        message.text.size = i;
        message.rest = from(text, i + 3);
        break;
    }
    return message;
}
