/*
 * fuzz_source_ask.c - answers of services that are none of theirs.
 *
 * Input: a byte that chooses dialect (high half), page and whether there was a login; then the
 * answer.  Whatever it says, samples have names and labels that the wire can carry, and whether
 * an answer is whole does not depend on what was asked before: once it is whole, it stays so.
 */
#include "probe/source/ask_dialects.h"
#include "probe/source/json_walk.h"
#include "proto/base/must.h"
#include "tests/unit/recording_emitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *context, const struct exposition_sample *sample, struct diagnosis *why)
{
    size_t *count = context;
    (void)why;
    must(sample->name.size > 0 && sample->name.size <= NAME_BYTES_MAX);
    must(sample->label_count <= SERIES_LABELS_MAX && sample->family != NULL);
    for (size_t i = 0; i < sample->label_count; i++) {
        must(sample->labels[i].value.size > 0);
        must(sample->labels[i].value.size <= LABEL_VALUE_BYTES_MAX);
        must(i == 0 || bytes_compare(sample->labels[i - 1].name, sample->labels[i].name) < 0);
    }
    (*count)++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ask_dialect *const dialects[] = {&ask_dialect_nginx, &ask_dialect_squid,
                                                         &ask_dialect_memcached,
                                                         &ask_dialect_redis, &ask_dialect_jvm};
    struct diagnosis why = {0};
    size_t count = 0;
    static struct emitter *recorder;
    if (recorder == NULL) /* what the source is linked with */
        recorder = recorder_new();
    if (size == 0)
        return 0;
    const struct ask_dialect *dialect = dialects[(data[0] >> 4) % 5];
    bool has_login = (data[0] & 1) != 0;
    const struct ask_login login = {NULL, has_login ? "password" : NULL};
    struct ask_out out = {.take = take, .context = &count, .why = &why};
    struct bytes answer = {data + 1, size - 1};

    if (dialect->whole != NULL) {
        int whole = dialect->whole(answer, has_login);
        for (size_t cut = 0; cut < answer.size && cut < 4096; cut += 97)
            if (dialect->whole((struct bytes){answer.data, cut}, has_login) > 0)
                must(whole > 0 || dialect == &ask_dialect_memcached);
    }
    (void)dialect->parse(answer, (data[0] >> 1 & 7) % 3, &login, &out, &why);
    must(out.error == 0 && out.count == count);
    return 0;
}
