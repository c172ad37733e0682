/* import_cut.c - see import_cut.h. */
#include "collector/ctl/import_cut.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/error.h"

/* As milliseconds these are days of 1970 to 1973: hardly meant; as seconds, 1973 to today and
 * on. */
#define SECONDS_FIRST INT64_C(100000000)
#define SECONDS_LAST  INT64_C(100000000000)

int import_cut_open(struct import_cut *cut, enum exposition_format format, bool is_sure,
                    const char *source, cut_send *send, void *context)
{
    *cut = (struct import_cut){.send = send, .context = context, .first_line = 1};
    cut->may_be_seconds = !is_sure && format == EXPOSITION_PROMETHEUS;
    cut->line = malloc(EXPOSITION_LINE_BYTES_MAX);
    if (cut->line == NULL)
        return ERR_NOMEM;
    exposition_init(&cut->parser, format, source, cut->line, EXPOSITION_LINE_BYTES_MAX);
    exposition_read_marks(&cut->parser);
    return 0;
}

void import_cut_close(struct import_cut *cut)
{
    free(cut->line);
    buf_done(&cut->text);
    buf_done(&cut->family);
}

static uint64_t count_lines(struct bytes text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count;
}

/* Sends whole lines up to `size`, keeps the rest for the next request. */
static int send(struct import_cut *cut, size_t size)
{
    bool is_openmetrics = cut->parser.format == EXPOSITION_OPENMETRICS;
    struct buf rest = {0};
    buf_put(&rest, cut->family.data, cut->family.size);
    buf_put(&rest, cut->text.data + size, cut->text.size - size);
    uint64_t last_line = exposition_line(&cut->parser) - cut->parser.is_inside;
    cut->text.size = size;
    if (is_openmetrics && !cut->parser.is_over)
        buf_put_text(&cut->text, "# EOF\n");
    int error = buf_ok(&cut->text) && buf_ok(&rest) ? 0 : ERR_NOMEM;
    if (error == 0 && cut->has_more)
        error = cut->send(cut->context, &(struct cut_request){
                                            .text = buf_bytes(&cut->text),
                                            .samples = cut->samples,
                                            .first_line = cut->first_line,
                                            .header_lines = cut->header_lines,
                                            .last_line = last_line,
                                        });
    buf_done(&cut->text);
    cut->text = rest;
    cut->event_at = cut->family.size;
    cut->header_lines = count_lines(buf_bytes(&cut->family));
    cut->first_line = last_line + 1;
    cut->samples = 0;
    cut->has_more = false;
    return error;
}

/* The lines that say something of the family at hand, to be repeated. */
static void keep_family(struct import_cut *cut, struct bytes before)
{
    struct bytes now = exposition_family(&cut->parser)->name;
    if (!bytes_equal(before, now))
        buf_clear(&cut->family);
    buf_put(&cut->family, cut->text.data + cut->event_at, cut->text.size - cut->event_at);
}

static int check_time(struct import_cut *cut, const struct exposition_sample *sample,
                      struct diagnosis *why)
{
    if (!cut->may_be_seconds || !sample->has_time || sample->time_ms < SECONDS_FIRST ||
        sample->time_ms > SECONDS_LAST)
        return 0;
    return diagnose(why, ERR_INVALID,
                    "%s:%" PRIu64 ": the timestamp %" PRId64
                    " looks like seconds, and Prometheus text has milliseconds: say --format "
                    "openmetrics if this is OpenMetrics, or --format prometheus if it is right",
                    cut->parser.source, exposition_line(&cut->parser), sample->time_ms);
}

static int take_event(struct import_cut *cut, int got, const struct exposition_sample *sample,
                      struct bytes family_before, struct diagnosis *why)
{
    int error = 0;
    cut->has_more = true;
    if (got == EXPOSITION_METADATA) {
        keep_family(cut, family_before);
    } else {
        error = check_time(cut, sample, why);
        cut->samples++;
        cut->all_samples++;
    }
    cut->event_at = cut->text.size;
    if (error == 0 && (cut->text.size >= CUT_BYTES || cut->samples >= CUT_SAMPLES))
        error = send(cut, cut->text.size);
    return error;
}

int import_cut_feed(struct import_cut *cut, struct bytes piece, struct diagnosis *why)
{
    struct exposition_sample sample;
    uint8_t name[NAME_BYTES_MAX];
    for (;;) {
        const uint8_t *from = piece.data;
        struct bytes before = exposition_family(&cut->parser)->name;
        if (before.size > 0)
            memcpy(name, before.data, before.size); /* the parser's own changes */
        int got = exposition_next(&cut->parser, &piece, &sample, why);
        if (got < 0)
            return got;
        if (piece.data > from)
            buf_put(&cut->text, from, (size_t)(piece.data - from));
        if (!buf_ok(&cut->text))
            return ERR_NOMEM;
        if (got == EXPOSITION_MORE)
            break;
        int error = take_event(cut, got, &sample, (struct bytes){name, before.size}, why);
        if (error != 0)
            return error;
    }
    /* Comments are no events: a text of nothing else must not pile up. */
    size_t inside = cut->parser.is_inside ? cut->parser.line_size : 0;
    return cut->text.size - inside >= CUT_BYTES ? send(cut, cut->text.size - inside) : 0;
}

int import_cut_end(struct import_cut *cut, struct diagnosis *why)
{
    struct exposition_sample sample;
    int got = 0;
    if (cut->parser.is_inside)
        buf_put_char(&cut->text, '\n');
    while ((got = exposition_end(&cut->parser, &sample, why)) != EXPOSITION_MORE) {
        if (got < 0)
            return got;
        int error = got == EXPOSITION_SAMPLE ? check_time(cut, &sample, why) : 0;
        if (error != 0)
            return error;
        cut->has_more = true;
        cut->samples += got == EXPOSITION_SAMPLE;
        cut->all_samples += got == EXPOSITION_SAMPLE;
    }
    return send(cut, cut->text.size);
}
