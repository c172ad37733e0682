/*
 * ask_jvm.c - a Java virtual machine by Jolokia (jolokia.org, JMX as JSON over HTTP), as the
 * Java client library of Prometheus and jmx_exporter name it.
 *
 * One POST asks for all, and the answers come in the order of the questions:
 *
 *     [{"status":200,"value":{"HeapMemoryUsage":{"used":1,"max":2,...}, ...}}, ...]
 *
 * What a policy of the agent forbids has another status and is missing; nothing else is.  The
 * library's older names of the memory areas (jvm_memory_bytes_used) are told as well, for
 * boards that ask for those.
 */
#include <string.h>

#include "probe/source/ask.h"
#include "probe/source/ask_dialects.h"
#include "probe/source/json_walk.h"
#include "proto/base/error.h"

/* In the order of the questions. */
enum bean { MEMORY, POOL, COLLECTOR, THREADS, DEADLOCKED, CLASSES, RUNTIME, SYSTEM, BUFFERS };

/* clang-format off */
#define READ(name) "{\"type\":\"read\",\"mbean\":\"" name "\"}"
static const char questions[] =
    "["
    READ("java.lang:type=Memory") ","
    READ("java.lang:type=MemoryPool,name=*") ","
    READ("java.lang:type=GarbageCollector,name=*") ","
    READ("java.lang:type=Threading") ","
    "{\"type\":\"exec\",\"mbean\":\"java.lang:type=Threading\","
    "\"operation\":\"findDeadlockedThreads\"},"
    READ("java.lang:type=ClassLoading") ","
    READ("java.lang:type=Runtime") ","
    READ("java.lang:type=OperatingSystem") ","
    READ("java.nio:type=BufferPool,name=*")
    "]";
/* clang-format on */

#define BYTES(field, name, what)                                                               \
    {                                                                                          \
        field, name, METRIC_GAUGE, what                                                        \
    }
/* HeapMemoryUsage/used, ...: label area */
static const struct ask_metric areas[] = {
    BYTES("used", "jvm_memory_used_bytes", "Used bytes of a given JVM memory area."),
    BYTES("used", "jvm_memory_bytes_used", "Used bytes of a given JVM memory area."),
    BYTES("committed", "jvm_memory_committed_bytes",
          "Committed (bytes) of a given JVM memory area."),
    BYTES("committed", "jvm_memory_bytes_committed",
          "Committed (bytes) of a given JVM memory area."),
    BYTES("max", "jvm_memory_max_bytes", "Max (bytes) of a given JVM memory area."),
    BYTES("max", "jvm_memory_bytes_max", "Max (bytes) of a given JVM memory area."),
    BYTES("init", "jvm_memory_init_bytes", "Initial bytes of a given JVM memory area."),
    BYTES("init", "jvm_memory_bytes_init", "Initial bytes of a given JVM memory area."),
};
/* Usage/used and CollectionUsage/used, ...: label pool */
static const struct ask_metric pools[] = {
    BYTES("used", "jvm_memory_pool_used_bytes", "Used bytes of a given JVM memory pool."),
    BYTES("committed", "jvm_memory_pool_committed_bytes",
          "Committed bytes of a given JVM memory pool."),
    BYTES("max", "jvm_memory_pool_max_bytes", "Max bytes of a given JVM memory pool."),
    BYTES("init", "jvm_memory_pool_init_bytes", "Initial bytes of a given JVM memory pool."),
};
static const struct ask_metric pools_collected[] = {
    BYTES("used", "jvm_memory_pool_collection_used_bytes",
          "Used bytes after last collection of a given JVM memory pool."),
    BYTES("committed", "jvm_memory_pool_collection_committed_bytes",
          "Committed after last collection bytes of a given JVM memory pool."),
    BYTES("max", "jvm_memory_pool_collection_max_bytes",
          "Max bytes after last collection of a given JVM memory pool."),
    BYTES("init", "jvm_memory_pool_collection_init_bytes",
          "Initial after last collection bytes of a given JVM memory pool."),
};
/* label gc */
static const struct ask_metric collectors[] = {
    {"CollectionCount", "jvm_gc_collection_seconds_count", METRIC_COUNTER,
     "Time spent in a given JVM garbage collector in seconds."},
    {"CollectionTime", "jvm_gc_collection_seconds_sum", METRIC_COUNTER,
     "Time spent in a given JVM garbage collector in seconds."},
};
/* label pool */
static const struct ask_metric buffers[] = {
    BYTES("MemoryUsed", "jvm_buffer_pool_used_bytes", "Used bytes of a given JVM buffer pool."),
    BYTES("TotalCapacity", "jvm_buffer_pool_capacity_bytes",
          "Bytes capacity of a given JVM buffer pool."),
    BYTES("Count", "jvm_buffer_pool_used_buffers", "Used buffers of a given JVM buffer pool."),
};

