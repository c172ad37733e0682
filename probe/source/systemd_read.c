/*
 * systemd_read.c - what systemd says about its units, by D-Bus (systemd.h).
 *
 * One ListUnits a tick says almost everything:
 *
 *     a(ssssssouso)   name, description, load state, ACTIVE STATE, sub state, followed unit,
 *                     object path, job number, job type, job path
 *
 * and a property is fetched only where a series needs it.  A service's Type changes with its
 * unit file only: it is read when the unit appears or leaves its state, and a few others each
 * tick.
 *
 * The names are those of org.freedesktop.systemd1(5); everything asked is there since systemd
 * 219 (CentOS 7), but NRestarts (235) and NRefused (239).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/systemd.h"
#include "proto/base/error.h"

#define SERVICE          "org.freedesktop.systemd1"
#define MANAGER          SERVICE ".Manager"
#define MANAGER_PATH     "/org/freedesktop/systemd1"
#define BUS_SOCKET       "/run/dbus/system_bus_socket"
#define PRIVATE_SOCKET   "/run/systemd/private"
#define UNIT_PATH_PREFIX MANAGER_PATH "/unit/"
#define UNKNOWN          "org.freedesktop.DBus.Error.UnknownProperty"

#define UNIT_PATH_BYTES (sizeof UNIT_PATH_PREFIX + 3 * UNIT_NAME_BYTES_MAX)

/* Calls that are under way together: some 16 KiB, well within a socket's buffer. */
#define ASKED_AT_ONCE 64

/* Types read again a tick though nothing happened. */
#define TYPES_REFRESHED 4

const char *const unit_state_names[UNIT_STATES] = {
    "active", "activating", "deactivating", "inactive",
    "failed", "reloading",  "maintenance",  "refreshing",
};

static bool ends_in(struct bytes text, const char *suffix)
{
    size_t size = strlen(suffix);
    return text.size > size && memcmp(text.data + text.size - size, suffix, size) == 0;
}

static mono_ns deadline_of(const struct systemd_state *systemd)
{
    return clock_mono(&clock_system) + (mono_ns)systemd->timeout_ms * NS_PER_MS;
}

static struct dbus_call get_call(struct bytes path, const char *interface, const char *name)
{
    return (struct dbus_call){.destination = SERVICE,
                              .path = path,
                              .interface = "org.freedesktop.DBus.Properties",
                              .member = "Get",
                              .arguments = {interface, name}};
}

/* The value of a property: its type, and a reader that stands before it.  0: an error came in
 * its place, or it is no simple value. */
static char value_of(const struct dbus_message *answer, struct dbus_reader *ret_value)
{
    struct dbus_reader reader = dbus_reader_of(answer->body);
    struct bytes type = dbus_signature(&reader);
    if (answer->kind != DBUS_REPLY || !bytes_equal(answer->signature, bytes_of("v")) ||
        type.size != 1)
        return 0;
    *ret_value = reader;
    return (char)type.data[0];
}

/* A text; "" where there is none. */
static void take_text(const struct dbus_message *answer, char *to, size_t capacity)
{
    struct dbus_reader value;
    to[0] = '\0';
    if (value_of(answer, &value) == 's')
        to[text_clean(dbus_text(&value), to, capacity - 1)] = '\0';
}

/* Sets or clears the unit's value. */
static void take_number(struct systemd_state *systemd, struct unit *unit, unsigned property,
                        const struct dbus_message *answer)
{
    struct dbus_reader value = {0};
    char type = value_of(answer, &value);
    uint64_t number = type == 'u' ? dbus_u32(&value) : type == 't' ? dbus_u64(&value) : 0;

    unit->was_asked |= 1u << property;
    if (answer->kind == DBUS_ERROR && bytes_equal(answer->error, bytes_of(UNKNOWN)))
        systemd->is_absent[property] = true; /* this systemd is too old for it */
    if (value.failed || (type != 'u' && type != 't') || number == UINT64_MAX)
        return; /* all ones: no limit, or not counted */
    unit->values[property] =
        systemd_properties[property].is_time ? (double)number / 1e6 : (double)number;
    unit->has_values |= 1u << property;
}

