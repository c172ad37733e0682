/*
 * embed.c - build tool: files of the web console to a C source.
 *
 *     console_embed OUT.c =index.html js/main.js=dashboards/console/js/main.js ...
 *
 * Each argument is the path that browsers ask for, and the file.  In the page (the empty path)
 * the word @VERSION@ becomes the version: a hash over paths and contents of everything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/buf.h"
#include "proto/base/error.h"
#include "proto/base/file.h"

#define FILE_BYTES_MAX ((size_t)4 << 20)
#define ASSETS_MAX     128
#define BYTES_A_LINE   20
#define VERSION_WORD   "@VERSION@"

struct input {
    const char *path;
    struct buf content;
};

static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static const char *type_of(const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t suffix = strlen(types[i].suffix);
        if (size >= suffix && strcmp(path + size - suffix, types[i].suffix) == 0)
            return types[i].type;
    }
    return *path == '\0' ? types[0].type : NULL;
}

/* Splits "path=file" in place and reads the file. */
static int read_input(char *argument, struct input *ret_input, struct diagnosis *why)
{
    char *file = strchr(argument, '=');
    if (file == NULL)
        return diagnose(why, ERR_INVALID, "\"%s\" is not PATH=FILE", argument);
    *file++ = '\0';
    if (type_of(argument) == NULL)
        return diagnose(why, ERR_INVALID, "%s: no MIME type is known for it", file);
    char *text = NULL;
    size_t size = 0;
    int error = file_read_whole(file, FILE_BYTES_MAX, &text, &size, why);
    if (error != 0)
        return error;
    *ret_input = (struct input){.path = argument};
    buf_put(&ret_input->content, text, size);
    free(text);
    return buf_ok(&ret_input->content) ? 0 : ERR_NOMEM;
}

static int hash_inputs(const struct input *inputs, size_t count, char version[17])
{
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL)
        return ERR_NOMEM;
    XXH3_64bits_reset(state);
    for (size_t i = 0; i < count; i++) {
        XXH3_64bits_update(state, inputs[i].path, strlen(inputs[i].path) + 1);
        XXH3_64bits_update(state, inputs[i].content.data, inputs[i].content.size);
    }
    (void)snprintf(version, 17, "%016" PRIx64, XXH3_64bits_digest(state));
    XXH3_freeState(state);
    return 0;
}

static int name_version(struct input *page, const char *version)
{
    struct buf named = {0};
    buf_put_char(&page->content, '\0');
    if (!buf_ok(&page->content))
        return ERR_NOMEM;
    const char *rest = (const char *)page->content.data;
    for (const char *word; (word = strstr(rest, VERSION_WORD)) != NULL;
         rest = word + strlen(VERSION_WORD)) {
        buf_put(&named, rest, (size_t)(word - rest));
        buf_put_text(&named, version);
    }
    buf_put_text(&named, rest);
    buf_done(&page->content);
    page->content = named;
    return buf_ok(&named) ? 0 : ERR_NOMEM;
}

static void write_bytes(FILE *out, size_t index, const struct buf *content)
{
    fprintf(out, "static const uint8_t content_%zu[] = {", index);
    for (size_t i = 0; i < content->size; i++)
        fprintf(out, "%s%u,", i % BYTES_A_LINE == 0 ? "\n" : "", content->data[i]);
    fprintf(out, "\n0};\n");
}

static int write_source(const char *path, const struct input *inputs, size_t count,
                        const char *version)
{
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return ERR_IO;
    fprintf(out,
            "/* Written by console_embed. */\n#include \"collector/console/assets.h\"\n"
            "const char console_assets_version[] = \"%s\";\n",
            version);
    for (size_t i = 0; i < count; i++)
        write_bytes(out, i, &inputs[i].content);
    fprintf(out, "const struct console_asset console_assets[] = {\n");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "{\"%s\", \"%s\", \"\\\"%016" PRIx64 "\\\"\", {content_%zu, %zu}},\n",
                inputs[i].path, type_of(inputs[i].path),
                XXH3_64bits(inputs[i].content.data, inputs[i].content.size), i,
                inputs[i].content.size);
    fprintf(out, "};\nconst size_t console_asset_count = %zu;\n", count);
    bool failed = ferror(out) != 0;
    return fclose(out) != 0 || failed ? ERR_IO : 0;
}

int main(int argc, char **argv)
{
    static struct input inputs[ASSETS_MAX];
    struct diagnosis why = {0};
    char version[17];
    size_t count = 0;
    int error = argc < 3 || argc - 2 > ASSETS_MAX ? ERR_INVALID : 0;
    for (int i = 2; i < argc && error == 0; i++)
        error = read_input(argv[i], &inputs[count++], &why);
    if (error == 0)
        error = hash_inputs(inputs, count, version);
    for (size_t i = 0; i < count && error == 0; i++) {
        if (*inputs[i].path == '\0')
            error = name_version(&inputs[i], version);
    }
    if (error == 0)
        error = write_source(argv[1], inputs, count, version);
    for (size_t i = 0; i < count; i++)
        buf_done(&inputs[i].content);
    if (error == 0)
        return 0;
    fprintf(stderr, "console_embed: %s\n", *why.text != '\0' ? why.text : error_text(error));
    return 1;
}
