/*
 * network_class.c - what network interfaces are and whether their link is up.
 *
 *     $ ls /sys/class/net/eth0
 *     address  carrier  carrier_changes  dev_id  duplex  flags  mtu  operstate  speed  ...
 *
 * A file an interface, a number or a word each.  Reading them all costs about a hundred
 * microseconds an interface, so only what tells of a lost link is read at every tick; the rest
 * is read in turns, an interface at least every REFRESH_TICKS ticks, and repeated between.
 *
 * Some files answer EINVAL (speed of a link that is down) or are missing on old kernels: that
 * series is then left out.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "probe/source/device_filter.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define REFRESH_TICKS     12
#define TEXT_BYTES_MAX    256
#define BYTES_A_MEGABIT   125000.0
#define INTERFACE_FLAG_UP 1u /* IFF_UP */

#define PROPERTY(name)                                                                         \
    "node_network_" name, METRIC_GAUGE, "Network device property: " name, NULL
#define COUNTER(name)                                                                          \
    "node_network_" name, METRIC_COUNTER, "Network device property: " name, NULL

enum form { FORM_NUMBER, FORM_HEX };

/* The number files. */
static const struct property {
    const char *file;
    struct metric metric;
    enum form form;
    bool is_quick; /* read at every tick */
} properties[] = {
    {"addr_assign_type", {PROPERTY("address_assign_type")}, FORM_NUMBER, false},
    {"carrier", {PROPERTY("carrier")}, FORM_NUMBER, true},
    {"carrier_changes", {COUNTER("carrier_changes_total")}, FORM_NUMBER, true},
    {"carrier_up_count", {COUNTER("carrier_up_changes_total")}, FORM_NUMBER, false},
    {"carrier_down_count", {COUNTER("carrier_down_changes_total")}, FORM_NUMBER, false},
    {"dev_id", {PROPERTY("device_id")}, FORM_HEX, false},
    {"dormant", {PROPERTY("dormant")}, FORM_NUMBER, false},
    {"flags", {PROPERTY("flags")}, FORM_HEX, false},
    {"ifindex", {PROPERTY("iface_id")}, FORM_NUMBER, false},
    {"iflink", {PROPERTY("iface_link")}, FORM_NUMBER, false},
    {"link_mode", {PROPERTY("iface_link_mode")}, FORM_NUMBER, false},
    {"mtu", {PROPERTY("mtu_bytes")}, FORM_NUMBER, false},
    {"name_assign_type", {PROPERTY("name_assign_type")}, FORM_NUMBER, false},
    {"netdev_group", {PROPERTY("net_dev_group")}, FORM_NUMBER, false},
    {"speed", {PROPERTY("speed_bytes")}, FORM_NUMBER, false},
    {"tx_queue_len", {PROPERTY("transmit_queue_length")}, FORM_NUMBER, false},
    {"type", {PROPERTY("protocol_type")}, FORM_NUMBER, false},
    {"statistics/rx_nohandler",
     {"node_network_receive_nohandler_total", METRIC_COUNTER,
      "Network device statistic receive_nohandler.", NULL},
     FORM_NUMBER,
     false},
};
#define PROPERTIES     (sizeof properties / sizeof *properties)
#define PROPERTY_FLAGS 7
#define PROPERTY_SPEED 14

static const struct metric up = {"node_network_up", METRIC_GAUGE,
                                 "Value is 1 if operstate is 'up', 0 otherwise.", NULL};
static const struct metric info = {
    "node_network_info", METRIC_GAUGE,
    "Non-numeric data from /sys/class/net/<iface>, value is always 1.", NULL};

/* The labels of node_network_info besides device, in their order; adminstate is in flags. */
enum word { ADDRESS, ADMINSTATE, BROADCAST, DUPLEX, IFALIAS, OPERSTATE, WORDS };
static const char *const word_files[WORDS] = {"address", NULL,      "broadcast",
                                              "duplex",  "ifalias", "operstate"};
static const char *const word_labels[WORDS] = {"address", "adminstate", "broadcast",
                                               "duplex",  "ifalias",    "operstate"};

