/*
 * disk_image.c - files and names, certain and not, out of a journal.
 */
#include "tests/fault/disk_image.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/store/care_file.h"
#include "proto/base/must.h"
#include "tests/fault/io_world.h"

#define SECTOR    512
#define PATHS     512
#define FILES_MAX 4096

struct call {
    struct io_record head;
    char path[PATHS], other[PATHS];
    const uint8_t *data;
};

struct journal {
    struct bytes bytes; /* mapped */
    struct call *calls;
    size_t count;
};

/* A file under whatever name. */
struct content {
    uint64_t file;
    uint8_t *bytes;
    size_t size;
    size_t *waiting; /* calls that are not synced */
    size_t waiting_count, waiting_capacity;
};

struct name {
    char path[PATHS];
    uint64_t file;
    bool is_folder;
};

struct disk {
    const struct journal *journal;
    struct content *contents;
    size_t content_count;
    struct name *names;
    size_t name_count;
    size_t *waiting; /* calls that change names */
    size_t waiting_count;
};

/* -- the journal ------------------------------------------------------------------------- */

/* An inode is used again when a file is gone, a file of the journal is not. */
struct files {
    uint64_t inodes[FILES_MAX];
    size_t count;
};

static uint64_t number_file(struct files *files, const struct io_record *head)
{
    size_t i = files->count;
    while (i > 0 && files->inodes[i - 1] != head->file)
        i--;
    if (i > 0 && head->kind != IO_CREATE)
        return i;
    must(files->count < FILES_MAX);
    files->inodes[files->count++] = head->file;
    return files->count;
}

struct journal *journal_load(const char *path)
{
    struct journal *journal = calloc(1, sizeof *journal);
    struct files *files = calloc(1, sizeof *files);
    must(files != NULL && journal != NULL && care_map(path, &journal->bytes, NULL) == 0);
    const uint8_t *at = journal->bytes.data;
    const uint8_t *end = at + journal->bytes.size;
    size_t capacity = 0;
    while (at < end) {
        if (journal->count == capacity) {
            capacity = capacity == 0 ? 1024 : capacity * 2;
            journal->calls = realloc(journal->calls, capacity * sizeof *journal->calls);
            must(journal->calls != NULL);
        }
        struct call *call = &journal->calls[journal->count++];
        memset(call, 0, sizeof *call);
        memcpy(&call->head, at, sizeof call->head);
        at += sizeof call->head;
        call->head.file = number_file(files, &call->head);
        must(call->head.path_bytes < PATHS && call->head.other_bytes < PATHS);
        memcpy(call->path, at, call->head.path_bytes);
        at += call->head.path_bytes;
        memcpy(call->other, at, call->head.other_bytes);
        at += call->head.other_bytes;
        if (call->head.kind == IO_WRITE || call->head.kind == IO_WRITE_THROUGH) {
            call->data = at;
            at += call->head.size;
        }
    }
    free(files);
    return journal;
}

void journal_free(struct journal *journal)
{
    care_unmap(journal->bytes);
    free(journal->calls);
    free(journal);
}

size_t journal_length(const struct journal *journal)
{
    return journal->count;
}

uint32_t journal_note(const struct journal *journal, size_t n)
{
    return journal->calls[n].head.kind == IO_NOTE ? journal->calls[n].head.note : 0;
}

const char *journal_name(const struct journal *journal, size_t n)
{
    static const char *const kinds[] = {"",       "create", "write",  "write through", "resize",
                                        "punch",  "sync",   "rename", "link",          "unlink",
                                        "mkdir",  "rmdir",  "note"};
    static char text[PATHS + 32];
    (void)snprintf(text, sizeof text, "%s %s", kinds[journal->calls[n].head.kind],
                   journal->calls[n].path);
    return text;
}

/* -- contents ---------------------------------------------------------------------------- */

static struct content *content_of(struct disk *disk, uint64_t file)
{
    for (size_t i = 0; i < disk->content_count; i++)
        if (disk->contents[i].file == file)
            return &disk->contents[i];
    must(disk->content_count < FILES_MAX);
    struct content *content = &disk->contents[disk->content_count++];
    *content = (struct content){.file = file};
    return content;
}

