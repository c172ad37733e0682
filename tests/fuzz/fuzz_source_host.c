/*
 * fuzz_source_host.c - whole sources on files of any content.
 *
 * The first byte chooses a source and its file; the rest is the file, given in three ticks:
 * whole, cut in half, whole again.  Properties: nothing breaks, a tick never emits a series
 * without a name, and the same content gives the same number of values.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/base/must.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *source, *file;
} targets[] = {
    {"cpu", "proc/stat"},
    {"memory", "proc/meminfo"},
    {"load", "proc/loadavg"},
    {"disk", "proc/diskstats"},
    {"network", "proc/net/dev"},
    {"os", "etc/os-release"},
    {"network_class", "sys/class/net/eth0/operstate"},
    {"network_class", "sys/class/net/eth0/flags"},
    {"disk", "run/udev/data/b8:0"},
    {"processes", "proc/7/stat"},
    {"processes", "proc/stat"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t which = data[0] % (sizeof targets / sizeof *targets);
    const char *file = targets[which].file;
    struct fake_tree tree;
    struct running_source running;
    struct emitter *out = recorder_new();
    fake_tree_make(&tree);
    fake_tree_write(&tree, "proc/stat", "btime 1\n");
    fake_tree_write(&tree, "proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
    fake_tree_write_bytes(&tree, file, data + 1, size - 1);
    if (running_source_start(&running, source_find(targets[which].source), tree.root, NULL, out,
                             NULL) == 0) {
        int first = running_source_tick(&running, 1000, out);
        size_t count = recorder_count(out);
        fake_tree_write_bytes(&tree, file, data + 1, (size - 1) / 2);
        (void)running_source_tick(&running, 2000, out);
        fake_tree_write_bytes(&tree, file, data + 1, size - 1);
        int third = running_source_tick(&running, 3000, out);
        must((first == 0) == (third == 0));
        must(first != 0 || recorder_count(out) >= count);
    }
    running_source_stop(&running);
    recorder_free(out);
    fake_tree_done(&tree);
    return 0;
}
