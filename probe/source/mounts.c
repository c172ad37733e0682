/*
 * mounts.c - one line of /proc/mounts (mounts.h).
 */
#include "probe/source/mounts.h"

static bool take(struct span *line, char text[MOUNT_TEXT_BYTES_MAX], size_t *ret_size)
{
    struct span word;
    if (!scan_word(line, &word) || span_size(word) >= MOUNT_TEXT_BYTES_MAX)
        return false;
    *ret_size = text_unescape_octal(span_bytes(word), text);
    text[*ret_size] = '\0';
    return true;
}

static bool has_option(struct span options, const char *wanted)
{
    while (options.at < options.end) {
        const char *comma = memchr(options.at, ',', span_size(options));
        struct span option = {options.at, comma != NULL ? comma : options.end};
        if (span_is(option, wanted))
            return true;
        options.at = comma != NULL ? comma + 1 : options.end;
    }
    return false;
}

bool mount_parse(struct span line, struct mount_line *ret_mount)
{
    struct span options;
    if (!take(&line, ret_mount->device, &ret_mount->device_size) ||
        !take(&line, ret_mount->point, &ret_mount->point_size) ||
        !take(&line, ret_mount->type, &ret_mount->type_size) || !scan_word(&line, &options))
        return false;
    ret_mount->is_readonly = has_option(options, "ro");
    return true;
}