static void resize(struct content *content, size_t size)
{
    content->bytes = realloc(content->bytes, size + 1);
    must(content->bytes != NULL);
    if (size > content->size)
        memset(content->bytes + content->size, 0, size - content->size);
    content->size = size;
}

static void apply(struct content *content, const struct call *call, size_t from, size_t size)
{
    size_t at = (size_t)call->head.offset + from;
    if (call->head.kind == IO_RESIZE) {
        resize(content, (size_t)call->head.size);
        return;
    }
    if (call->head.kind == IO_PUNCH) {
        if (at < content->size)
            memset(content->bytes + at, 0,
                   at + size < content->size ? size : content->size - at);
        return;
    }
    if (at + size > content->size)
        resize(content, at + size);
    memcpy(content->bytes + at, call->data + from, size);
}

static void wait_for_sync(struct content *content, size_t n)
{
    if (content->waiting_count == content->waiting_capacity) {
        content->waiting_capacity = content->waiting_capacity * 2 + 16;
        content->waiting =
            realloc(content->waiting, content->waiting_capacity * sizeof *content->waiting);
        must(content->waiting != NULL);
    }
    content->waiting[content->waiting_count++] = n;
}

static void settle(struct disk *disk, struct content *content)
{
    for (size_t i = 0; i < content->waiting_count; i++) {
        const struct call *call = &disk->journal->calls[content->waiting[i]];
        apply(content, call, 0, (size_t)call->head.size);
    }
    content->waiting_count = 0;
}

/* The power has gone: what was not synced is there as a whole, in part, or not. */
static void gamble(struct disk *disk, struct content *content, unsigned *seed)
{
    unsigned bias = (unsigned)rand_r(seed) % 4;
    for (size_t i = 0; i < content->waiting_count; i++) {
        const struct call *call = &disk->journal->calls[content->waiting[i]];
        size_t size = (size_t)call->head.size;
        if ((unsigned)rand_r(seed) % 4 < bias)
            continue;
        if (call->data == NULL || rand_r(seed) % 3 != 0) {
            apply(content, call, 0, size);
            continue;
        }
        for (size_t at = 0; at < size; at += SECTOR)
            if (rand_r(seed) % 2 == 0)
                apply(content, call, at, size - at < SECTOR ? size - at : SECTOR);
    }
    content->waiting_count = 0;
}

/* Disks write in the order they like: the last first. */
static void settle_last(struct disk *disk, struct content *content)
{
    if (content->waiting_count > 1) {
        content->waiting[0] = content->waiting[content->waiting_count - 1];
        content->waiting_count = 1;
    }
    settle(disk, content);
}

/* -- names ------------------------------------------------------------------------------- */

static struct name *find_name(struct disk *disk, const char *path)
{
    for (size_t i = 0; i < disk->name_count; i++)
        if (strcmp(disk->names[i].path, path) == 0)
            return &disk->names[i];
    return NULL;
}

static void set_name(struct disk *disk, const char *path, uint64_t file, bool is_folder)
{
    struct name *name = find_name(disk, path);
    if (name == NULL) {
        must(disk->name_count < FILES_MAX);
        name = &disk->names[disk->name_count++];
        (void)snprintf(name->path, sizeof name->path, "%s", path);
    }
    name->file = file;
    name->is_folder = is_folder;
}

static void remove_name(struct disk *disk, const char *path)
{
    struct name *name = find_name(disk, path);
    if (name != NULL)
        *name = disk->names[--disk->name_count];
}

static void apply_name(struct disk *disk, const struct call *call)
{
    switch (call->head.kind) {
    case IO_CREATE:
    case IO_MKDIR:
        set_name(disk, call->path, call->head.file, call->head.kind == IO_MKDIR);
        break;
    case IO_RENAME:
        remove_name(disk, call->path);
        set_name(disk, call->other, call->head.file, false);
        break;
    case IO_LINK:
        set_name(disk, call->other, call->head.file, false);
        break;
    default:
        remove_name(disk, call->path);
    }
}

