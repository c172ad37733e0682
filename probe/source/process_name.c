/*
 * process_name.c - names of process groups from templates (process_name.h).
 */
#include "probe/source/process_name.h"

#include <string.h>

#include "probe/source/scan.h"
#include "proto/base/error.h"

#define MATCH_BYTES_MAX 64

enum variable { COMM, EXE_BASE, EXE_FULL, USERNAME, CGROUP, MATCHES, VARIABLES };

static const struct {
    const char *text;
    unsigned facts;
} variables[VARIABLES] = {
    {".Comm", 0},
    {".ExeBase", FACT_COMMAND_LINE},
    {".ExeFull", FACT_COMMAND_LINE},
    {".Username", FACT_USER},
    {".Cgroup", FACT_CGROUP},
    {".Matches.", FACT_COMMAND_LINE},
};

/* Takes "{{.Comm}}" at the front.  Returns the variable, or -1; ret_match gets the name after
 * ".Matches.". */
static int take_variable(struct span *text, char match[MATCH_BYTES_MAX])
{
    struct span rest = *text;
    if (!scan_text(&rest, "{{"))
        return -1;
    const char *end = memmem(rest.at, span_size(rest), "}}", 2);
    if (end == NULL)
        return -1;
    struct span word = span_trim((struct span){rest.at, end});
    for (int i = 0; i < VARIABLES; i++) {
        struct span tail = word;
        if (!scan_text(&tail, variables[i].text))
            continue;
        size_t size = span_size(tail);
        if (i == MATCHES ? size == 0 || size >= MATCH_BYTES_MAX : size != 0)
            continue;
        memcpy(match, tail.at, size);
        match[size] = '\0';
        text->at = end + 2;
        return i;
    }
    return -1;
}

int name_template_check(const char *template, unsigned *ret_facts, struct diagnosis *why)
{
    struct span text = span_text(template);
    char match[MATCH_BYTES_MAX];
    if (span_size(text) == 0)
        return diagnose(why, ERR_INVALID, "the name is empty");
    while (text.at < text.end) {
        if (!scan_text(&(struct span){text.at, text.end}, "{{")) {
            text.at++;
            continue;
        }
        int variable = take_variable(&text, match);
        if (variable < 0)
            return diagnose(why, ERR_INVALID,
                            "unknown variable at \"%.24s\" (known: {{.Comm}} {{.ExeBase}} "
                            "{{.ExeFull}} {{.Username}} {{.Cgroup}} {{.Matches.NAME}})",
                            text.at);
        *ret_facts |= variables[variable].facts;
    }
    return 0;
}

static struct bytes exe_full(const struct process_facts *facts)
{
    return facts->first_argument.size > 0 ? facts->first_argument : facts->comm;
}

static struct bytes exe_base(const struct process_facts *facts)
{
    struct bytes full = exe_full(facts);
    const uint8_t *slash = full.size > 0 ? memrchr(full.data, '/', full.size) : NULL;
    if (slash == NULL)
        return full;
    return (struct bytes){slash + 1, (size_t)(full.data + full.size - slash - 1)};
}

size_t name_template_expand(const char *template, const struct process_facts *facts,
                            const struct pattern *match, char out[GROUP_NAME_BYTES_MAX])
{
    struct span text = span_text(template);
    char capture[MATCH_BYTES_MAX];
    size_t size = 0;
    while (text.at < text.end && size < GROUP_NAME_BYTES_MAX) {
        struct bytes value = {0};
        switch (take_variable(&text, capture)) {
        case COMM:
            value = facts->comm;
            break;
        case EXE_BASE:
            value = exe_base(facts);
            break;
        case EXE_FULL:
            value = exe_full(facts);
            break;
        case USERNAME:
            value = facts->user;
            break;
        case CGROUP:
            value = facts->cgroup;
            break;
        case MATCHES:
            if (match != NULL)
                value = pattern_capture(match, facts->command_line, capture);
            break;
        default:
            out[size++] = *text.at++;
            continue;
        }
        size += text_clean(value, out + size, GROUP_NAME_BYTES_MAX - size);
    }
    return size;
}
