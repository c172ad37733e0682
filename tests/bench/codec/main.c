/*
 * main.c - codecbench: what the chunk codec makes of frame files, by class of column, beside XOR;
 * and what each of its special cases buys.
 *
 *     codecbench [-c SAMPLES_A_CHUNK] FRAMES...
 *
 * Prints two tables in Markdown.  Bytes are of chunks alone, times included: what groups of chunks
 * save beyond that is the store's.  Times are processor time of this thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/store/codec/codec.h"
#include "collector/store/codec/codec_decimal.h"
#include "collector/store/codec/codec_values.h"
#include "proto/base/must.h"
#include "tests/bench/codec/rivals.h"
#include "tests/bench/swarm/load.h"

#define CHUNK_DEFAULT 4096
#define DECODES       3
#define RARE_SHARE    16 /* a column that changes at most every so many samples */

enum class {
    STANDS,
    RARE,
    COUNTER,
    GAUGE,
    DECIMAL_COUNTER,
    DECIMAL_GAUGE,
    OTHER_DECIMAL,
    FLOAT,
    CLASSES
};
static const char *const class_names[CLASSES] = {
    "constant",        "changes rarely", "integer counter",      "integer gauge",
    "decimal counter", "decimal gauge",  "product or quotients", "float with many digits"};

static const struct {
    const char *name;
    unsigned without;
} cases[] = {
    {"entropy-coded tokens", WITHOUT_TOKENS},
    {"tokens of float bits (else XOR)", WITHOUT_BITS},
    {"literals: values that are a token each", WITHOUT_LITERALS},
    {"exact decimals (else XOR)", WITHOUT_DECIMALS},
    {"decimals by product, by two quotients", WITHOUT_RULES},
    {"decimals with exceptions", WITHOUT_EXCEPTIONS},
    {"runs", WITHOUT_RUNS},
    {"a common unit", WITHOUT_UNIT},
    {"order 0: values as they are", WITHOUT_ORDER_0},
    {"order 2: delta of deltas", WITHOUT_ORDER_2},
    {"short constants", WITHOUT_SHORT_CONSTANT},
};
#define CASES (sizeof cases / sizeof cases[0])

struct sums {
    double columns, samples;
    double quick, small, gorilla, zstd, bound; /* bytes */
    double encode_ns[2], decode_ns[2];
};

struct bench {
    struct sums classes[CLASSES];
    double values_bytes, without[CASES]; /* of values, as CHUNK_SMALL; without each case */
    struct buf chunk;
};

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static enum class class_of(const double *values, size_t count)
{
    static int64_t mantissas[CHUNK_SAMPLES_MAX];
    static bool is_exception[CHUNK_SAMPLES_MAX];
    struct decimals decimals;
    size_t changes = 0;
    bool falls = false;

    for (size_t i = 1; i < count; i++) {
        changes += bits_of(values[i]) != bits_of(values[i - 1]);
        falls |= values[i] < values[i - 1];
    }
    if (changes == 0)
        return STANDS;
    if (!decimals_find(values, count, count / RARE_SHARE, mantissas, is_exception, &decimals))
        return FLOAT;
    if (decimals.rule != DECIMAL_QUOTIENT)
        return OTHER_DECIMAL;
    if (changes <= count / RARE_SHARE)
        return RARE;
    if (decimals.scale == 0)
        return falls ? GAUGE : COUNTER;
    return falls ? DECIMAL_GAUGE : DECIMAL_COUNTER;
}

/* One effort: bytes, and times. */
static double measure(struct bench *bench, const int64_t *times, const double *values,
                      size_t count, enum chunk_effort effort, struct sums *sums)
{
    static int64_t got_times[CHUNK_SAMPLES_MAX];
    static double got_values[CHUNK_SAMPLES_MAX];
    size_t got = 0;

    buf_clear(&bench->chunk);
    double begin = now_ns();
    must(chunk_encode(times, values, count, effort, &bench->chunk) == 0);
    double coded = now_ns();
    for (int i = 0; i < DECODES; i++)
        must(chunk_decode(buf_bytes(&bench->chunk), got_times, got_values, &got) == 0);
    sums->decode_ns[effort] += (now_ns() - coded) / DECODES;
    sums->encode_ns[effort] += coded - begin;
    must(got == count && memcmp(got_times, times, count * sizeof *times) == 0);
    must(memcmp(got_values, values, count * sizeof *values) == 0);
    return (double)bench->chunk.size;
}