static bool is_in(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    return size == strlen(folder) && strncmp(path, folder, size) == 0;
}

/* A sync of a folder: its names, as they stand.  A call that changes two folders is one step. */
static void settle_names(struct disk *disk, const char *folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->waiting_count; i++) {
        const struct call *call = &disk->journal->calls[disk->waiting[i]];
        if (is_in(call->path, folder) || (call->other[0] != '\0' && is_in(call->other, folder)))
            apply_name(disk, call);
        else
            disk->waiting[kept++] = disk->waiting[i];
    }
    disk->waiting_count = kept;
}

/* -- playing ----------------------------------------------------------------------------- */

static void take(struct disk *disk, size_t n)
{
    const struct call *call = &disk->journal->calls[n];
    switch (call->head.kind) {
    case IO_WRITE:
    case IO_RESIZE:
    case IO_PUNCH:
        wait_for_sync(content_of(disk, call->head.file), n);
        break;
    case IO_WRITE_THROUGH:
        apply(content_of(disk, call->head.file), call, 0, (size_t)call->head.size);
        break;
    case IO_SYNC: {
        const struct name *name = find_name(disk, call->path);
        bool is_folder = call->path[0] == '\0' || (name != NULL && name->is_folder);
        for (size_t i = 0; i < disk->waiting_count && !is_folder; i++) {
            const struct call *made = &disk->journal->calls[disk->waiting[i]];
            is_folder = made->head.kind == IO_MKDIR && strcmp(made->path, call->path) == 0;
        }
        if (is_folder)
            settle_names(disk, call->path);
        else
            settle(disk, content_of(disk, call->head.file));
        break;
    }
    case IO_NOTE:
        break;
    default:
        disk->waiting[disk->waiting_count++] = n;
    }
}

static void write_out(struct disk *disk, const char *folder)
{
    must(mkdir(folder, 0750) == 0);
    /* Folders are made before what is in them: their paths are shorter. */
    for (size_t length = 0; length < PATHS; length++)
        for (size_t i = 0; i < disk->name_count; i++) {
            const struct name *name = &disk->names[i];
            char path[2 * PATHS];
            if (strlen(name->path) != length)
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", folder, name->path);
            if (name->is_folder) {
                (void)mkdir(path, 0750);
                continue;
            }
            int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0640);
            if (fd < 0)
                continue; /* its folder has not been reached */
            const struct content *content = content_of(disk, name->file);
            if (content->size > 0)
                must(write(fd, content->bytes, content->size) == (ssize_t)content->size);
            must(close(fd) == 0);
        }
}

void journal_play(const struct journal *journal, size_t n, enum image_fate fate, unsigned seed,
                  const char *folder)
{
    struct disk disk = {.journal = journal,
                        .contents = calloc(FILES_MAX, sizeof *disk.contents),
                        .names = calloc(FILES_MAX, sizeof *disk.names),
                        .waiting = calloc(n + 1, sizeof *disk.waiting)};
    must(disk.contents != NULL && disk.names != NULL && disk.waiting != NULL);
    for (size_t i = 0; i < n; i++)
        take(&disk, i);
    size_t names = disk.waiting_count;
    if (fate == IMAGE_LOSE)
        names = 0;
    else if (fate == IMAGE_MIX)
        names = (size_t)rand_r(&seed) % (disk.waiting_count + 1);
    for (size_t i = 0; i < names; i++)
        apply_name(&disk, &journal->calls[disk.waiting[i]]);
    for (size_t i = 0; i < disk.content_count; i++) {
        if (fate == IMAGE_KILL)
            settle(&disk, &disk.contents[i]);
        else if (fate == IMAGE_LATE)
            settle_last(&disk, &disk.contents[i]);
        else if (fate == IMAGE_MIX)
            gamble(&disk, &disk.contents[i], &seed);
    }
    write_out(&disk, folder);
    for (size_t i = 0; i < disk.content_count; i++) {
        free(disk.contents[i].bytes);
        free(disk.contents[i].waiting);
    }
    free(disk.contents);
    free(disk.names);
    free(disk.waiting);
}
