/*
 * page_walk.c - down the trees of an LMDB file, one page after the other.
 *
 * page_format.h draws them.  A fault ends the walk of the page it is in, never that of the file.
 */
#include "collector/store/page_walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/page_format.h"
#include "proto/base/error.h"

#define DEPTH_MAX    32 /* LMDB's cursors go no deeper */
#define NO_PAGE      UINT64_MAX
/* LMDB may have handed out pages past the end of the file and taken them back unwritten: at
 * most as many as one transaction can change. */
#define UNWRITTEN_MAX ((uint64_t)1 << 18)

enum node_flag { BIG = 1, SUBTREE = 2, DUPLICATES = 4 };
enum table_flag { REVERSE_KEY = 2, DUPSORT = 4, INTEGER_KEY = 8, DUPFIXED = 0x10 };
#define TABLE_FLAGS 0x7fu /* the rest of the free list's are the environment's */

struct table {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

/* Where the walk is: one table. */
struct place {
    struct page_walk *walk;
    struct page_tree *tree;
    const char *name; /* the table's */
    bool is_free_list, is_root; /* of free pages; of tables */
    bool is_integer;            /* keys are numbers of this machine */
    bool has_duplicates;        /* of keys */
    struct bytes dup_key;       /* data NULL: not among duplicates */
    uint64_t items;             /* met so far */
    unsigned deepest;           /* pages from the root down to the leaf that is deepest */
    struct bytes last_key;      /* in a leaf; data NULL: none yet */
    struct bytes least;         /* what a branch says of the next key; data NULL: nothing */
    struct table *subtables;    /* what the table of tables holds */
    char (*names)[PAGE_NAME_MAX];
    size_t subtable_count;
};

static void __attribute__((format(printf, 2, 3))) complain(struct page_walk *walk,
                                                           const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    walk->faults++;
    if (walk->fault != NULL)
        walk->fault(walk->context, text);
}

static const uint8_t *page_at(const struct page_walk *walk, uint64_t number)
{
    return walk->file.data + number * walk->page_bytes;
}

/* Notes that a run of pages is in use; false: one of them cannot be. */
static bool claim(struct page_walk *walk, const char *what, uint64_t number, uint64_t count)
{
    uint64_t pages = walk->file_pages < walk->pages ? walk->file_pages : walk->pages;
    if (number < 2 || count == 0 || number >= pages || count > pages - number) {
        complain(walk, "%s: page %" PRIu64 " is outside the file", what, number);
        return false;
    }
    for (uint64_t i = number; i < number + count; i++) {
        if ((walk->met[i / 8] >> i % 8 & 1) != 0) {
            complain(walk, "%s: page %" PRIu64 " is in use twice", what, i);
            return false;
        }
        walk->met[i / 8] = (uint8_t)(walk->met[i / 8] | 1u << i % 8);
    }
    walk->met_count += count;
    return true;
}

static struct table table_at(const uint8_t *from)
{
    return (struct table){.pad = get32(from),
                          .flags = get16(from + 4),
                          .depth = get16(from + 6),
                          .branch_pages = get64(from + 8),
                          .leaf_pages = get64(from + 16),
                          .overflow_pages = get64(from + 24),
                          .entries = get64(from + 32),
                          .root = get64(from + 40)};
}

/* -- nodes ------------------------------------------------------------------------------- */

/* The n-th node, whole within its page; NULL after a complaint.  Adds what it takes. */
static const uint8_t *node_at(struct place *at, const uint8_t *page, size_t size, size_t n,
                              size_t *taken)
{
    size_t upper = get16(page + 14);
    size_t offset = get16(page + HEADER_BYTES + 2 * n);
    if (offset >= upper && offset + NODE_BYTES <= size) {
        const uint8_t *node = page + offset;
        size_t left = size - offset - NODE_BYTES;
        size_t key = get16(node + 6);
        bool is_leaf = (get16(page + 10) & LEAF) != 0;
        size_t value = !is_leaf ? 0
                       : (get16(node + 4) & BIG) != 0
                           ? sizeof(uint64_t)
                           : (size_t)get16(node) | (size_t)get16(node + 2) << 16;
        if (key <= left && value <= left - key) {
            *taken += (NODE_BYTES + key + value + 1) & ~(size_t)1;
            return node;
        }
    }
    complain(at->walk, "%s: page %" PRIu64 " has a node outside itself", at->name, get64(page));
    return NULL;
}

static int compare_keys(const struct place *at, struct bytes a, struct bytes b)
{
    if (at->is_integer && a.size == 8 && b.size == 8) {
        uint64_t left = get64(a.data);
        uint64_t right = get64(b.data);
        return (left > right) - (left < right);
    }
    return bytes_compare(a, b);
}

static void check_order(struct place *at, const uint8_t *page, struct bytes key)
{
    bool is_behind = at->last_key.data != NULL && compare_keys(at, at->last_key, key) >= 0;
    bool is_astray = at->least.data != NULL && compare_keys(at, at->least, key) > 0;
    if (is_behind || is_astray)
        complain(at->walk, "%s: page %" PRIu64 " has keys out of order", at->name, get64(page));
    at->last_key = key;
    at->least = (struct bytes){NULL, 0};
}

/* The free pages freed by one transaction: a count, then their numbers, descending. */
static void take_free(struct place *at, struct bytes value)
{
    struct page_walk *walk = at->walk;
    uint64_t count = value.size >= 8 ? get64(value.data) : UINT64_MAX;
    if (value.size < 8 || count > value.size / 8 - 1) {
        complain(walk, "free list: a row is cut short");
        return;
    }
    uint64_t before = UINT64_MAX;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = get64(value.data + 8 + 8 * i);
        walk->free_pages++;
        if (number >= before)
            complain(walk, "free list: a row is out of order");
        before = number;
        /* LMDB may have handed out pages past the end and taken them back unwritten. */
        if (number < walk->file_pages || number >= walk->pages)
            (void)claim(walk, "free list", number, 1);
        else
            walk->met_count++;
    }
}