static void take_chunk(struct bench *bench, const int64_t *times, const double *values,
                       size_t count)
{
    struct sums *sums = &bench->classes[class_of(values, count)];

    sums->columns++;
    sums->samples += (double)count;
    sums->quick += measure(bench, times, values, count, CHUNK_QUICK, sums);
    sums->small += measure(bench, times, values, count, CHUNK_SMALL, sums);
    sums->bound += rival_bound(values, count);
    buf_clear(&bench->chunk);
    rival_gorilla(times, values, count, &bench->chunk);
    sums->gorilla += (double)bench->chunk.size;
    sums->zstd += (double)rival_zstd(&bench->chunk);
    for (size_t i = 0; i <= CASES; i++) {
        buf_clear(&bench->chunk);
        values_put(&bench->chunk, values, count, i == CASES ? 0 : cases[i].without);
        must(buf_ok(&bench->chunk));
        *(i == CASES ? &bench->values_bytes : &bench->without[i]) += (double)bench->chunk.size;
    }
}

/* Turns the ticks of a probe into columns, and takes them chunk by chunk. */
static void take_probe(struct bench *bench, const struct load *load, size_t probe, size_t chunk)
{
    size_t series, ticks = load_tick_count(load, probe);
    size_t most = load_samples_max(load, probe);
    (void)load_definitions(load, probe, &series);
    uint64_t *refs = calloc(most, sizeof *refs);
    double *tick = calloc(most, sizeof *tick), *values = calloc(series * ticks, sizeof *values);
    int64_t *times = calloc(series * ticks, sizeof *times);
    size_t *counts = calloc(series, sizeof *counts);

    must(refs != NULL && tick != NULL && values != NULL && times != NULL && counts != NULL);
    for (size_t k = 0; k < ticks; k++) {
        int64_t at_ms = load_columns(load, probe, k, refs, tick);
        for (size_t i = 0; i < load_tick_samples(load, probe, k); i++) {
            size_t at = refs[i] * ticks + counts[refs[i]]++;
            times[at] = at_ms;
            values[at] = tick[i];
        }
    }
    for (size_t s = 0; s < series; s++) {
        for (size_t at = 0; at < counts[s]; at += chunk)
            take_chunk(bench, times + s * ticks + at, values + s * ticks + at,
                       counts[s] - at < chunk ? counts[s] - at : chunk);
    }
    free(refs);
    free(tick);
    free(values);
    free(times);
    free(counts);
}

static void print_row(const char *name, const struct sums *sums, double samples)
{
    double n = sums->samples;
    printf("| %s | %.0f | %.1f | %.3f | %.3f | %.3f | %.3f | %.3f | %.1f / %.1f | %.1f / %.1f |\n",
           name, sums->columns, 100 * n / samples, sums->quick / n, sums->small / n,
           sums->gorilla / n, sums->zstd / n, sums->bound / n, sums->encode_ns[0] / n,
           sums->encode_ns[1] / n, sums->decode_ns[0] / n, sums->decode_ns[1] / n);
}

static void print_tables(const struct bench *bench)
{
    struct sums all = {0};
    for (size_t i = 0; i < CLASSES; i++) {
        const double *from = (const double *)(const void *)&bench->classes[i];
        double *to = (double *)(void *)&all;
        for (size_t j = 0; j < sizeof all / sizeof *to; j++)
            to[j] += from[j];
    }
    printf("| column | chunks | %% of samples | quick | small | XOR | XOR, zstd -3 | bound | "
           "encode ns | decode ns |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < CLASSES; i++)
        if (bench->classes[i].columns > 0)
            print_row(class_names[i], &bench->classes[i], all.samples);
    print_row("all", &all, all.samples);
    printf("\n| special case | bytes a sample without it | it buys |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < CASES; i++)
        printf("| %s | %.4f | %.2f %% |\n", cases[i].name, bench->without[i] / all.samples,
               100 * (bench->without[i] / bench->values_bytes - 1));
    printf("| all of them, values alone | %.4f | |\n", bench->values_bytes / all.samples);
}

int main(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct diagnosis why = {""};
    struct load *load;
    size_t chunk = CHUNK_DEFAULT;
    int option;

    must(bench != NULL);
    while ((option = getopt(argc, argv, "c:")) == 'c')
        chunk = strtoul(optarg, NULL, 10);
    if (option != -1 || optind == argc || chunk == 0 || chunk > CHUNK_SAMPLES_MAX) {
        fprintf(stderr, "usage: codecbench [-c SAMPLES_A_CHUNK, 1..%d] FRAMES...\n",
                CHUNK_SAMPLES_MAX);
        return 2;
    }
    if (load_read(argv + optind, (size_t)(argc - optind), &load, &why) != 0) {
        fprintf(stderr, "codecbench: %s\n", why.text);
        return 1;
    }
    for (size_t probe = 0; probe < load_probe_count(load); probe++)
        take_probe(bench, load, probe, chunk);
    print_tables(bench);
    load_free(load);
    buf_done(&bench->chunk);
    free(bench);
    return 0;
}
