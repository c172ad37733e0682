/*
 * disk.c - volumes and disks: windows_logical_disk_*, windows_physical_disk_*.
 *
 * GetLogicalDrives() names the drives; GetDiskFreeSpaceExW() their space; IOCTL_DISK_PERFORMANCE
 * what was read and written, in 100 ns and bytes, of a volume (\\.\C:) as of a disk
 * (\\.\PhysicalDrive0).  A drive may sleep or its medium may be gone: all of it is asked on a worker
 * (gather), and only drives of this host (fixed ones) are asked at all.
 *
 * A disk is called as the performance counters call it: its number and the drives on it, "0 C: D:".
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <winioctl.h>

#include "probe/source/device_filter.h"
#include "probe/source/source.h"
#include "probe/source/windows/ntapi.h"
#include "probe/source/windows/told.h"
#include "proto/base/error.h"

#define DISKS_MAX       64 /* physical; their numbers are dense from 0, gaps are few */
#define DISK_NAME_BYTES 128
#define DRIVES          26

/* What DISK_PERFORMANCE becomes; the name's middle is logical_disk or physical_disk. */
enum io_value {
    READ_BYTES, READS, READ_SECONDS, WRITE_BYTES, WRITES, WRITE_SECONDS, IDLE_SECONDS, QUEUED,
    SPLITS, READ_LATENCY, WRITE_LATENCY, BOTH_LATENCY, IO_VALUES
};

#define IO_ROWS(what)                                                                          \
    {                                                                                          \
        TOLD_COUNTER("windows_" what "_read_bytes_total", "Bytes read"),                       \
            TOLD_COUNTER("windows_" what "_reads_total", "Read operations"),                   \
            TOLD_COUNTER("windows_" what "_read_seconds_total", "Seconds spent reading"),      \
            TOLD_COUNTER("windows_" what "_write_bytes_total", "Bytes written"),               \
            TOLD_COUNTER("windows_" what "_writes_total", "Write operations"),                 \
            TOLD_COUNTER("windows_" what "_write_seconds_total", "Seconds spent writing"),     \
            TOLD_COUNTER("windows_" what "_idle_seconds_total",                                \
                         "Seconds without a request"),                                         \
            TOLD_GAUGE("windows_" what "_requests_queued", "Requests outstanding"),            \
            TOLD_COUNTER("windows_" what "_split_ios_total",                                   \
                         "Requests that had to be split"),                                     \
            TOLD_COUNTER("windows_" what "_read_latency_seconds_total",                        \
                         "Seconds that reads have taken"),                                     \
            TOLD_COUNTER("windows_" what "_write_latency_seconds_total",                       \
                         "Seconds that writes have taken"),                                    \
            TOLD_COUNTER("windows_" what "_read_write_latency_seconds_total",                  \
                         "Seconds that reads and writes have taken"),                          \
    }

static const struct metric logical_rows[IO_VALUES] = IO_ROWS("logical_disk");
static const struct metric physical_rows[IO_VALUES] = IO_ROWS("physical_disk");
static const struct metric free_bytes =
    TOLD_GAUGE("windows_logical_disk_free_bytes", "Free space in bytes");
static const struct metric size_bytes =
    TOLD_GAUGE("windows_logical_disk_size_bytes", "Total space in bytes");
static const struct metric readonly =
    TOLD_GAUGE("windows_logical_disk_readonly", "1 if nothing can be written to the volume");
static const struct metric volume_info =
    TOLD_GAUGE("windows_logical_disk_info", "Always 1; what the volume is, as labels");

struct disk_state {
    struct told told;
    struct pattern *exclude;
    char names[DISKS_MAX][DISK_NAME_BYTES]; /* of a tick: "0 C:"; "": no volume seen on it */
};

static int disk_configure(void *state, struct config *config, const struct config_node *node,
                          struct diagnosis *why)
{
    struct disk_state *disks = state;
    return device_filter_read(config, node, "sources.disk", NULL, &disks->exclude, why);
}

static int disk_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)state;
    (void)out;
    return env->live ? 0 : ERR_NOTFOUND;
}

static HANDLE open_device(const wchar_t *path)
{
    /* No right but to ask: neither a privilege is needed nor does the disk wake up. */
    return CreateFileW(path, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                       OPEN_EXISTING, 0, NULL);
}

static bool ask(HANDLE device, DWORD what, void *to, DWORD size)
{
    DWORD got = 0;
    return DeviceIoControl(device, what, NULL, 0, to, size, &got, NULL) && got > 0;
}

static void put_performance(struct told *told, const DISK_PERFORMANCE *now,
                            const struct metric rows[IO_VALUES], const char *label,
                            struct bytes name)
{
    double read = (double)now->ReadTime.QuadPart / NT_TICKS_A_SECOND;
    double write = (double)now->WriteTime.QuadPart / NT_TICKS_A_SECOND;
    const double values[IO_VALUES] = {
        [READ_BYTES] = (double)now->BytesRead.QuadPart,
        [READS] = now->ReadCount,
        [READ_SECONDS] = read,
        [WRITE_BYTES] = (double)now->BytesWritten.QuadPart,
        [WRITES] = now->WriteCount,
        [WRITE_SECONDS] = write,
        [IDLE_SECONDS] = (double)now->IdleTime.QuadPart / NT_TICKS_A_SECOND,
        [QUEUED] = now->QueueDepth,
        [SPLITS] = now->SplitCount,
        [READ_LATENCY] = read,
        [WRITE_LATENCY] = write,
        [BOTH_LATENCY] = read + write,
    };
    for (size_t i = 0; i < IO_VALUES; i++)
        told_one(told, &rows[i], values[i], label, name);
}

