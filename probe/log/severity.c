/*
 * severity.c - see severity.h.
 */
#include "probe/log/severity.h"

#include <stdbool.h>
#include <strings.h>

enum { UNKNOWN, EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG };

struct word {
    const char *text;
    uint32_t severity;
};

static const struct word latin[] = {
    {"EMERG", EMERGENCY}, {"EMERGENCY", EMERGENCY}, {"PANIC", EMERGENCY},  {"ALERT", ALERT},
    {"CRIT", CRITICAL},   {"CRITICAL", CRITICAL},   {"FATAL", CRITICAL},   {"SEVERE", ERROR},
    {"ERROR", ERROR},     {"ERR", ERROR},           {"WARN", WARNING},     {"WARNING", WARNING},
    {"NOTICE", NOTICE},   {"INFO", INFO},           {"INFORMATION", INFO}, {"DEBUG", DEBUG},
    {"TRACE", DEBUG},     {"FINE", DEBUG},
};

/* Chinese is written without spaces: these count wherever they stand. */
static const struct word chinese[] = {
    {"致命", CRITICAL}, {"严重", CRITICAL}, {"错误", ERROR}, {"异常", ERROR},
    {"警告", WARNING},  {"告警", WARNING},  {"信息", INFO},  {"调试", DEBUG},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

const char *severity_name(uint32_t severity)
{
    static const char *const texts[SEVERITY_COUNT] = {"unknown",  "emergency", "alert",
                                                      "critical", "error",     "warning",
                                                      "notice",   "info",      "debug"};
    return severity < SEVERITY_COUNT ? texts[severity] : texts[0];
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_word_part(uint8_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
}

/* "<13>": facility * 8 + severity. */
static uint32_t priority_of(struct bytes text)
{
    uint32_t number = 0;
    size_t at = 1;
    if (text.size < 3 || text.data[0] != '<')
        return UNKNOWN;
    while (at < text.size && at < 4 && text.data[at] >= '0' && text.data[at] <= '9')
        number = number * 10 + (uint32_t)(text.data[at++] - '0');
    if (at == 1 || at == text.size || text.data[at] != '>' || number > 191)
        return UNKNOWN;
    return (number & 7) + 1;
}

static uint32_t latin_word(const uint8_t *word, size_t size)
{
    for (size_t i = 0; i < COUNT(latin); i++)
        if (((uint8_t)latin[i].text[0] | 0x20) == (word[0] | 0x20) && /* most words end here */
            strlen(latin[i].text) == size &&
            strncasecmp(latin[i].text, (const char *)word, size) == 0)
            return latin[i].severity;
    return UNKNOWN;
}

static uint32_t chinese_word(const uint8_t *at, size_t left)
{
    for (size_t i = 0; i < COUNT(chinese); i++) {
        size_t size = strlen(chinese[i].text);
        if (size <= left && memcmp(chinese[i].text, at, size) == 0)
            return chinese[i].severity;
    }
    return UNKNOWN;
}

uint32_t severity_of(struct bytes text)
{
    uint32_t severity = priority_of(text);
    size_t end = text.size < SEVERITY_LOOK_BYTES ? text.size : SEVERITY_LOOK_BYTES;
    size_t at = 0;
    while (severity == UNKNOWN && at < end) {
        if (text.data[at] >= 0x80) {
            severity = chinese_word(text.data + at, end - at);
            at++;
        } else if (is_word_part(text.data[at])) {
            size_t start = at;
            while (at < end && is_word_part(text.data[at]))
                at++;
            severity = latin_word(text.data + start, at - start);
        } else {
            at++;
        }
    }
    return severity;
}
