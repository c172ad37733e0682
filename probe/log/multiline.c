/*
 * multiline.c - see multiline.h.
 */
#include "probe/log/multiline.h"

#include "proto/wire/plain.h"

/* An event being put together. */
struct draft {
    uint8_t *text;
    size_t room;
    size_t size;
    size_t lines;
    uint32_t flags;
};

static struct bytes rest_of(const struct cutter *cutter, size_t from)
{
    return (struct bytes){cutter->run.data + from, cutter->run.size - from};
}

/* Passes what is left of an overlong line; false: its end is not in the run. */
static bool skip_line(struct cutter *cutter)
{
    struct bytes rest = rest_of(cutter, cutter->at);
    size_t newline = log_newline_find(cutter->encoding, rest);
    size_t size = log_newline_size(cutter->encoding);
    if (newline < rest.size) {
        cutter->at += newline + size;
        cutter->skipping = false;
        return true;
    }
    /* Half a unit of UTF-16 stays for the next run. */
    cutter->at += cutter->is_last ? rest.size : rest.size - rest.size % size;
    return false;
}

/* Decodes a raw line behind what the draft holds; returns its size there. */
static size_t draft_line(const struct cutter *cutter, struct draft *draft, struct bytes raw,
                         size_t *ret_start, uint32_t *ret_flags)
{
    size_t start = draft->size;
    *ret_flags = 0;
    if (draft->lines > 0) {
        if (draft->room - start < 1) {
            *ret_flags = LOG_LINE_CUT;
            *ret_start = start;
            return 0;
        }
        draft->text[start++] = '\n';
    }
    struct decoded decoded =
        decode_line(cutter->encoding, raw, draft->text + start, draft->room - start);
    if (decoded.replaced)
        *ret_flags |= LOG_LINE_REPLACED;
    if (decoded.cut)
        *ret_flags |= LOG_LINE_CUT;
    *ret_start = start;
    return decoded.size;
}

static bool finish(struct cutter *cutter, const struct draft *draft, size_t end,
                   struct log_event *ret_event)
{
    *ret_event = (struct log_event){.start = cutter->at,
                                    .end = end,
                                    .text_bytes = draft->size,
                                    .flags = draft->flags |
                                             (draft->lines > 1 ? (uint32_t)LOG_LINE_MULTI : 0)};
    cutter->at = end;
    return true;
}

/* The run ends without a newline after `from`: is there an event nevertheless? */
static bool cut_at_end(struct cutter *cutter, struct draft *draft, size_t from,
                       struct log_event *ret_event)
{
    if (draft->lines > 0 && ((cutter->is_idle && from == cutter->run.size) || cutter->is_last))
        return finish(cutter, draft, from, ret_event);
    if (!cutter->is_full || cutter->at > 0)
        return false;
    if (draft->lines > 0) {
        draft->flags |= LOG_LINE_CUT;
        return finish(cutter, draft, from, ret_event);
    }
    size_t start;
    uint32_t flags;
    struct bytes raw = rest_of(cutter, from);
    raw.size = log_whole_characters(cutter->encoding, raw);
    if (raw.size == 0)
        return false;
    size_t end = from + raw.size;
    draft->size = draft_line(cutter, draft, raw, &start, &flags);
    draft->flags = flags | LOG_LINE_CUT;
    cutter->skipping = true;
    return finish(cutter, draft, end, ret_event);
}

bool cutter_next(struct cutter *cutter, uint8_t *text, size_t room, struct log_event *ret_event)
{
    if (cutter->skipping && !skip_line(cutter))
        return false;
    struct draft draft = {.text = text, .room = room};
    size_t at = cutter->at;
    for (;;) {
        struct bytes rest = rest_of(cutter, at);
        size_t size = log_newline_find(cutter->encoding, rest);
        size_t next = at + size + log_newline_size(cutter->encoding);
        if (size == rest.size) {
            if (!cutter->is_last || rest.size == 0)
                return cut_at_end(cutter, &draft, at, ret_event);
            next = cutter->run.size;
        }
        size_t start;
        uint32_t flags;
        struct bytes raw = {rest.data, size};
        size_t text_bytes = draft_line(cutter, &draft, raw, &start, &flags);
        struct bytes line = {text + start, text_bytes};
        if (draft.lines > 0 && pattern_matches(cutter->first_line, line))
            return finish(cutter, &draft, at, ret_event);
        if (draft.lines > 0 && (flags & LOG_LINE_CUT) != 0) {
            /* No room for this line: it begins an event of its own. */
            draft.flags |= LOG_LINE_CUT;
            return finish(cutter, &draft, at, ret_event);
        }
        draft.size = start + text_bytes;
        draft.flags |= flags;
        draft.lines++;
        at = next;
        if (cutter->first_line == NULL)
            return finish(cutter, &draft, at, ret_event);
        if (draft.lines == MULTILINE_LINES_MAX) {
            draft.flags |= LOG_LINE_CUT;
            return finish(cutter, &draft, at, ret_event);
        }
    }
}
