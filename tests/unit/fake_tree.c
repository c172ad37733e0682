/*
 * fake_tree.c - a folder that plays /proc (fake_tree.h).
 */
#include "tests/unit/fake_tree.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/must.h"

void fake_tree_make(struct fake_tree *tree)
{
    char path[128];
    snprintf(tree->root, sizeof tree->root, "/tmp/fengsui-tree-XXXXXX");
    must(mkdtemp(tree->root) != NULL);
    snprintf(path, sizeof path, "%s/proc", tree->root);
    must(mkdir(path, 0755) == 0);
    snprintf(path, sizeof path, "%s/sys", tree->root);
    must(mkdir(path, 0755) == 0);
}

void fake_tree_write_bytes(const struct fake_tree *tree, const char *path, const void *data,
                           size_t size)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", tree->root, path);
    for (char *slash = full + strlen(tree->root) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    must(file != NULL);
    must(fwrite(data, 1, size, file) == size);
    must(fclose(file) == 0);
}

void fake_tree_write(const struct fake_tree *tree, const char *path, const char *text)
{
    fake_tree_write_bytes(tree, path, text, strlen(text));
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

void fake_tree_remove(const struct fake_tree *tree, const char *path)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", tree->root, path);
    nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_tree_done(struct fake_tree *tree)
{
    nftw(tree->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
