/*
 * disk_info.h - what a block device is: model, serial number, file system, device mapper name.
 *
 * Read once when the device appears, from udev's data base (ROOTFS/run/udev/data/b8:0) and
 * sysfs; without udev the texts are empty.  Then a handful of constant series a tick.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/source/procfile.h"
#include "probe/source/source.h"

#define DISK_INFO_SERIES 6

struct disk_info {
    series_handle handles[DISK_INFO_SERIES];
    double values[DISK_INFO_SERIES];
};

/* No series yet. */
void disk_info_clear(struct disk_info *info);

/* Reads and registers what there is to know about device `name`, number major:minor. */
void disk_info_register(struct disk_info *info, const struct source_env *env, struct bytes name,
                        uint64_t major, uint64_t minor, struct readbuf *text,
                        struct emitter *out);

void disk_info_emit(const struct disk_info *info, struct emitter *out);
void disk_info_end(const struct disk_info *info, struct emitter *out);
