/*
 * process_parse.c - the files below /proc/PID (process_parse.h).
 */
#include "probe/source/process_parse.h"

/* Fields of /proc/PID/stat after the command, counted from the state as 0 (man 5 proc counts
 * the pid as 1 and the state as 3). */
enum stat_field {
    FIELD_PARENT = 1,
    FIELD_FLAGS = 6,
    FIELD_MINOR_FAULTS = 7,
    FIELD_MAJOR_FAULTS = 9,
    FIELD_USER_TICKS = 11,
    FIELD_SYSTEM_TICKS = 12,
    FIELD_CHILD_USER = 13,
    FIELD_CHILD_SYSTEM = 14,
    FIELD_THREADS = 17,
    FIELD_START = 19,
    FIELD_VIRTUAL = 20,
    FIELD_RESIDENT = 21,
    FIELDS_NEEDED = 22
};

bool process_stat_parse(struct span text, struct process_stat *ret_stat)
{
    struct process_stat stat = {0};
    uint64_t fields[FIELDS_NEEDED] = {0};
    uint64_t pid;
    if (!scan_u64(&text, &pid) || pid == 0 || pid > INT32_MAX || !scan_char(&text, '('))
        return false;
    const char *end = memrchr(text.at, ')', span_size(text));
    if (end == NULL)
        return false;
    stat.pid = (uint32_t)pid;
    stat.comm = (struct span){text.at, end};
    text.at = end + 1;

    struct span state;
    if (!scan_word(&text, &state) || span_size(state) != 1)
        return false;
    stat.state = *state.at;
    for (size_t i = 1; i < FIELDS_NEEDED; i++) {
        int64_t number;
        /* Most are unsigned 64-bit numbers, a few (tty, nice) may be negative. */
        if (!scan_u64(&text, &fields[i]) && !scan_i64(&text, &number))
            return false;
    }
    stat.flags = fields[FIELD_FLAGS];
    stat.minor_faults = fields[FIELD_MINOR_FAULTS];
    stat.major_faults = fields[FIELD_MAJOR_FAULTS];
    stat.user_ticks = fields[FIELD_USER_TICKS];
    stat.system_ticks = fields[FIELD_SYSTEM_TICKS];
    stat.child_user_ticks = fields[FIELD_CHILD_USER];
    stat.child_system_ticks = fields[FIELD_CHILD_SYSTEM];
    stat.parent = (uint32_t)fields[FIELD_PARENT];
    stat.threads = fields[FIELD_THREADS];
    stat.start_ticks = fields[FIELD_START];
    stat.virtual_bytes = fields[FIELD_VIRTUAL];
    stat.resident_pages = fields[FIELD_RESIDENT];
    *ret_stat = stat;
    return true;
}

void process_status_parse(struct span text, struct process_status *ret_status)
{
    struct process_status status = {0};
    struct span line;
    uint64_t number;
    bool has_voluntary = false;
    while (scan_line(&text, &line)) {
        if (scan_text(&line, "VmSwap:")) {
            status.has_swap = scan_u64(&line, &status.swap_kb);
        } else if (scan_text(&line, "Uid:")) {
            if (scan_u64(&line, &number) && scan_u64(&line, &number) && number <= UINT32_MAX) {
                status.user = (uint32_t)number;
                status.has_user = true;
            }
        } else if (scan_text(&line, "voluntary_ctxt_switches:")) {
            has_voluntary = scan_u64(&line, &status.voluntary);
        } else if (scan_text(&line, "nonvoluntary_ctxt_switches:")) {
            status.has_switches = scan_u64(&line, &status.nonvoluntary) && has_voluntary;
        }
    }
    *ret_status = status;
}

bool process_io_parse(struct span text, uint64_t *ret_read_bytes, uint64_t *ret_write_bytes)
{
    struct span line;
    uint64_t read_bytes = 0, write_bytes = 0;
    bool has_read = false, has_write = false;
    while (scan_line(&text, &line)) {
        if (scan_text(&line, "read_bytes:"))
            has_read = scan_u64(&line, &read_bytes);
        else if (scan_text(&line, "write_bytes:"))
            has_write = scan_u64(&line, &write_bytes);
    }
    if (!has_read || !has_write)
        return false;
    *ret_read_bytes = read_bytes;
    *ret_write_bytes = write_bytes;
    return true;
}

bool process_limits_parse(struct span text, uint32_t *ret_files)
{
    struct span line, word;
    uint64_t number;
    while (scan_line(&text, &line)) {
        if (!scan_text(&line, "Max open files"))
            continue;
        if (scan_u64(&line, &number)) {
            *ret_files = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
            return true;
        }
        if (scan_word(&line, &word) && span_is(word, "unlimited")) {
            *ret_files = UINT32_MAX;
            return true;
        }
        return false;
    }
    return false;
}

bool process_smaps_parse(struct span text, uint64_t *ret_pss_kb, uint64_t *ret_swap_pss_kb)
{
    struct span line;
    uint64_t pss_kb = 0, swap_pss_kb = 0;
    bool has_pss = false;
    while (scan_line(&text, &line)) {
        if (scan_text(&line, "Pss:"))
            has_pss = scan_u64(&line, &pss_kb);
        else if (scan_text(&line, "SwapPss:"))
            (void)scan_u64(&line, &swap_pss_kb);
    }
    if (!has_pss)
        return false;
    *ret_pss_kb = pss_kb;
    *ret_swap_pss_kb = swap_pss_kb;
    return true;
}

bool process_cgroup_parse(struct span text, struct span *ret_path)
{
    struct span line;
    int best = 0; /* 1 any, 2 systemd's, 3 unified */
    while (scan_line(&text, &line)) {
        const char *first = memchr(line.at, ':', span_size(line));
        if (first == NULL)
            continue;
        const char *second = memchr(first + 1, ':', (size_t)(line.end - first - 1));
        if (second == NULL)
            continue;
        struct span controllers = {first + 1, second};
        int rank = span_size(controllers) == 0            ? 3
                   : span_is(controllers, "name=systemd") ? 2
                                                          : 1;
        if (rank <= best)
            continue;
        best = rank;
        *ret_path = (struct span){second + 1, line.end};
    }
    return best > 0;
}