static bool is_wanted(const struct place *at)
{
    const struct page_walk *walk = at->walk;
    return walk->value != NULL && (walk->wants == NULL || walk->wants(at->name));
}

static int take_value(struct place *at, struct bytes key, struct bytes value)
{
    struct page_walk *walk = at->walk;
    at->items++;
    if (at->is_free_list) {
        if (key.size == 8)
            walk->last_freed = get64(key.data);
        else
            complain(walk, "free list: a key has a size it cannot have");
        take_free(at, value);
        return 0;
    }
    if (!is_wanted(at) || at->is_root)
        return 0;
    if (at->dup_key.data != NULL)
        return walk->value(walk->context, at->name, at->dup_key, key);
    return walk->value(walk->context, at->name, key, value);
}

/* A value in pages of its own: as many as it needs, or more, if it was longer a moment before.
 */
static int take_large(struct place *at, struct bytes key, uint64_t number, uint64_t size)
{
    struct page_walk *walk = at->walk;
    uint64_t count = (HEADER_BYTES + size + walk->page_bytes - 1) / walk->page_bytes;
    bool is_untouched = !is_wanted(at) && !at->is_free_list; /* it stays on the disk */
    if (!is_untouched && number >= 2 && number < walk->file_pages) {
        const uint8_t *page = page_at(walk, number);
        if (get64(page) != number || get16(page + 10) != OVERFLOW ||
            get32(page + 12) < count) {
            complain(walk, "%s: overflow page %" PRIu64 " is not what it should be", at->name,
                     number);
            return 0;
        }
        count = get32(page + 12);
    }
    at->tree->overflow_pages += count;
    at->tree->large_bytes += size;
    if (!claim(walk, at->name, number, count))
        return 0;
    if (is_untouched) {
        at->items++;
        return 0;
    }
    return take_value(at, key, (struct bytes){page_at(walk, number) + HEADER_BYTES, (size_t)size});
}

static void note_table(struct place *at, struct bytes key, const uint8_t *from)
{
    if (at->subtable_count >= PAGE_TREES_MAX - 2 || key.size >= PAGE_NAME_MAX) {
        complain(at->walk, "there are more tables, or longer names, than we ever made");
        return;
    }
    char *name = at->names[at->subtable_count];
    memset(name, 0, PAGE_NAME_MAX);
    for (size_t i = 0; i < key.size; i++) /* a name ends up in messages */
        name[i] = key.data[i] == '_' || (key.data[i] >= '0' && key.data[i] <= 'z' &&
                                         key.data[i] != '\\')
                      ? (char)key.data[i]
                      : '?';
    at->subtables[at->subtable_count++] = table_at(from);
    at->items++;
}

