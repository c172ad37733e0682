/*
 * dmi.c - what machine this is, by its maker: model, serial numbers, firmware.
 *
 * /sys/class/dmi/id, a file a label of node_dmi_info.  Only root may read serial numbers;
 * without that right they are left out.  Nothing of it changes while the host runs, so it is
 * read once.
 */
#include <string.h>
#include <unistd.h>

#include "probe/source/sysfile.h"
#include "proto/base/error.h"

#define TEXT_BYTES_MAX 192

/* The label is the file's name but for the last. */
static const char *const files[] = {
    "bios_date",       "bios_release",      "bios_vendor",     "bios_version",
    "board_asset_tag", "board_name",        "board_serial",    "board_vendor",
    "board_version",   "chassis_asset_tag", "chassis_serial",  "chassis_vendor",
    "chassis_version", "product_family",    "product_name",    "product_serial",
    "product_sku",     "product_uuid",      "product_version", "sys_vendor",
};
#define FILES (sizeof files / sizeof *files)

static const struct metric info = {
    "node_dmi_info", METRIC_GAUGE,
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, "
    "bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, "
    "chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, "
    "product_name, product_serial, product_sku, product_uuid, product_version, system_vendor "
    "if "
    "provided by DMI.",
    NULL};

struct dmi_state {
    struct sysfs_source folder;
    series_handle handle;
};

static int dmi_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct dmi_state *dmi = state;
    char texts[FILES][TEXT_BYTES_MAX], room[SYSFILE_BYTES];
    struct label labels[FILES];
    struct span text;
    size_t count = 0;
    int error = sysfs_source_open(&dmi->folder, env, "class/dmi/id");
    if (error != 0)
        return error;
    for (size_t i = 0; i < FILES; i++) {
        if (!sysfile_text(dmi->folder.fd, files[i], room, &text))
            continue;
        const char *name = strcmp(files[i], "sys_vendor") == 0 ? "system_vendor" : files[i];
        size_t size = text_clean(span_bytes(text), texts[i], TEXT_BYTES_MAX);
        labels[count++] = (struct label){bytes_of(name), {(const uint8_t *)texts[i], size}};
    }
    if (count == 0)
        return ERR_NOTFOUND;
    dmi->handle = emitter_series(out, &info, labels, count);
    return 0;
}

static int dmi_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    emit(out, ((struct dmi_state *)state)->handle, 1);
    return 0;
}

const struct source source_dmi = {
    .name = "dmi",
    .summary = "maker, model, serial numbers and firmware of the machine",
    .needs = "/sys/class/dmi/id",
    .state_bytes = sizeof(struct dmi_state),
    .start = dmi_start,
    .collect = dmi_collect,
    .stop = sysfs_source_stop,
};
