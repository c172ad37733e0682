/*
 * log_world.c - see log_world.h.
 */
#include "tests/unit/log_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/log/identity.h"
#include "proto/base/error.h"

/* ---- the played emitter ----------------------------------------------------------------- */

series_handle emitter_series(struct emitter *out, const struct metric *metric,
                             const struct label *labels, size_t count)
{
    struct buf name = {0};
    buf_put_text(&name, metric->name);
    for (size_t i = 0; i < count; i++)
        buf_printf(&name, "%c%.*s=%.*s", i == 0 ? '{' : ',', (int)labels[i].name.size,
                   (const char *)labels[i].name.data, (int)labels[i].value.size,
                   (const char *)labels[i].value.data);
    buf_put_text(&name, count > 0 ? "}" : "");
    series_handle handle = 0;
    while (handle < out->series_count && strcmp(out->series[handle].name, buf_text(&name)) != 0)
        handle++;
    assert_true(handle < SERIES_MAX && name.size < sizeof out->series[0].name);
    if (handle == out->series_count) {
        memcpy(out->series[handle].name, buf_text(&name), name.size + 1);
        out->series_count++;
    }
    buf_done(&name);
    return handle;
}

void emit(struct emitter *out, series_handle handle, double value)
{
    out->series[handle].value = value;
}

void emitter_end(struct emitter *out, series_handle handle)
{
    out->series[handle].value = -1;
}

int emitter_record(struct emitter *out, uint32_t kind, struct bytes data)
{
    (void)kind;
    assert_true(data.size > 0);
    out->events++;
    return 0;
}

int emitter_log(struct emitter *out, const struct log_chunk *chunk)
{
    size_t size = 0;
    for (size_t i = 0; i < chunk->count; i++)
        size += chunk->lines[i].text.size + 1;
    if (out->tick.size > 0 && out->tick.size + size > out->room)
        return ERR_AGAIN;
    for (size_t i = 0; i < chunk->count; i++) {
        assert_true(i == 0 || chunk->lines[i].offset > chunk->lines[i - 1].offset);
        buf_put(&out->tick, chunk->lines[i].text.data, chunk->lines[i].text.size);
        buf_put_char(&out->tick, '\n');
    }
    assert_true(chunk->file_id != 0);
    return 0;
}

static void set_note(struct note *notes, size_t *count, struct bytes key, struct bytes value)
{
    size_t at = 0;
    while (at < *count && !bytes_equal(bytes_of(notes[at].key), key))
        at++;
    assert_true(at < NOTES_MAX && key.size < sizeof notes[0].key);
    assert_true(value.size <= sizeof notes[0].value);
    if (at == *count)
        *count += 1;
    memcpy(notes[at].key, key.data, key.size);
    notes[at].key[key.size] = '\0';
    if (value.size > 0)
        memcpy(notes[at].value, value.data, value.size);
    notes[at].size = value.size;
}

int emitter_note(struct emitter *out, struct bytes key, struct bytes value)
{
    set_note(out->changed, &out->changed_count, key, value);
    return 0;
}

bool emitter_noted(const struct emitter *out, size_t index, struct bytes *ret_key,
                   struct bytes *ret_value)
{
    for (size_t i = 0; i < out->note_count; i++)
        if (out->notes[i].size > 0 && index-- == 0) {
            *ret_key = bytes_of(out->notes[i].key);
            *ret_value = (struct bytes){out->notes[i].value, out->notes[i].size};
            return true;
        }
    return false;
}

/* ---- a probe that only tails ------------------------------------------------------------ */

void world_start(struct world *world)
{
    struct diagnosis why = {{0}};
    char text[4096];
    assert_true(snprintf(text, sizeof text, "logs:\n  - path: %s/%s\n", world->folder,
                         world->config) < (int)sizeof text);
    assert_int_equal(config_parse("probe.yml", bytes_of(text), &world->document, &why), 0);
    world->state = calloc(1, source_log.state_bytes);
    assert_non_null(world->state);
    if (source_log.configure(world->state, world->document,
                             config_child(config_root(world->document), "logs"), &why) != 0)
        fail_msg("%s", why.text);
    log_source_ask_by(world->state, world->ask);
    assert_int_equal(source_log.start(world->state, &world->env, world->out), 0);
}

