/*
 * mounts.h - one line of /proc/mounts.
 *
 *     /dev/sda1 /data\040disk ext4 rw,relatime,errors=remount-ro 0 0
 *     device    mount point   type options                       dump pass
 */
#pragma once

#include <stdbool.h>

#include "probe/source/scan.h"

#define MOUNT_TEXT_BYTES_MAX 1024

struct mount_line {
    char device[MOUNT_TEXT_BYTES_MAX]; /* as the kernel knows it: octal escapes undone;
                                          NUL-ended */
    char point[MOUNT_TEXT_BYTES_MAX];
    char type[MOUNT_TEXT_BYTES_MAX];
    size_t device_size, point_size, type_size; /* without the NUL */
    bool is_readonly;
};

/* False: not a mount, or one whose texts are too long to watch. */
bool mount_parse(struct span line, struct mount_line *ret_mount);
