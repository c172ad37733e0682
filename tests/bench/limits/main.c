/*
 * main.c - what this machine can do at most of what ingest needs: copy, sync, decrypt.
 *
 *     limits [-d FOLDER] [-j]
 *
 * Three figures, each the median of several rounds, for the tables of report.py:
 *
 *     memcpy       bytes of processor time a second, 64 MiB to 64 MiB: more than any cache
 *     fdatasync    of 4 KiB appended to a file of FOLDER (where the stores write): ms, p50, p99
 *     decryption   of CURVE's boxes (XSalsa20-Poly1305 with a known key, what libzmq calls for
 *                  each message): bytes of processor time a second, messages of 1 and of 16 KiB
 *
 * Exit codes: 0 fine, 1 failed, 2 unusable arguments.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COPY_BYTES  ((size_t)64 << 20)
#define COPY_ROUNDS 9
#define SYNC_BYTES  4096
#define SYNC_ROUNDS 200
#define BOX_ROUNDS  9
#define BOX_BYTES   ((size_t)32 << 20) /* a round */
#define BOX_MOST    ((size_t)16 << 10)
#define PATH_BYTES  4096

struct limits {
    double copy_bytes_per_s;
    double sync_p50_ms, sync_p99_ms;
    double box_small_bytes_per_s, box_large_bytes_per_s;
};

static double seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at(double *values, size_t count, double part)
{
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)((double)(count - 1) * part)];
}

static bool measure_copy(struct limits *limits)
{
    double rounds[COPY_ROUNDS];
    char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    bool ok = from != NULL && to != NULL;
    if (ok) {
        memset(from, 1, COPY_BYTES);
        memset(to, 2, COPY_BYTES); /* both are there before the clock starts */
    }
    for (size_t i = 0; ok && i < COPY_ROUNDS; i++) {
        double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        from[i] = (char)i;
        memcpy(to, from, COPY_BYTES);
        rounds[i] = (double)COPY_BYTES / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
        ok = to[i] == (char)i;
    }
    if (ok)
        limits->copy_bytes_per_s = at(rounds, COPY_ROUNDS, 0.5);
    free(from);
    free(to);
    return ok;
}

static bool measure_sync(struct limits *limits, const char *folder)
{
    static const char page[SYNC_BYTES] = "fengsui";
    double rounds[SYNC_ROUNDS];
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/limits.XXXXXX", folder);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    int file = mkstemp(path);
    bool ok = file >= 0;
    for (size_t i = 0; ok && i < SYNC_ROUNDS; i++) {
        double start = seconds(CLOCK_MONOTONIC);
        ok = write(file, page, sizeof page) == (ssize_t)sizeof page && fdatasync(file) == 0;
        rounds[i] = (seconds(CLOCK_MONOTONIC) - start) * 1e3;
    }
    if (file >= 0) {
        (void)close(file);
        (void)unlink(path);
    }
    if (ok) {
        limits->sync_p50_ms = at(rounds, SYNC_ROUNDS, 0.5);
        limits->sync_p99_ms = at(rounds, SYNC_ROUNDS, 0.99);
    }
    return ok;
}

/* Bytes of text a second of processor time; 0: it failed. */
static double measure_box(size_t bytes)
{
    static unsigned char text[BOX_MOST], box[BOX_MOST + crypto_box_MACBYTES];
    unsigned char key[crypto_box_BEFORENMBYTES], nonce[crypto_box_NONCEBYTES];
    double rounds[BOX_ROUNDS];

    randombytes_buf(text, bytes);
    randombytes_buf(key, sizeof key);
    randombytes_buf(nonce, sizeof nonce);
    if (crypto_box_easy_afternm(box, text, bytes, nonce, key) != 0)
        return 0;
    for (size_t i = 0; i < BOX_ROUNDS; i++) {
        double start = seconds(CLOCK_PROCESS_CPUTIME_ID);
        for (size_t done = 0; done < BOX_BYTES; done += bytes)
            if (crypto_box_open_easy_afternm(text, box, bytes + crypto_box_MACBYTES, nonce,
                                             key) != 0)
                return 0;
        rounds[i] = (double)BOX_BYTES / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
    }
    return at(rounds, BOX_ROUNDS, 0.5);
}

static bool measure(struct limits *limits, const char *folder)
{
    if (sodium_init() < 0 || !measure_copy(limits) || !measure_sync(limits, folder))
        return false;
    limits->box_small_bytes_per_s = measure_box(1024);
    limits->box_large_bytes_per_s = measure_box(BOX_MOST);
    return limits->box_small_bytes_per_s > 0 && limits->box_large_bytes_per_s > 0;
}

int main(int argc, char **argv)
{
    const char *folder = ".";
    bool as_json = false;
    struct limits limits = {0};
    int flag;

    while ((flag = getopt(argc, argv, "d:j")) != -1) {
        if (flag == 'd') {
            folder = optarg;
        } else if (flag == 'j') {
            as_json = true;
        } else {
            (void)fputs("usage: limits [-d FOLDER] [-j]\n", stderr);
            return 2;
        }
    }
    if (!measure(&limits, folder)) {
        (void)fprintf(stderr, "limits: cannot measure in %s\n", folder);
        return 1;
    }
    (void)printf(as_json ? "{\"memcpy_mb_per_s\":%.0f,\"fdatasync_p50_ms\":%.3f,"
                           "\"fdatasync_p99_ms\":%.3f,\"decrypt_1k_mb_per_s\":%.0f,"
                           "\"decrypt_16k_mb_per_s\":%.0f}\n"
                         : "memcpy %.0f MB/s, fdatasync p50 %.3f ms p99 %.3f ms, CURVE "
                           "decryption %.0f MB/s in messages of 1 KiB, %.0f MB/s of 16 KiB\n",
                 limits.copy_bytes_per_s / 1e6, limits.sync_p50_ms, limits.sync_p99_ms,
                 limits.box_small_bytes_per_s / 1e6, limits.box_large_bytes_per_s / 1e6);
    return 0;
}