struct interface {
    bool is_excluded;
    bool is_known[PROPERTIES];
    double values[PROPERTIES];
    series_handle handles[PROPERTIES];
    series_handle up, info;
    uint64_t words_hash; /* of the texts that `info` was registered with */
    bool is_up;
};

struct network_class_state {
    struct readbuf text;
    struct tracked interfaces;
    struct pattern *exclude;
    DIR *directory; /* class/net, read anew at every tick */
    uint32_t turn;  /* of REFRESH_TICKS */
};

struct words {
    char text[WORDS][TEXT_BYTES_MAX];
    size_t size[WORDS];
};

static int class_configure(void *state, struct config *config, const struct config_node *node,
                           struct diagnosis *why)
{
    struct network_class_state *class = state;
    return device_filter_read(config, node, "sources.network_class", NULL, &class->exclude,
                              why);
}

static int class_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct network_class_state *class = state;
    char path[4096];
    class->interfaces.value_bytes = sizeof(struct interface);
    class->interfaces.limit = INTERFACES_MAX;
    snprintf(path, sizeof path, "%s/class/net", env->sysfs);
    class->directory = opendir(path);
    return class->directory != NULL ? 0 : ERR_NOTFOUND;
}

/* Reads class/net/DEVICE/FILE and trims it. */
static bool read_file(struct network_class_state *class, const struct source_env *env,
                      struct bytes device, const char *file, struct span *ret_text)
{
    char path[512];
    struct span text;
    int size = snprintf(path, sizeof path, "class/net/%.*s/%s", (int)device.size,
                        (const char *)device.data, file);
    if (size < 0 || (size_t)size >= sizeof path ||
        procfile_read_path(env->sysfs, path, &class->text, &text) != 0)
        return false;
    *ret_text = span_trim(text);
    return true;
}

static void read_property(struct network_class_state *class, const struct source_env *env,
                          struct bytes device, struct interface *interface, size_t i)
{
    struct span text;
    int64_t number = 0;
    uint64_t hex = 0;
    interface->is_known[i] = false;
    if (!read_file(class, env, device, properties[i].file, &text))
        return;
    if (properties[i].form == FORM_HEX ? !scan_hex(&text, &hex) : !scan_i64(&text, &number))
        return;
    interface->is_known[i] = true;
    interface->values[i] = properties[i].form == FORM_HEX ? (double)hex : (double)number;
    if (i == PROPERTY_SPEED)
        interface->values[i] *= BYTES_A_MEGABIT;
}

static uint64_t words_hash(const struct words *words)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < WORDS; i++) {
        for (size_t at = 0; at < words->size[i]; at++)
            hash = (hash ^ (uint8_t)words->text[i][at]) * 1099511628211u;
        hash = (hash ^ 0xff) * 1099511628211u;
    }
    return hash;
}

static void read_words(struct network_class_state *class, const struct source_env *env,
                       struct bytes device, struct interface *interface, struct emitter *out)
{
    struct words words = {0};
    struct label labels[WORDS + 1];
    struct span text;

    for (size_t i = 0; i < WORDS; i++)
        if (word_files[i] != NULL && read_file(class, env, device, word_files[i], &text))
            words.size[i] = text_clean(span_bytes(text), words.text[i], TEXT_BYTES_MAX);
    if (interface->is_known[PROPERTY_FLAGS]) {
        bool is_up = ((uint32_t)interface->values[PROPERTY_FLAGS] & INTERFACE_FLAG_UP) != 0;
        words.size[ADMINSTATE] = is_up ? 2 : 4;
        memcpy(words.text[ADMINSTATE], is_up ? "up" : "down", words.size[ADMINSTATE]);
    }
    interface->is_up =
        words.size[OPERSTATE] == 2 && memcmp(words.text[OPERSTATE], "up", 2) == 0;