/* Dies with what the tick under way had. */
void world_kill(struct world *world)
{
    if (world->document == NULL)
        return;
    source_log.stop(world->state);
    free(world->state);
    config_free(world->document);
    world->document = NULL;
    buf_clear(&world->out->tick);
    world->out->changed_count = 0;
}

void world_collect(struct world *world)
{
    world->env.now_ms += 1000;
    assert_int_equal(source_log.collect(world->state, &world->env, world->out), 0);
}

void world_commit(struct world *world)
{
    struct emitter *out = world->out;
    buf_put(&out->stored, out->tick.data, out->tick.size);
    buf_clear(&out->tick);
    for (size_t i = 0; i < out->changed_count; i++)
        set_note(out->notes, &out->note_count, bytes_of(out->changed[i].key),
                 (struct bytes){out->changed[i].value, out->changed[i].size});
    out->changed_count = 0;
    /* What is forgotten leaves the table. */
    size_t kept = 0;
    for (size_t i = 0; i < out->note_count; i++)
        if (out->notes[i].size > 0)
            out->notes[kept++] = out->notes[i];
    out->note_count = kept;
}

void world_ticks(struct world *world, int count)
{
    for (int i = 0; i < count; i++) {
        world_collect(world);
        world_commit(world);
    }
}

/* `config`: what follows the folder in the entry's path, and further keys. */
void world_make(struct world *world, const char *config)
{
    *world = (struct world){.config = config};
    snprintf(world->folder, sizeof world->folder, "/tmp/test_tail.XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    world->out = calloc(1, sizeof *world->out);
    assert_non_null(world->out);
    world->out->room = (size_t)256 << 10;
    world->env = (struct source_env){.procfs = world->folder, .rootfs = "/", .now_ms = 1700000000000};
}

void world_done(struct world *world)
{
    char command[128];
    world_kill(world);
    buf_done(&world->out->stored);
    buf_done(&world->out->tick);
    free(world->out);
    snprintf(command, sizeof command, "rm -rf %s", world->folder);
    assert_int_equal(system(command), 0);
}

/* ---- what writers do -------------------------------------------------------------------- */

const char *world_path(const struct world *world, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", world->folder, name);
    return path;
}

void world_append(const struct world *world, const char *name, const char *text)
{
    char path[128];
    FILE *file = fopen(world_path(world, name, path), "a");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

void world_move(const struct world *world, const char *from, const char *to)
{
    char path_from[128];
    char path_to[128];
    assert_int_equal(rename(world_path(world, from, path_from), world_path(world, to, path_to)),
                     0);
}

static bool have_one_birth(const struct world *world, const char *a, const char *b)
{
    char path[128];
    struct file_facts facts_a;
    struct file_facts facts_b;
    assert_int_equal(facts_of_path(world_path(world, a, path), &facts_a), 0);
    assert_int_equal(facts_of_path(world_path(world, b, path), &facts_b), 0);
    return facts_a.identity.birth_ns != 0 &&
           facts_a.identity.birth_ns == facts_b.identity.birth_ns;
}

/* a.log.2 -> a.log.3, a.log.1 -> a.log.2, a.log -> a.log.1, and a new a.log. */
void world_rotate(const struct world *world)
{
    char path[128];
    for (int i = 9; i > 0; i--) {
        char from[32];
        char to[32];
        snprintf(from, sizeof from, "a.log.%d", i);
        snprintf(to, sizeof to, "a.log.%d", i + 1);
        if (access(world_path(world, from, path), F_OK) == 0)
            world_move(world, from, to);
    }
    world_move(world, "a.log", "a.log.1");
    /* Births are told by a clock of some milliseconds; files born in one tick of it have no
     * order, and one of them could be read again (under the same names). */
    do {
        (void)unlink(world_path(world, "a.log", path));
        world_append(world, "a.log", "");
    } while (have_one_birth(world, "a.log", "a.log.1"));
}

void world_assert_stored(const struct world *world, const char *expected)
{
    if (strcmp(buf_text(&world->out->stored), expected) != 0)
        fail_msg("stored:\n%s\nexpected:\n%s", buf_text(&world->out->stored), expected);
}

double world_value(const struct world *world, const char *metric, const char *rest)
{
    char name[512];
    snprintf(name, sizeof name, "%s{file=%s/a.log%s}", metric, world->folder, rest);
    for (size_t i = 0; i < world->out->series_count; i++)
        if (strcmp(world->out->series[i].name, name) == 0)
            return world->out->series[i].value;
    fail_msg("no series %s", name);
    return -1;
}
