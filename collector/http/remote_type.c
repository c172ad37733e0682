/* remote_type.c - see remote_type.h. */
#include "collector/http/remote_type.h"

#include <string.h>
#include <strings.h>

#include "proto/base/bytes.h"

#define MEDIA "application/x-protobuf"

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

static enum remote_type type_of_message(struct bytes name)
{
    if (bytes_equal(name, bytes_of("prometheus.WriteRequest")))
        return REMOTE_V1;
    return bytes_equal(name, bytes_of("io.prometheus.write.v2.Request")) ? REMOTE_V2
                                                                         : REMOTE_NONE;
}

/* Reads a parameter's value and moves *at behind it; false: it does not end. */
static bool read_value(const char **at, struct bytes *ret_value)
{
    const char *from = *at;
    if (*from != '"') {
        size_t size = strcspn(from, "; \t");
        *ret_value = (struct bytes){(const uint8_t *)from, size};
        *at = from + size;
        return true;
    }
    size_t size = strcspn(from + 1, "\"");
    *ret_value = (struct bytes){(const uint8_t *)from + 1, size};
    *at = from + 1 + size;
    if (**at != '"')
        return false;
    (*at)++;
    return true;
}

enum remote_type remote_type_of(const char *content_type)
{
    const char *at = content_type;
    enum remote_type type = REMOTE_V1;
    if (*at == '\0')
        return type;
    if (strncasecmp(at, MEDIA, sizeof MEDIA - 1) != 0)
        return REMOTE_NONE;
    at = skip_blanks(at + sizeof MEDIA - 1);
    while (*at == ';') {
        struct bytes value;
        at = skip_blanks(at + 1);
        size_t name_size = strcspn(at, "=; \t");
        const char *name = at;
        at += name_size;
        if (*at != '=') { /* an empty parameter, as RFC 9110 lets be */
            at = skip_blanks(at);
            continue;
        }
        at++;
        if (!read_value(&at, &value))
            return REMOTE_NONE;
        if (name_size == 5 && strncasecmp(name, "proto", 5) == 0)
            type = type_of_message(value);
        at = skip_blanks(at);
    }
    return *at == '\0' ? type : REMOTE_NONE;
}
