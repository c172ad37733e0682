/*
 * fuzz_jobs.c - jobs.yml is taken or refused with a reason; what it expects comes after any
 * time and is found again looking back; a job's row reads back as it was, whatever the row
 * says.
 */
#include <stdint.h>
#include <string.h>

#include "collector/jobs/job_row.h"
#include "collector/jobs/jobs_file.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1795892400000)
#define ROUNDS 20

static void check_schedule(const struct job_spec *spec)
{
    int64_t at_ms = NOW_MS;
    for (int i = 0; i < 3 && at_ms != SCHEDULE_NEVER; i++) {
        const int64_t next_ms = schedule_next(&spec->schedule, &workdays_plain, at_ms);
        must(next_ms > at_ms);
        must(next_ms == SCHEDULE_NEVER || !spec->schedule.has_cron ||
             schedule_last(&spec->schedule, &workdays_plain, next_ms) == next_ms);
        at_ms = next_ms;
    }
}

static void check_row(const struct job_state *state, const struct labels *labels)
{
    struct buf first = {0}, second = {0};
    struct job_state back;
    const struct labels *read;
    job_row_write(state, labels, &first);
    must(job_row_read(buf_bytes(&first), &back, &read) == 0);
    job_row_write(&back, read, &second);
    must(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    labels_free(read);
    buf_done(&first);
    buf_done(&second);
}

/* Its life goes on from deadline to deadline, and each brings something new. */
static void check_life(const struct jobs_entry *entry)
{
    struct job_state state;
    const struct job_ping start = {JOB_START, "r", -1, -1, -1, ""};
    int64_t at_ms = NOW_MS;
    job_begin(&entry->spec, &state, at_ms);
    for (int i = 0; i < ROUNDS; i++) {
        at_ms = job_next_look(&entry->spec, &workdays_plain, &state);
        if (at_ms > NOW_MS * 2)
            break;
        must(job_look(&entry->spec, &workdays_plain, &state, at_ms));
        must(!job_look(&entry->spec, &workdays_plain, &state, at_ms));
        must(!job_is_well(&state));
    }
    (void)job_ping(&entry->spec, &workdays_plain, &state, &start, NOW_MS);
    check_row(&state, entry->labels);
}

static void check_file(struct bytes text)
{
    struct jobs_file *file = NULL;
    struct diagnosis why = {0};
    int error = jobs_file_parse("jobs.yml", text, &file, &why);
    must((error == 0) == (file != NULL));
    must(error == 0 || why.text[0] != '\0');
    for (size_t i = 0; file != NULL && i < jobs_file_count(file); i++) {
        check_schedule(&jobs_file_entry(file, i)->spec);
        check_life(jobs_file_entry(file, i));
    }
    jobs_file_free(file);
}

/* The first byte says what the rest is: a row, a crontab line, or, with all of it, jobs.yml. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct job_state state;
    const struct labels *labels;
    char line[128];
    if (size > 0 && data[0] == 0x01) {
        if (job_row_read((struct bytes){data, size}, &state, &labels) != 0)
            return 0;
        check_row(&state, labels);
        labels_free(labels);
        return 0;
    }
    if (size > 0 && data[0] == '!' && size < sizeof line) {
        struct job_spec spec = {.schedule = {.has_cron = true}};
        struct diagnosis why = {0};
        memcpy(line, data + 1, size - 1);
        line[size - 1] = '\0';
        if (cron_parse(line, &spec.schedule.cron, &why) == 0)
            check_schedule(&spec);
        else
            must(why.text[0] != '\0');
        return 0;
    }
    check_file((struct bytes){data, size});
    return 0;
}