    uint64_t hash = words_hash(&words);
    if (interface->info != SERIES_NONE && hash == interface->words_hash)
        return;
    if (interface->info != SERIES_NONE)
        emitter_end(out, interface->info);
    for (size_t i = 0; i < WORDS; i++)
        labels[i] = (struct label){bytes_of(word_labels[i]),
                                   {(const uint8_t *)words.text[i], words.size[i]}};
    labels[WORDS] = (struct label){bytes_of("device"), device};
    interface->info = emitter_series(out, &info, labels, WORDS + 1);
    interface->words_hash = hash;
}

static void interface_refresh(struct network_class_state *class, const struct source_env *env,
                              struct bytes device, struct interface *interface,
                              struct emitter *out)
{
    for (size_t i = 0; i < PROPERTIES; i++)
        read_property(class, env, device, interface, i);
    read_words(class, env, device, interface, out);
}

/* A link that came or went shows here; the words follow it at once. */
static void interface_glance(struct network_class_state *class, const struct source_env *env,
                             struct bytes device, struct interface *interface,
                             struct emitter *out)
{
    struct span text;
    bool is_up =
        read_file(class, env, device, word_files[OPERSTATE], &text) && span_is(text, "up");
    for (size_t i = 0; i < PROPERTIES; i++)
        if (properties[i].is_quick)
            read_property(class, env, device, interface, i);
    if (is_up != interface->is_up)
        interface_refresh(class, env, device, interface, out);
}

static void interface_emit(struct bytes device, struct interface *interface,
                           struct emitter *out)
{
    for (size_t i = 0; i < PROPERTIES; i++) {
        if (!interface->is_known[i])
            continue;
        if (interface->handles[i] == SERIES_NONE)
            interface->handles[i] = series_one(out, &properties[i].metric, "device", device);
        emit(out, interface->handles[i], interface->values[i]);
    }
    emit(out, interface->up, interface->is_up);
    emit(out, interface->info, 1);
}

static void interface_gone(void *value, void *context)
{
    struct interface *interface = value;
    if (interface->is_excluded)
        return;
    series_end(context, interface->handles, PROPERTIES);
    series_end(context, &interface->up, 1);
    series_end(context, &interface->info, 1);
}

static void class_visit(struct network_class_state *class, const struct source_env *env,
                        struct bytes device, uint32_t index, struct emitter *out)
{
    bool is_new;
    struct interface *interface = tracked_touch(&class->interfaces, device, &is_new);
    if (interface == NULL)
        return;
    if (is_new) {
        series_clear(interface->handles, PROPERTIES);
        interface->up = interface->info = SERIES_NONE;
        interface->is_excluded = pattern_matches(class->exclude, device);
        if (!interface->is_excluded)
            interface->up = series_one(out, &up, "device", device);
    }
    if (interface->is_excluded)
        return;
    if (is_new || index % REFRESH_TICKS == class->turn)
        interface_refresh(class, env, device, interface, out);
    else
        interface_glance(class, env, device, interface, out);
    interface_emit(device, interface, out);
}

static int class_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct network_class_state *class = state;
    uint32_t index = 0;
    rewinddir(class->directory);
    tracked_begin(&class->interfaces);
    for (struct dirent *entry; (entry = readdir(class->directory)) != NULL;) {
        /* Links and folders are interfaces; a plain file is bonding's own (bonding_masters). */
        if (entry->d_name[0] == '.' || entry->d_type == DT_REG)
            continue;
        class_visit(class, env, bytes_of(entry->d_name), index++, out);
    }
    tracked_sweep(&class->interfaces, interface_gone, out);
    class->turn = (class->turn + 1) % REFRESH_TICKS;
    return 0;
}

static void class_stop(void *state)
{
    struct network_class_state *class = state;
    if (class->directory != NULL)
        closedir(class->directory);
    readbuf_done(&class->text);
    tracked_done(&class->interfaces, NULL, NULL);
    pattern_free(class->exclude);
}

static const char *const policy_options[] = {"exclude", NULL};

const struct source source_network_class = {
    .name = "network_class",
    .summary = "link state, speed, MTU and addresses of network interfaces",
    .state_bytes = sizeof(struct network_class_state),
    .configure = class_configure,
    .start = class_start,
    .collect = class_collect,
    .stop = class_stop,
    .policy_options = policy_options,
};
