/*
 * disk_info.c - what a block device is (disk_info.h).
 *
 *     $ cat /run/udev/data/b8:0
 *     S:disk/by-id/ata-TOSHIBA_KSDB4U866TE_2160A0D5FVGG
 *     E:ID_MODEL=TOSHIBA_KSDB4U86
 *     E:ID_SERIAL_SHORT=2160A0D5FVGG
 *
 * Only the E: lines matter: properties, NAME=value.
 */
#include "probe/source/disk_info.h"

#include <inttypes.h>
#include <stdio.h>

#include "probe/source/scan.h"
#include "probe/source/series.h"

enum property {
    DM_LV_LAYER,
    DM_LV_NAME,
    DM_NAME,
    DM_UUID,
    DM_VG_NAME,
    ID_ATA_ROTATION_RATE_RPM,
    ID_ATA_WRITE_CACHE,
    ID_ATA_WRITE_CACHE_ENABLED,
    ID_FS_TYPE,
    ID_FS_USAGE,
    ID_FS_UUID,
    ID_FS_VERSION,
    ID_MODEL,
    ID_PATH,
    ID_REVISION,
    ID_SERIAL,
    ID_SERIAL_SHORT,
    ID_WWN,
    SCSI_IDENT_SERIAL,
    PROPERTIES
};

static const char *const property_names[PROPERTIES] = {
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "SCSI_IDENT_SERIAL",
};

static const struct metric info_metric = {"node_disk_info", METRIC_GAUGE,
                                          "Info of /sys/block/<block_device>.", NULL};
static const struct metric filesystem_metric = {"node_disk_filesystem_info", METRIC_GAUGE,
                                                "Info about disk filesystem.", NULL};
static const struct metric mapper_metric = {"node_disk_device_mapper_info", METRIC_GAUGE,
                                            "Info about disk device mapper.", NULL};

/* Numbers that ATA disks tell. */
static const struct {
    enum property property;
    struct metric metric;
} ata_metrics[] = {
    {ID_ATA_WRITE_CACHE,
     {"node_disk_ata_write_cache", METRIC_GAUGE, "ATA disk has a write cache.", NULL}},
    {ID_ATA_WRITE_CACHE_ENABLED,
     {"node_disk_ata_write_cache_enabled", METRIC_GAUGE,
      "ATA disk has its write cache enabled.", NULL}},
    {ID_ATA_ROTATION_RATE_RPM,
     {"node_disk_ata_rotation_rate_rpm", METRIC_GAUGE,
      "ATA disk rotation rate in RPMs (0 for SSDs).", NULL}},
};
#define ATA_METRICS (sizeof ata_metrics / sizeof *ata_metrics)
_Static_assert(ATA_METRICS + 3 == DISK_INFO_SERIES, "three infos and the ATA numbers");

void disk_info_clear(struct disk_info *info)
{
    series_clear(info->handles, DISK_INFO_SERIES);
}

static void parse_properties(struct span text, struct bytes values[PROPERTIES])
{
    struct span line;
    while (scan_line(&text, &line)) {
        if (!scan_text(&line, "E:"))
            continue;
        const char *equals = memchr(line.at, '=', span_size(line));
        if (equals == NULL)
            continue;
        struct span name = {line.at, equals};
        line.at = equals + 1;
        for (int i = 0; i < PROPERTIES; i++)
            if (span_is(name, property_names[i]))
                values[i] = span_bytes(line);
    }
}

/* 1 for a spinning disk, 0 otherwise and where sysfs does not say (device mapper, old kernels).
 */
static bool is_rotational(const struct source_env *env, struct bytes name)
{
    char path[128];
    struct readbuf text = {0};
    struct span value;
    snprintf(path, sizeof path, "block/%.*s/queue/rotational", (int)name.size,
             (const char *)name.data);
    bool rotational =
        procfile_read_path(env->sysfs, path, &text, &value) == 0 && scan_text(&value, "1");
    readbuf_done(&text);
    return rotational;
}

static struct bytes first_of(struct bytes a, struct bytes b, struct bytes c)
{
    return a.size > 0 ? a : b.size > 0 ? b : c;
}