static int walk_page(struct place *at, const uint8_t *page, size_t size, unsigned depth);
static int walk_child(struct place *at, uint64_t number, unsigned depth);
static int walk_tree(struct place *at, const struct table *table);

/* Items with the same key: in a page within the page, or in a tree of their own. */
static int take_duplicates(struct place *at, struct bytes key, struct bytes value, bool is_tree)
{
    struct place inner = {.walk = at->walk, .tree = at->tree, .name = at->name, .dup_key = key};
    int error = 0;
    if (is_tree && value.size == TABLE_BYTES) {
        struct table table = table_at(value.data);
        error = walk_tree(&inner, &table);
    } else if (!is_tree && value.size >= HEADER_BYTES &&
               (get16(value.data + 10) & ~(unsigned)(DIRTY | FIXED_LEAF)) == (LEAF | SUB)) {
        error = walk_page(&inner, value.data, value.size, DEPTH_MAX);
    } else {
        complain(at->walk, "%s: a list of items is malformed", at->name);
    }
    at->items += inner.items;
    return error;
}

static int take_node(struct place *at, const uint8_t *page, const uint8_t *node)
{
    struct bytes key = {node + NODE_BYTES, get16(node + 6)};
    uint64_t size = (uint64_t)get16(node) | (uint64_t)get16(node + 2) << 16;
    struct bytes value = {key.data + key.size, (size_t)size};
    unsigned flags = get16(node + 4);
    check_order(at, page, key);
    if (at->is_root && flags == SUBTREE && size == TABLE_BYTES) {
        note_table(at, key, value.data);
        return 0;
    }
    if ((flags & DUPLICATES) != 0 && at->has_duplicates)
        return take_duplicates(at, key, value, (flags & SUBTREE) != 0);
    if (flags == BIG)
        return take_large(at, key, get64(value.data), size);
    if (flags == 0)
        return take_value(at, key, value);
    complain(at->walk, "%s: page %" PRIu64 " has a node of no known kind", at->name, get64(page));
    return 0;
}

/* -- pages ------------------------------------------------------------------------------- */

/* Items of one size, side by side. */
static int walk_fixed_leaf(struct place *at, const uint8_t *page, size_t size, size_t count)
{
    size_t item = get16(page + 8);
    size_t unused = (size_t)get16(page + 14) - get16(page + 12);
    int error = 0;
    if (item == 0 || count > (size - HEADER_BYTES) / item ||
        unused > size - HEADER_BYTES - count * item) {
        complain(at->walk, "%s: page %" PRIu64 " has items outside itself", at->name, get64(page));
        return 0;
    }
    for (size_t i = 0; i < count && error == 0; i++) {
        struct bytes key = {page + HEADER_BYTES + i * item, item};
        check_order(at, page, key);
        error = take_value(at, key, (struct bytes){NULL, 0});
    }
    return error;
}

static int walk_child(struct place *at, uint64_t number, unsigned depth)
{
    struct page_walk *walk = at->walk;
    if (depth + 1 > at->deepest)
        at->deepest = depth + 1;
    if (walk->cancelled != NULL && __atomic_load_n(walk->cancelled, __ATOMIC_RELAXED))
        return ERR_CANCELLED;
    if (!claim(walk, at->name, number, 1))
        return 0;
    const uint8_t *page = page_at(walk, number);
    unsigned flags = get16(page + 10); /* those of pages in memory are not written */
    if (get64(page) != number ||
        (flags != BRANCH && flags != LEAF && flags != (LEAF | FIXED_LEAF))) {
        complain(walk, "%s: page %" PRIu64 " is not what it should be", at->name, number);
        return 0;
    }
    return walk_page(at, page, (size_t)walk->page_bytes, depth);
}

/* The n-th child of a branch.  Its key stands between what lies left and right of it; that of
 * the first child is not used. */
