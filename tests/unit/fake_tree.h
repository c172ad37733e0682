/*
 * fake_tree.h - a folder that plays /proc and /sys for a test, made and removed by it.
 */
#pragma once

#include <stddef.h>

struct fake_tree {
    char root[64];
};

/* A new empty folder with proc and sys in it. */
void fake_tree_make(struct fake_tree *tree);
/* Writes a file (replacing its content, keeping its inode), making the folders above it. */
void fake_tree_write(const struct fake_tree *tree, const char *path, const char *text);
void fake_tree_write_bytes(const struct fake_tree *tree, const char *path, const void *data,
                           size_t size);
/* Removes a file or a folder with all in it. */
void fake_tree_remove(const struct fake_tree *tree, const char *path);
/* Removes everything. */
void fake_tree_done(struct fake_tree *tree);