static void register_info(struct disk_info *info, const struct source_env *env,
                          struct bytes name, uint64_t major, uint64_t minor,
                          const struct bytes values[PROPERTIES], struct emitter *out)
{
    char major_text[24], minor_text[24];
    snprintf(major_text, sizeof major_text, "%" PRIu64, major);
    snprintf(minor_text, sizeof minor_text, "%" PRIu64, minor);
    const struct label labels[] = {
        {bytes_of("device"), name},
        {bytes_of("major"), bytes_of(major_text)},
        {bytes_of("minor"), bytes_of(minor_text)},
        {bytes_of("model"), values[ID_MODEL]},
        {bytes_of("path"), values[ID_PATH]},
        {bytes_of("revision"), values[ID_REVISION]},
        {bytes_of("rotational"), bytes_of(is_rotational(env, name) ? "1" : "0")},
        {bytes_of("serial"),
         first_of(values[SCSI_IDENT_SERIAL], values[ID_SERIAL_SHORT], values[ID_SERIAL])},
        {bytes_of("wwn"), values[ID_WWN]},
    };
    info->handles[0] =
        emitter_series(out, &info_metric, labels, sizeof labels / sizeof *labels);
    info->values[0] = 1;
}

static void register_contents(struct disk_info *info, struct bytes name,
                              const struct bytes values[PROPERTIES], struct emitter *out)
{
    const struct label filesystem[] = {
        {bytes_of("device"), name},
        {bytes_of("type"), values[ID_FS_TYPE]},
        {bytes_of("usage"), values[ID_FS_USAGE]},
        {bytes_of("uuid"), values[ID_FS_UUID]},
        {bytes_of("version"), values[ID_FS_VERSION]},
    };
    const struct label mapper[] = {
        {bytes_of("device"), name},
        {bytes_of("lv_layer"), values[DM_LV_LAYER]},
        {bytes_of("lv_name"), values[DM_LV_NAME]},
        {bytes_of("name"), values[DM_NAME]},
        {bytes_of("uuid"), values[DM_UUID]},
        {bytes_of("vg_name"), values[DM_VG_NAME]},
    };
    if (values[ID_FS_TYPE].size > 0)
        info->handles[1] = emitter_series(out, &filesystem_metric, filesystem,
                                          sizeof filesystem / sizeof *filesystem);
    if (values[DM_NAME].size > 0)
        info->handles[2] =
            emitter_series(out, &mapper_metric, mapper, sizeof mapper / sizeof *mapper);
    info->values[1] = info->values[2] = 1;
}

void disk_info_register(struct disk_info *info, const struct source_env *env, struct bytes name,
                        uint64_t major, uint64_t minor, struct readbuf *text,
                        struct emitter *out)
{
    char path[96];
    struct span content;
    struct bytes values[PROPERTIES] = {{0}};

    disk_info_clear(info);
    snprintf(path, sizeof path, "run/udev/data/b%" PRIu64 ":%" PRIu64, major, minor);
    if (procfile_read_path(env->rootfs, path, text, &content) == 0)
        parse_properties(content, values);
    register_info(info, env, name, major, minor, values, out);
    register_contents(info, name, values, out);
    for (size_t i = 0; i < ATA_METRICS; i++) {
        struct bytes value = values[ata_metrics[i].property];
        struct span digits = span_from(value);
        uint64_t number;
        if (value.size == 0 || !scan_u64(&digits, &number))
            continue;
        info->handles[3 + i] = series_one(out, &ata_metrics[i].metric, "device", name);
        info->values[3 + i] = (double)number;
    }
}

void disk_info_emit(const struct disk_info *info, struct emitter *out)
{
    for (size_t i = 0; i < DISK_INFO_SERIES; i++)
        if (info->handles[i] != SERIES_NONE)
            emit(out, info->handles[i], info->values[i]);
}

void disk_info_end(const struct disk_info *info, struct emitter *out)
{
    series_end(out, info->handles, DISK_INFO_SERIES);
}