static int take_branch(struct place *at, const uint8_t *page, const uint8_t *node, size_t n,
                       unsigned depth)
{
    struct bytes key = {node + NODE_BYTES, get16(node + 6)};
    uint64_t child = (uint64_t)get16(node) | (uint64_t)get16(node + 2) << 16 |
                     (uint64_t)get16(node + 4) << 32;
    if (depth + 1 >= DEPTH_MAX) {
        complain(at->walk, "%s: the tree is deeper than any can be", at->name);
        return 0;
    }
    if (n > 0 && at->last_key.data != NULL && compare_keys(at, at->last_key, key) >= 0)
        complain(at->walk, "%s: page %" PRIu64 " leads astray", at->name, get64(page));
    if (n > 0)
        at->least = key;
    return walk_child(at, child, depth + 1);
}

/* A branch or leaf page; or one of items within another page (depth DEPTH_MAX: it has no
 * children, and is no page of the file). */
static int walk_page(struct place *at, const uint8_t *page, size_t size, unsigned depth)
{
    size_t lower = get16(page + 12);
    size_t upper = get16(page + 14);
    unsigned flags = get16(page + 10);
    bool is_inner = depth == DEPTH_MAX;
    int error = 0;
    if (lower < HEADER_BYTES || lower > upper || upper > size || lower % 2 != 0 ||
        (is_inner && (flags & BRANCH) != 0)) {
        complain(at->walk, "%s: page %" PRIu64 " has bounds that cannot be", at->name,
                 get64(page));
        return 0;
    }
    size_t count = (lower - HEADER_BYTES) / 2;
    size_t taken = 0;
    if (count < ((flags & BRANCH) != 0 ? 2 : 1)) { /* LMDB aborts where a branch does not branch */
        complain(at->walk, "%s: page %" PRIu64 " has fewer nodes than any", at->name, get64(page));
        return 0;
    }
    if (!is_inner) {
        at->tree->used_bytes += size - (upper - lower);
        at->tree->branch_pages += (flags & BRANCH) != 0;
        at->tree->leaf_pages += (flags & LEAF) != 0;
    }
    if ((flags & FIXED_LEAF) != 0 && (flags & LEAF) != 0)
        return walk_fixed_leaf(at, page, size, count);
    for (size_t i = 0; i < count && error == 0; i++) {
        const uint8_t *node = node_at(at, page, size, i, &taken);
        if (node == NULL)
            return 0;
        error = (flags & BRANCH) == 0 ? take_node(at, page, node)
                                      : take_branch(at, page, node, i, depth);
    }
    /* LMDB keeps nodes packed; a size that was turned shows here. */
    if (error == 0 && taken != size - upper)
        complain(at->walk, "%s: page %" PRIu64 " has nodes over one another, or gaps", at->name,
                 get64(page));
    return error;
}

static int walk_tree(struct place *at, const struct table *table)
{
    struct page_walk *walk = at->walk;
    const struct page_tree before = *at->tree;
    uint64_t faults = walk->faults;
    int error = 0;
    at->is_integer = at->is_free_list || (table->flags & INTEGER_KEY) != 0;
    at->deepest = 0;
    if (table->root != NO_PAGE)
        error = walk_child(at, table->root, 0);
    else if (table->entries != 0)
        complain(walk, "%s: it says %" PRIu64 " entries, and has no root", at->name,
                 table->entries);
    /* Where a fault was named, counts cannot be right. */
    if (error != 0 || walk->faults != faults)
        return error;
    const struct page_tree *tree = at->tree;
    /* Unread, a large value may have more pages than it needs. */
    bool is_exact = is_wanted(at) || at->is_free_list;
    uint64_t overflow_pages = tree->overflow_pages - before.overflow_pages;
    if (at->deepest != table->depth)
        complain(walk, "%s: it is %u pages deep, where it says %u", at->name, at->deepest,
                 table->depth);
    else if (at->items != table->entries)
        complain(walk, "%s: %" PRIu64 " entries, where it says %" PRIu64, at->name, at->items,
                 table->entries);
    else if (at->dup_key.data == NULL && !(table->flags & DUPSORT) &&
             (tree->branch_pages - before.branch_pages != table->branch_pages ||
              tree->leaf_pages - before.leaf_pages != table->leaf_pages ||
              overflow_pages > table->overflow_pages ||
              (is_exact && overflow_pages != table->overflow_pages)))
        complain(walk, "%s: it has other pages than it says", at->name);
    return 0;
}

