/*
 * sources.c - the list of what this probe can measure (source.h).
 */
#include <string.h>

#include "probe/source/source.h"

extern const struct source source_arp;
extern const struct source source_bonding;
extern const struct source source_conntrack;
extern const struct source source_cpu;
extern const struct source source_cpufreq;
extern const struct source source_disk;
extern const struct source source_dmi;
extern const struct source source_edac;
extern const struct source source_filesystem;
extern const struct source source_hwmon;
extern const struct source source_interrupts;
extern const struct source source_jvm;
extern const struct source source_kernel;
extern const struct source source_load;
extern const struct source source_mdadm;
extern const struct source source_memcached;
extern const struct source source_memory;
extern const struct source source_netstat;
extern const struct source source_network;
extern const struct source source_network_class;
extern const struct source source_nfs;
extern const struct source source_nginx;
extern const struct source source_os;
extern const struct source source_power_supply;
extern const struct source source_pressure;
extern const struct source source_processes;
extern const struct source source_rapl;
extern const struct source source_redis;
extern const struct source source_schedstat;
extern const struct source source_scrape;
extern const struct source source_selinux;
extern const struct source source_sockstat;
extern const struct source source_softnet;
extern const struct source source_squid;
extern const struct source source_systemd;
extern const struct source source_tcpstat;
extern const struct source source_textfile;
extern const struct source source_thermal_zone;
extern const struct source source_timex;
extern const struct source source_udp_queues;
extern const struct source source_uname;
extern const struct source source_vmstat;

const struct source *const sources[] = {
    &source_cpu,
    &source_memory,
    &source_load,
    &source_vmstat,
    &source_pressure,
    &source_kernel,
    &source_schedstat,
    &source_interrupts,
    &source_cpufreq,
    &source_disk,
    &source_mdadm,
    &source_network,
    &source_network_class,
    &source_bonding,
    &source_netstat,
    &source_sockstat,
    &source_tcpstat,
    &source_udp_queues,
    &source_softnet,
    &source_arp,
    &source_conntrack,
    &source_nfs,
    &source_timex,
    &source_hwmon,
    &source_thermal_zone,
    &source_power_supply,
    &source_rapl,
    &source_edac,
    &source_dmi,
    &source_textfile,
    &source_uname,
    &source_os,
    &source_selinux,
    &source_filesystem,
    &source_processes,
    &source_systemd,
    &source_scrape,
    &source_nginx,
    &source_squid,
    &source_memcached,
    &source_redis,
    &source_jvm,
    NULL,
};

const struct source *source_find(const char *name)
{
    for (size_t i = 0; sources[i] != NULL; i++)
        if (strcmp(sources[i]->name, name) == 0)
            return sources[i];
    return NULL;
}
