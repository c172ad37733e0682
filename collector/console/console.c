/* console.c - looks up what embed.c wrote. */
#include "collector/console/console.h"

#include <string.h>

#include "collector/console/assets.h"
#include "proto/base/must.h"

static const struct console_asset *find(const char *path)
{
    for (size_t i = 0; i < console_asset_count; i++) {
        if (strcmp(console_assets[i].path, path) == 0)
            return &console_assets[i];
    }
    return NULL;
}

const char *console_version(void)
{
    return console_assets_version;
}

const struct console_asset *console_page(void)
{
    const struct console_asset *page = find("");
    must(page != NULL);
    return page;
}

const struct console_asset *console_find(const char *versioned_path)
{
    size_t size = strlen(console_assets_version);
    if (strncmp(versioned_path, console_assets_version, size) != 0 ||
        versioned_path[size] != '/' || versioned_path[size + 1] == '\0')
        return NULL;
    return find(versioned_path + size + 1);
}
