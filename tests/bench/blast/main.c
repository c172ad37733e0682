/*
 * main.c - blast: replays frame files against an HTTP ingest endpoint, and says how fast that
 * went.
 *
 *     blast -u HOST:PORT/PATH -m rw|rw2|text|json [-w STEPS] [-r SAMPLES_PER_S]
 *           [-f FIRST_STEP] [-t LAST_STEP+1] FILE...
 *
 * A thread and a keep-alive connection a file, one request in flight on each.  No file runs
 * more than -w steps ahead of the slowest.  A request counts as accepted once a 2xx answer has
 * been read whole.  On a lost connection the file stops; what it had under way is told apart.
 * Result: one line of JSON.  Exit code 2 if the server never answered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/must.h"
#include "tests/bench/blast/sender.h"

static int read_url(const char *url, struct sending *sending)
{
    const char *colon = strchr(url, ':'), *slash = strchr(url, '/');
    if (colon == NULL || slash == NULL || slash < colon ||
        (size_t)(colon - url) >= sizeof sending->host || strlen(slash) >= sizeof sending->path)
        return -1;
    memcpy(sending->host, url, (size_t)(colon - url));
    memcpy(sending->path, slash, strlen(slash) + 1);
    sending->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return sending->port == 0 ? -1 : 0;
}

static int read_arguments(int argc, char **argv, struct sending *sending)
{
    int flag;
    while ((flag = getopt(argc, argv, "u:m:w:r:f:t:")) != -1) {
        switch (flag) {
        case 'u':
            if (read_url(optarg, sending) != 0)
                return -1;
            break;
        case 'm':
            sending->mode = optarg;
            break;
        case 'w':
            sending->steps_ahead = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            sending->samples_per_second = strtod(optarg, NULL);
            break;
        case 'f':
            sending->first_step = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 't':
            sending->end_step = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            return -1;
        }
    }
    return sending->port == 0 || optind == argc ? -1 : 0;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void put_text(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        (void)putchar(c < 32 || c == '"' || c == '\\' ? ' ' : c);
    }
}

/* Prints the result; returns how many requests were answered. */
static uint64_t print(const struct sending *sending, double wall_seconds)
{
    struct sender sum = {0};
    const char *trouble = "";
    int lost = 0;
    size_t count = 0;
    for (size_t i = 0; i < sending->sender_count; i++)
        count += sending->senders[i].latency_count;
    float *latencies = calloc(count + 1, sizeof *latencies);
    must(latencies != NULL);
    for (size_t i = 0; i < sending->sender_count; i++) {
        const struct sender *sender = &sending->senders[i];
        if (sender->latency_count > 0)
            memcpy(latencies + sum.latency_count, sender->latencies_ms,
                   sender->latency_count * sizeof *latencies);
        sum.latency_count += sender->latency_count;
        sum.samples += sender->samples;
        sum.requests += sender->requests;
        sum.bytes += sender->bytes;
        sum.refused += sender->refused;
        sum.samples_under_way += sender->samples_under_way;
        lost += sender->lost ? 1 : 0;
        if (sender->trouble[0] != '\0') {
            trouble = sender->trouble;
            sum.last_code = sender->last_code;
        }
    }
    qsort(latencies, count, sizeof *latencies, compare_floats);
    (void)printf(
        "{\"samples\":%llu,\"requests\":%llu,\"bytes\":%llu,\"wall_s\":%.3f,"
        "\"sender_cpu_s\":%.3f,\"samples_per_s\":%.0f,\"bad\":%llu,\"bad_code\":%d,\"lost\":%d,"
        "\"inflight\":%llu,\"lat_p50_ms\":%.3f,\"lat_p99_ms\":%.3f,\"lat_max_ms\":%.3f,"
        "\"err\":\"",
        (unsigned long long)sum.samples, (unsigned long long)sum.requests,
        (unsigned long long)sum.bytes, wall_seconds, cpu_seconds(),
        (double)sum.samples / wall_seconds, (unsigned long long)sum.refused, sum.last_code,
        lost, (unsigned long long)sum.samples_under_way,
        count > 0 ? (double)latencies[count / 2] : 0,
        count > 0 ? (double)latencies[(size_t)((double)count * 0.99)] : 0,
        count > 0 ? (double)latencies[count - 1] : 0);
    put_text(trouble);
    (void)puts("\"}");
    free(latencies);
    return sum.requests;
}

int main(int argc, char **argv)
{
    struct sending sending = {.mode = "rw", .steps_ahead = 8, .end_step = UINT32_MAX};
    struct diagnosis why = {0};

    if (read_arguments(argc, argv, &sending) != 0) {
        (void)fprintf(stderr, "usage: blast -u HOST:PORT/PATH -m rw|rw2|text|json FILE...\n");
        return 1;
    }
    double started = sender_clock();
    if (sending_run(&sending, argv + optind, (size_t)(argc - optind), &why) != 0) {
        (void)fprintf(stderr, "blast: %s\n", why.text);
        return 1;
    }
    uint64_t answered = print(&sending, sender_clock() - started);
    sending_done(&sending);
    return answered == 0 ? 2 : 0;
}