static void take_type(struct unit *unit, const struct dbus_message *answer)
{
    char type[UNIT_TYPE_BYTES] = "";
    take_text(answer, type, sizeof type);
    unit->is_type_due = false;
    unit->is_type_known = true;
    if (strcmp(type, unit->type) == 0)
        return;
    memcpy(unit->type, type, sizeof type);
    unit->has_type_changed = true;
}

static int connect_bus(struct systemd_state *systemd, const struct source_env *env,
                       mono_ns deadline, struct diagnosis *why)
{
    const char *root = strcmp(env->rootfs, "/") == 0 ? "" : env->rootfs;
    struct diagnosis direct = {0};
    char path[256];

    if (systemd->socket != NULL) {
        systemd->is_direct = ends_in(bytes_of(systemd->socket), "/private");
        return dbus_open(&systemd->bus, systemd->socket, !systemd->is_direct, deadline, why);
    }
    systemd->is_direct = false;
    (void)snprintf(path, sizeof path, "%s" BUS_SOCKET, root);
    int error = dbus_open(&systemd->bus, path, true, deadline, why);
    if (error == 0 || geteuid() != 0)
        return error;
    /* A host without a message bus: root may ask systemd itself. */
    (void)snprintf(path, sizeof path, "%s" PRIVATE_SOCKET, root);
    if (dbus_open(&systemd->bus, path, false, deadline, &direct) != 0)
        return error;
    systemd->is_direct = true;
    return 0;
}

static int read_manager_text(struct systemd_state *systemd, const char *name, mono_ns deadline,
                             char to[SYSTEMD_TEXT_BYTES], struct diagnosis *why)
{
    struct diagnosis ignored = {0};
    struct dbus_message answer;
    const struct dbus_call call = get_call(bytes_of(MANAGER_PATH), MANAGER, name);
    int error = dbus_ask(&systemd->bus, &call, deadline, &answer, &ignored);
    if (error != 0 && error != ERR_REFUSED)
        return diagnose(why, error, "%s", ignored.text);
    take_text(&answer, to, SYSTEMD_TEXT_BYTES);
    return 0;
}

/* What does not change while systemd runs.  The version is the first number of three digits or
 * more, as node_exporter reads it: 252.38 of "252.38-1~deb12u1", 219 of "219". */
static int read_version(struct systemd_state *systemd, mono_ns deadline, struct diagnosis *why)
{
    int error = read_manager_text(systemd, "Version", deadline, systemd->version_text, why);
    if (error == 0)
        error = read_manager_text(systemd, "Virtualization", deadline, systemd->virtualization,
                                  why);
    if (systemd->virtualization[0] == '\0')
        memcpy(systemd->virtualization, "none", sizeof "none");
    systemd->version = 0;
    for (const char *at = systemd->version_text; *at != '\0';) {
        size_t digits = strspn(at, "0123456789");
        if (digits >= 3) {
            systemd->version = strtod(at, NULL);
            break;
        }
        at += digits == 0 ? 1 : digits;
    }
    return error;
}

static enum unit_state state_of(struct bytes name)
{
    for (unsigned i = 0; i < UNIT_STATES; i++)
        if (bytes_equal(name, bytes_of(unit_state_names[i])))
            return (enum unit_state)i;
    return UNIT_STATES;
}

static bool is_wanted(const struct systemd_state *systemd, struct bytes name)
{
    return (systemd->include == NULL || pattern_matches(systemd->include, name)) &&
           !pattern_matches(systemd->exclude, name);
}

/* One row of the list. */
static void take_unit(struct systemd_state *systemd, struct bytes name, struct bytes load,
                      enum unit_state state)
{
    bool is_new;

    if (state < UNIT_STATES)
        systemd->counts[state]++;
    if (!bytes_equal(load, bytes_of("loaded")) || name.size > UNIT_NAME_BYTES_MAX ||
        !is_wanted(systemd, name))
        return;
    struct unit *unit = tracked_touch(&systemd->units, name, &is_new);
    if (unit == NULL)
        return;
    if (is_new) {
        series_clear(unit->states, UNIT_STATES_ALWAYS);
        series_clear(unit->handles, UNIT_PROPERTIES);
    }
    bool has_type = ends_in(name, ".service") || ends_in(name, ".mount");
    unit->is_type_known = unit->is_type_known || !has_type;
    unit->is_type_due = has_type && (unit->is_type_due || is_new || unit->state != state);
    unit->state = state;
    unit->has_values = unit->was_asked = 0;
}