/* -- the file ---------------------------------------------------------------------------- */

/* The meta page to begin with; complains about one that is none. */
static const uint8_t *choose_meta(struct page_walk *walk)
{
    const uint8_t *metas[2];
    uint64_t txns[2];
    if (walk->snapshot != NULL) {
        walk->page_bytes = page_size_in((struct bytes){walk->snapshot, PAGE_META_BYTES});
        return walk->page_bytes != 0 ? walk->snapshot : NULL;
    }
    page_walk_metas(walk->file, metas, txns, &walk->page_bytes);
    if (metas[0] == NULL && metas[1] == NULL) {
        complain(walk, "both meta pages are torn: it is no LMDB file");
        return NULL;
    }
    for (unsigned i = 0; i < 2; i++)
        if (metas[i] == NULL) {
            complain(walk, "meta page %u is torn", i);
            return metas[1 - i];
        }
    unsigned newest = txns[1] > txns[0];
    if (txns[newest] != 0 && txns[newest] - txns[1 - newest] != 1)
        complain(walk, "the meta pages are not those of two successive commits");
    return metas[newest];
}

/* What a table's keys and items are like is told by flags, and LMDB would compare by them. */
static bool has_known_flags(const struct table *table, const struct place *root)
{
    unsigned flags = table->flags & TABLE_FLAGS;
    if (root != NULL && root->is_free_list)
        return flags == INTEGER_KEY;
    return flags == 0 || (root == NULL && flags == (DUPSORT | DUPFIXED));
}

static int walk_named(struct page_walk *walk, const char *name, const struct table *table,
                      struct place *root)
{
    struct page_tree *tree = &walk->trees[walk->tree_count++];
    struct place at = {.walk = walk, .tree = tree, .name = name};
    (void)snprintf(tree->name, sizeof tree->name, "%.*s", PAGE_NAME_MAX - 1, name);
    tree->depth = table->depth;
    if (root != NULL) {
        at = *root;
        at.tree = tree;
    }
    if (!has_known_flags(table, root))
        complain(walk, "%s: it has flags that no table of ours has", name);
    at.has_duplicates = (table->flags & DUPSORT) != 0;
    int error = walk_tree(&at, table);
    tree->entries = at.items;
    if (root != NULL)
        root->subtable_count = at.subtable_count;
    return error;
}

static int walk_all(struct page_walk *walk, const uint8_t *meta)
{
    struct table subtables[PAGE_TREES_MAX];
    char names[PAGE_TREES_MAX][PAGE_NAME_MAX];
    struct table freed = table_at(meta + META_TABLES);
    struct table main = table_at(meta + META_TABLES + TABLE_BYTES);
    struct place free_list = {.walk = walk, .name = "free list", .is_free_list = true};
    struct place root = {.walk = walk, .name = "tables", .is_root = true,
                         .subtables = subtables, .names = names};
    int error = walk_named(walk, "free list", &freed, &free_list);
    if (error == 0)
        error = walk_named(walk, "", &main, &root);
    for (size_t i = 0; i < root.subtable_count && error == 0; i++)
        error = walk_named(walk, names[i], &subtables[i], NULL);
    return error;
}

int page_walk_run(struct page_walk *walk)
{
    const uint8_t *meta = choose_meta(walk);
    if (meta == NULL) {
        if (walk->faults == 0)
            complain(walk, "the meta page is torn");
        return 0;
    }
    uint64_t last = get64(meta + META_LAST);
    walk->file_pages = walk->file.size / walk->page_bytes;
    if (last >= walk->file_pages && last - walk->file_pages >= UNWRITTEN_MAX)
        complain(walk, "it says that it has more pages than the file");
    walk->pages = last < UINT64_MAX ? last + 1 : last;
    walk->met = calloc((size_t)(walk->file_pages / 8 + 1), 1);
    if (walk->met == NULL)
        return ERR_NOMEM;
    int error = walk_all(walk, meta);
    uint64_t known = walk->met_count + 2;
    walk->lost_pages = error == 0 && walk->faults == 0 && walk->pages > known
                           ? walk->pages - known
                           : 0;
    free(walk->met);
    walk->met = NULL;
    return error;
}