/* Space, label and file system of one drive. */
static void read_space(struct told *told, const wchar_t *root, struct bytes volume)
{
    ULARGE_INTEGER available, total, free;
    wchar_t title[MAX_PATH + 1] = L"", system[MAX_PATH + 1] = L"";
    char title_text[TOLD_TEXT_BYTES], system_text[TOLD_TEXT_BYTES], serial_text[16];
    DWORD serial = 0, longest = 0, flags = 0;
    if (!GetDiskFreeSpaceExW(root, &available, &total, &free)) {
        told_failed(told, "GetDiskFreeSpaceEx", GetLastError());
        return;
    }
    told_one(told, &size_bytes, (double)total.QuadPart, "volume", volume);
    told_one(told, &free_bytes, (double)free.QuadPart, "volume", volume);
    if (!GetVolumeInformationW(root, title, MAX_PATH, &serial, &longest, &flags, system,
                               MAX_PATH)) {
        told_failed(told, "GetVolumeInformation", GetLastError());
        return;
    }
    (void)snprintf(serial_text, sizeof serial_text, "%08lX", serial);
    told_one(told, &readonly, (flags & FILE_READ_ONLY_VOLUME) != 0 ? 1 : 0, "volume", volume);
    const struct label labels[] = {{bytes_of("filesystem"), told_text(system, system_text)},
                                   {bytes_of("serial_number"), bytes_of(serial_text)},
                                   {bytes_of("volume"), volume},
                                   {bytes_of("volume_name"), told_text(title, title_text)}};
    readings_add(&told->list, &volume_info, 1, labels, sizeof labels / sizeof labels[0]);
}

/* Notes on which disk a volume lies; one that spans several lies on none. */
static void note_disk(struct disk_state *disks, HANDLE volume, const char *drive)
{
    STORAGE_DEVICE_NUMBER number;
    if (!ask(volume, IOCTL_STORAGE_GET_DEVICE_NUMBER, &number, sizeof number) ||
        number.DeviceType != FILE_DEVICE_DISK || number.DeviceNumber >= DISKS_MAX)
        return;
    char *name = disks->names[number.DeviceNumber];
    size_t size = strlen(name);
    if (size == 0)
        size = (size_t)snprintf(name, DISK_NAME_BYTES, "%lu", number.DeviceNumber);
    (void)snprintf(name + size, DISK_NAME_BYTES - size, " %s", drive);
}

static void read_drive(struct disk_state *disks, int letter)
{
    const wchar_t root[] = {(wchar_t)(L'A' + letter), L':', L'\\', L'\0'};
    const wchar_t device[] = {L'\\', L'\\', L'.', L'\\', (wchar_t)(L'A' + letter), L':', L'\0'};
    const char drive[] = {(char)('A' + letter), ':', '\0'};
    DISK_PERFORMANCE now;
    if (GetDriveTypeW(root) != DRIVE_FIXED || pattern_matches(disks->exclude, bytes_of(drive)))
        return;
    read_space(&disks->told, root, bytes_of(drive));
    HANDLE volume = open_device(device);
    if (volume == INVALID_HANDLE_VALUE) {
        told_failed(&disks->told, "CreateFile of a volume", GetLastError());
        return;
    }
    note_disk(disks, volume, drive);
    if (ask(volume, IOCTL_DISK_PERFORMANCE, &now, sizeof now))
        put_performance(&disks->told, &now, logical_rows, "volume", bytes_of(drive));
    else
        told_failed(&disks->told, "IOCTL_DISK_PERFORMANCE", GetLastError());
    (void)CloseHandle(volume);
}

static void read_disk(struct disk_state *disks, unsigned number)
{
    wchar_t path[] = L"\\\\.\\PhysicalDrive00";
    char bare[16];
    DISK_PERFORMANCE now;
    path[17] = (wchar_t)(L'0' + (number < 10 ? number : number / 10));
    path[18] = number < 10 ? L'\0' : (wchar_t)(L'0' + number % 10);
    (void)snprintf(bare, sizeof bare, "%u", number);
    const char *name = disks->names[number][0] == '\0' ? bare : disks->names[number];
    HANDLE disk = open_device(path);
    if (disk == INVALID_HANDLE_VALUE)
        return; /* no such disk */
    if (ask(disk, IOCTL_DISK_PERFORMANCE, &now, sizeof now))
        put_performance(&disks->told, &now, physical_rows, "disk", bytes_of(name));
    else
        told_failed(&disks->told, "IOCTL_DISK_PERFORMANCE", GetLastError());
    (void)CloseHandle(disk);
}

static int disk_gather(void *state, const struct source_env *env)
{
    struct disk_state *disks = state;
    (void)env;
    told_begin(&disks->told);
    memset(disks->names, 0, sizeof disks->names);
    DWORD drives = GetLogicalDrives();
    for (int letter = 0; letter < DRIVES; letter++)
        if ((drives >> letter & 1) != 0)
            read_drive(disks, letter);
    for (unsigned number = 0; number < DISKS_MAX; number++)
        read_disk(disks, number);
    return 0;
}

static int disk_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    return told_emit(&((struct disk_state *)state)->told, out);
}

static const char *disk_complaint(const void *state)
{
    return told_complaint(&((const struct disk_state *)state)->told);
}

static void disk_stop(void *state)
{
    struct disk_state *disks = state;
    told_done(&disks->told);
    pattern_free(disks->exclude);
}

static const char *const policy_options[] = {"exclude", NULL};

const struct source source_disk = {
    .name = "disk",
    .summary = "space of drives; reads, writes and times of drives and disks",
    .state_bytes = sizeof(struct disk_state),
    .blocking = true,
    .configure = disk_configure,
    .start = disk_start,
    .gather = disk_gather,
    .collect = disk_collect,
    .complaint = disk_complaint,
    .stop = disk_stop,
    .policy_options = policy_options,
};