static int list_units(struct systemd_state *systemd, mono_ns deadline, struct diagnosis *why)
{
    static const struct dbus_call list = {
        .destination = SERVICE,
        .path = {(const uint8_t *)MANAGER_PATH, sizeof MANAGER_PATH - 1},
        .interface = MANAGER,
        .member = "ListUnits",
    };
    struct dbus_message answer;

    int error = dbus_ask(&systemd->bus, &list, deadline, &answer, why);
    if (error != 0)
        return error;
    if (!bytes_equal(answer.signature, bytes_of("a(ssssssouso)")))
        return diagnose(why, ERR_MALFORMED, "ListUnits: not a list of units");
    struct dbus_reader reader = dbus_reader_of(answer.body);
    size_t end = dbus_array(&reader);
    memset(systemd->counts, 0, sizeof systemd->counts);
    tracked_begin(&systemd->units);
    while (dbus_array_next(&reader, end)) {
        struct bytes name = dbus_text(&reader);
        (void)dbus_text(&reader); /* description */
        struct bytes load = dbus_text(&reader);
        enum unit_state state = state_of(dbus_text(&reader));
        (void)dbus_text(&reader); /* sub state */
        (void)dbus_text(&reader); /* followed */
        (void)dbus_text(&reader); /* path */
        (void)dbus_u32(&reader);  /* job */
        (void)dbus_text(&reader); /* its type */
        (void)dbus_text(&reader); /* its path */
        if (!reader.failed)
            take_unit(systemd, name, load, state);
    }
    return reader.failed ? diagnose(why, ERR_MALFORMED, "ListUnits: the list does not parse")
                         : 0;
}

/* systemd's object path of a unit: what is no letter or digit, and a digit in front, is told as
 * _ and two hexadecimal digits (sd_bus_path_encode(3)). */
static struct bytes unit_path(struct bytes name, char path[UNIT_PATH_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    size_t size = sizeof UNIT_PATH_PREFIX - 1;

    memcpy(path, UNIT_PATH_PREFIX, size);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (is_letter || (i > 0 && c >= '0' && c <= '9')) {
            path[size++] = (char)c;
            continue;
        }
        path[size++] = '_';
        path[size++] = hex[c >> 4];
        path[size++] = hex[c & 15];
    }
    return (struct bytes){(const uint8_t *)path, size};
}

/* Questions under way, and whom their answers are for. */
struct round {
    uint32_t first_serial;
    size_t count;
    struct {
        struct unit *unit;
        unsigned what;
    } asked[ASKED_AT_ONCE];
};

/* Takes the answers of all questions of the round, in whatever order. */
static int settle(struct systemd_state *systemd, struct round *round, mono_ns deadline,
                  struct diagnosis *why)
{
    struct dbus_message answer;
    for (size_t left = round->count; left > 0; left--) {
        int error = dbus_answer(&systemd->bus, deadline, &answer);
        uint32_t at = error == 0 ? answer.reply_serial - round->first_serial : 0;
        if (error == 0 && at >= round->count)
            error = ERR_MALFORMED;
        if (error != 0)
            return diagnose(why, error, "properties: %s",
                            error == ERR_IO ? "the bus closed the connection"
                                            : error_text(error));
        if (round->asked[at].what == UNIT_ASK_TYPE)
            take_type(round->asked[at].unit, &answer);
        else
            take_number(systemd, round->asked[at].unit, round->asked[at].what, &answer);
    }
    round->count = 0;
    return 0;
}

static int ask(struct systemd_state *systemd, struct round *round, struct unit *unit,
               unsigned what, const char *interface, const char *name, mono_ns deadline,
               struct diagnosis *why)
{
    char path[UNIT_PATH_BYTES];
    uint32_t serial;
    const struct dbus_call call = get_call(unit_path(tracked_key(unit), path), interface, name);