static const struct {
    enum bean bean;
    struct ask_metric metric;
    double scale;
} plain[] = {
    {MEMORY,
     {"ObjectPendingFinalizationCount", "jvm_memory_objects_pending_finalization", METRIC_GAUGE,
      "The number of objects waiting in the finalizer queue."},
     1},
    {THREADS,
     {"ThreadCount", "jvm_threads_current", METRIC_GAUGE, "Current thread count of a JVM"},
     1},
    {THREADS,
     {"DaemonThreadCount", "jvm_threads_daemon", METRIC_GAUGE, "Daemon thread count of a JVM"},
     1},
    {THREADS,
     {"PeakThreadCount", "jvm_threads_peak", METRIC_GAUGE, "Peak thread count of a JVM"},
     1},
    {THREADS,
     {"TotalStartedThreadCount", "jvm_threads_started_total", METRIC_COUNTER,
      "Started thread count of a JVM"},
     1},
    {CLASSES,
     {"LoadedClassCount", "jvm_classes_currently_loaded", METRIC_GAUGE,
      "The number of classes that are currently loaded in the JVM"},
     1},
    {CLASSES,
     {"TotalLoadedClassCount", "jvm_classes_loaded_total", METRIC_COUNTER,
      "The total number of classes that have been loaded since the JVM has started execution"},
     1},
    {CLASSES,
     {"UnloadedClassCount", "jvm_classes_unloaded_total", METRIC_COUNTER,
      "The total number of classes that have been unloaded since the JVM has started "
      "execution"},
     1},
    {RUNTIME,
     {"StartTime", "process_start_time_seconds", METRIC_GAUGE,
      "Start time of the process since unix epoch in seconds."},
     1e-3},
    {SYSTEM,
     {"ProcessCpuTime", "process_cpu_seconds_total", METRIC_COUNTER,
      "Total user and system CPU time spent in seconds."},
     1e-9},
    {SYSTEM,
     {"OpenFileDescriptorCount", "process_open_fds", METRIC_GAUGE,
      "Number of open file descriptors."},
     1},
    {SYSTEM,
     {"MaxFileDescriptorCount", "process_max_fds", METRIC_GAUGE,
      "Maximum number of open file descriptors."},
     1},
    {SYSTEM,
     {"CommittedVirtualMemorySize", "process_virtual_memory_bytes", METRIC_GAUGE,
      "Virtual memory size in bytes."},
     1},
};

static const struct ask_metric deadlocked = {
    NULL, "jvm_threads_deadlocked", METRIC_GAUGE,
    "Cycles of JVM-threads that are in deadlock waiting to acquire object monitors or ownable "
    "synchronizers"};
static const struct ask_metric runtime_info = {NULL, "jvm_runtime_info", METRIC_GAUGE,
                                               "JVM runtime info"};

struct reading {
    struct ask_out *out;
    bool is_list; /* an answer for each question, as it should be */
    char error[JSON_TEXT_BYTES + 1];
    bool has_deadlock_answer;
    size_t deadlocks;
    struct {
        char text[JSON_TEXT_BYTES];
        size_t size;
    } version, vendor, runtime;
};

/* The name= of an object name: "java.lang:name=G1 Old Gen,type=GarbageCollector". */
static struct bytes name_in(const struct json_step *step)
{
    struct span text = span_of(step->text, step->size);
    for (; text.at < text.end; text.at++) {
        struct span rest = text;
        if ((*text.at == ':' || *text.at == ',') && (rest.at++, scan_text(&rest, "name="))) {
            const char *comma = memchr(rest.at, ',', span_size(rest));
            return span_bytes((struct span){rest.at, comma != NULL ? comma : rest.end});
        }
    }
    return span_bytes(text);
}

static void put_table(struct ask_out *out, const struct ask_metric *table, size_t count,
                      const struct json_step *field, const char *label, struct bytes name,
                      double value)
{
    const struct label one = {bytes_of(label), name};
    for (size_t i = 0; i < count; i++)
        if (span_is(span_of(field->text, field->size), table[i].field))
            ask_put(out, &table[i], &one, 1, value);
}
#define PUT_TABLE(out, table, field, label, name, value)                                       \
    put_table(out, table, sizeof(table) / sizeof(table)[0], field, label, name, value)

