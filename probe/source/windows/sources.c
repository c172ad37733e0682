/*
 * sources.c - the list of what this probe can measure on Windows (source.h).
 */
#include <string.h>

#include "probe/source/source.h"

extern const struct source source_cpu;
extern const struct source source_disk;
extern const struct source source_jvm;
extern const struct source source_memcached;
extern const struct source source_memory;
extern const struct source source_network;
extern const struct source source_nginx;
extern const struct source source_os;
extern const struct source source_processes;
extern const struct source source_redis;
extern const struct source source_scrape;
extern const struct source source_services;
extern const struct source source_squid;

const struct source *const sources[] = {
    &source_cpu,      &source_memory,    &source_disk,   &source_network, &source_os,
    &source_services, &source_processes, &source_scrape, &source_nginx,   &source_squid,
    &source_memcached, &source_redis,    &source_jvm,    NULL,
};

const struct source *source_find(const char *name)
{
    for (size_t i = 0; sources[i] != NULL; i++)
        if (strcmp(sources[i]->name, name) == 0)
            return sources[i];
    return NULL;
}