    dbus_put(&systemd->bus, &call, &serial);
    if (round->count == 0)
        round->first_serial = serial;
    round->asked[round->count].unit = unit;
    round->asked[round->count++].what = what;
    return round->count == ASKED_AT_ONCE ? settle(systemd, round, deadline, why) : 0;
}

/* What the list does not say of one unit. */
static int ask_unit(struct systemd_state *systemd, struct round *round, struct unit *unit,
                    bool is_type_due, mono_ns deadline, struct diagnosis *why)
{
    struct bytes name = tracked_key(unit);
    int error = 0;

    if (is_type_due && ends_in(name, ".service"))
        error =
            ask(systemd, round, unit, UNIT_ASK_TYPE, SERVICE ".Service", "Type", deadline, why);
    else if (is_type_due && ends_in(name, ".mount"))
        error =
            ask(systemd, round, unit, UNIT_ASK_TYPE, SERVICE ".Mount", "Type", deadline, why);
    for (unsigned i = 0; error == 0 && i < UNIT_PROPERTIES; i++) {
        const struct unit_property_row *row = &systemd_properties[i];
        if (!systemd->is_wanted[i] || (row->suffix != NULL && !ends_in(name, row->suffix)))
            continue;
        if (i == UNIT_START_TIME && unit->state != UNIT_ACTIVE) {
            unit->values[i] = 0; /* as node_exporter has it */
            unit->has_values |= 1u << i;
            unit->was_asked |= 1u << i;
        } else if (systemd->is_absent[i]) {
            unit->was_asked |= 1u << i;
        } else {
            error = ask(systemd, round, unit, i, row->interface, row->name, deadline, why);
        }
    }
    return error;
}

static int read_units(struct systemd_state *systemd, mono_ns deadline, struct diagnosis *why)
{
    size_t count = systemd->units.count;
    struct round round = {0};
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++) {
        struct unit *unit = tracked_at(&systemd->units, i);
        size_t turn = (i + count - systemd->refresh_at % count) % count;
        if (tracked_is_met(&systemd->units, unit))
            error = ask_unit(systemd, &round, unit, unit->is_type_due || turn < TYPES_REFRESHED,
                             deadline, why);
    }
    if (error == 0)
        error = settle(systemd, &round, deadline, why);
    systemd->refresh_at = count == 0 ? 0 : (systemd->refresh_at + TYPES_REFRESHED) % count;
    return error;
}

static int read_all(struct systemd_state *systemd, mono_ns deadline, struct diagnosis *why)
{
    char text[SYSTEMD_TEXT_BYTES];

    int error = list_units(systemd, deadline, why);
    systemd->has_list = error == 0;
    if (error == 0)
        error = read_manager_text(systemd, "SystemState", deadline, text, why);
    if (error != 0)
        return error;
    systemd->has_system_state = text[0] != '\0';
    systemd->is_running = strcmp(text, "running") == 0;
    return read_units(systemd, deadline, why);
}

static int read_anew(struct systemd_state *systemd, const struct source_env *env,
                     mono_ns deadline, struct diagnosis *why)
{
    memset(systemd->is_absent, 0, sizeof systemd->is_absent);
    int error = connect_bus(systemd, env, deadline, why);
    if (error == 0)
        error = read_version(systemd, deadline, why);
    return error == 0 ? read_all(systemd, deadline, why) : error;
}

int systemd_read(struct systemd_state *systemd, const struct source_env *env,
                 struct diagnosis *why)
{
    struct diagnosis ignored = {0};
    mono_ns deadline = deadline_of(systemd);

    systemd->has_list = false;
    int error = systemd->bus.is_open ? read_all(systemd, deadline, &ignored) : ERR_IO;
    if (error == ERR_IO) /* the bus was started anew since: no fault of ours */
        error = read_anew(systemd, env, deadline, why);
    if (error != 0)
        (void)diagnose(why, error, "%s", ignored.text);
    /* Over its own socket systemd tells everything that happens, asked or not. */
    if (error != 0 || systemd->is_direct)
        dbus_close(&systemd->bus);
    else
        dbus_trim(&systemd->bus);
    return error;
}