/* [bean]/value/FIELD, [bean]/value/NAME/FIELD, [bean]/value/NAME/USAGE/FIELD */
static void take_number(struct reading *reading, const struct json_walk *walk, size_t bean)
{
    struct ask_out *out = reading->out;
    const struct json_step *path = walk->path;
    double value = walk->number;

    if (walk->depth == 3)
        for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
            if (plain[i].bean == bean && json_step_is(walk, 2, plain[i].metric.field))
                ask_put_plain(out, &plain[i].metric, value * plain[i].scale);
    if (bean == MEMORY && walk->depth == 4 && json_step_is(walk, 2, "HeapMemoryUsage"))
        PUT_TABLE(out, areas, &path[3], "area", bytes_of("heap"), value);
    if (bean == MEMORY && walk->depth == 4 && json_step_is(walk, 2, "NonHeapMemoryUsage"))
        PUT_TABLE(out, areas, &path[3], "area", bytes_of("nonheap"), value);
    if (bean == POOL && walk->depth == 5 && json_step_is(walk, 3, "Usage"))
        PUT_TABLE(out, pools, &path[4], "pool", name_in(&path[2]), value);
    if (bean == POOL && walk->depth == 5 && json_step_is(walk, 3, "CollectionUsage"))
        PUT_TABLE(out, pools_collected, &path[4], "pool", name_in(&path[2]), value);
    if (bean == COLLECTOR && walk->depth == 4)
        PUT_TABLE(out, collectors, &path[3], "gc", name_in(&path[2]),
                  json_step_is(walk, 3, "CollectionTime") ? value * 1e-3 : value);
    if (bean == BUFFERS && walk->depth == 4)
        PUT_TABLE(out, buffers, &path[3], "pool", name_in(&path[2]), value);
}

static void take_text(struct reading *reading, const struct json_walk *walk)
{
    if (walk->depth != 3)
        return;
    if (json_step_is(walk, 2, "VmVersion") || json_step_is(walk, 2, "SpecVersion")) {
        if (json_step_is(walk, 2, "SpecVersion") && reading->version.size > 0)
            return;
        memcpy(reading->version.text, walk->text, walk->size);
        reading->version.size = walk->size;
    } else if (json_step_is(walk, 2, "VmVendor")) {
        memcpy(reading->vendor.text, walk->text, walk->size);
        reading->vendor.size = walk->size;
    } else if (json_step_is(walk, 2, "VmName")) {
        memcpy(reading->runtime.text, walk->text, walk->size);
        reading->runtime.size = walk->size;
    }
}

static int take_scalar(void *context, const struct json_walk *walk)
{
    struct reading *reading = context;
    if (walk->depth == 1 && json_step_is(walk, 0, "error") && walk->kind == JSON_TEXT) {
        memcpy(reading->error, walk->text, walk->size);
        reading->error[walk->size] = '\0';
    }
    if (walk->depth < 2 || walk->path[0].size > 0 || !json_step_is(walk, 1, "value"))
        return 0;
    size_t bean = walk->path[0].index;
    reading->is_list = true;
    if (bean == DEADLOCKED && walk->depth == 2)
        reading->has_deadlock_answer = walk->kind == JSON_NULL;
    else if (bean == DEADLOCKED && walk->depth == 3 && walk->kind == JSON_NUMBER) {
        reading->has_deadlock_answer = true;
        reading->deadlocks++;
    } else if (walk->kind == JSON_NUMBER)
        take_number(reading, walk, bean);
    else if (walk->kind == JSON_TEXT && bean == RUNTIME)
        take_text(reading, walk);
    return 0;
}

static int jvm_parse(struct bytes answer, size_t page, const struct ask_login *login,
                     struct ask_out *out, struct diagnosis *why)
{
    struct reading reading = {.out = out};
    struct json_walk walk;
    size_t before = out->count;

    (void)page;
    (void)login;
    int error = json_walk(&walk, span_from(answer), take_scalar, &reading);
    if (error != 0)
        return diagnose(why, error, "the answer is no JSON: is Jolokia at this address?");
    if (!reading.is_list && reading.error[0] != '\0')
        return diagnose(why, ERR_REFUSED, "Jolokia says: %s", reading.error);
    if (out->count == before)
        return diagnose(why, ERR_MALFORMED,
                        "no bean of a virtual machine in the answer: is Jolokia at this "
                        "address, and may it be read?");
    if (reading.has_deadlock_answer)
        ask_put_plain(out, &deadlocked, (double)reading.deadlocks);
    if (reading.runtime.size > 0) {
        const struct label labels[] = {
            {bytes_of("runtime"),
             {(const uint8_t *)reading.runtime.text, reading.runtime.size}},
            {bytes_of("vendor"), {(const uint8_t *)reading.vendor.text, reading.vendor.size}},
            {bytes_of("version"),
             {(const uint8_t *)reading.version.text, reading.version.size}}};
        ask_put(out, &runtime_info, labels, 3, 1);
    }
    return 0;
}

const struct ask_dialect ask_dialect_jvm = {
    .source = "jvm",
    .scheme = "http://",
    .port = "8778",
    .path = "/jolokia/",
    .up = {NULL, NULL, METRIC_GAUGE, NULL},
    .body = questions,
    .parse = jvm_parse,
};

ASK_SOURCE(jvm, "memory, collections and threads of a Java VM, by Jolokia");
