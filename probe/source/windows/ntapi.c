/*
 * ntapi.c - see ntapi.h.
 */
#include "probe/source/windows/ntapi.h"

#include <string.h>
#include <winternl.h>

#include "proto/base/error.h"

#define STATUS_SIZE_MISMATCH ((NTSTATUS)0xC0000004)
#define STATUS_NO_SUCH_CLASS ((NTSTATUS)0xC0000003)
#define STATUS_NOT_DONE      ((NTSTATUS)0xC0000002)
#define TABLE_BYTES          ((size_t)256 << 10)
#define TABLE_BYTES_MAX      ((size_t)64 << 20)

typedef NTSTATUS WINAPI query_ex(int kind, void *in, ULONG in_size, void *out, ULONG out_size,
                                 ULONG *ret_size);

static int error_of(NTSTATUS status)
{
    if (status >= 0)
        return 0;
    return status == STATUS_NO_SUCH_CLASS || status == STATUS_NOT_DONE ? ERR_NOTFOUND : ERR_IO;
}

int ntapi_query(int kind, void *to, size_t size, size_t *ret_size)
{
    ULONG told = 0;
    memset(to, 0, size);
    NTSTATUS status =
        NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)kind, to, (ULONG)size, &told);
    int error = error_of(status);
    if (error == 0 && ret_size != NULL)
        *ret_size = told < size ? told : size;
    return error;
}

int ntapi_table(int kind, struct readbuf *buf, size_t *ret_size)
{
    ULONG told = 0;
    for (size_t size = buf->capacity > TABLE_BYTES ? buf->capacity : TABLE_BYTES;;) {
        int error = readbuf_reserve(buf, size);
        if (error != 0)
            return error;
        NTSTATUS status = NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)kind, buf->data,
                                                   (ULONG)buf->capacity, &told);
        if (status != STATUS_SIZE_MISMATCH) {
            error = error_of(status);
            if (error == 0)
                *ret_size = told < buf->capacity ? told : buf->capacity;
            return error;
        }
        size = (told > size ? told : size) + TABLE_BYTES;
        if (size > TABLE_BYTES_MAX)
            return ERR_LIMIT;
    }
}

int ntapi_group(int kind, uint16_t group, void *to, size_t size, size_t *ret_size)
{
    if (GetActiveProcessorGroupCount() <= 1)
        return ntapi_query(kind, to, size, ret_size);
    ULONG told = 0;
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    query_ex *query =
        (query_ex *)(void (*)(void))GetProcAddress(ntdll, "NtQuerySystemInformationEx");
    if (query == NULL)
        return ERR_NOTFOUND;
    memset(to, 0, size);
    int error = error_of(query(kind, &group, sizeof group, to, (ULONG)size, &told));
    if (error == 0 && ret_size != NULL)
        *ret_size = told < size ? told : size;
    return error;
}

double ntapi_carry(struct nt_carried *counter, uint32_t now)
{
    counter->total += counter->has_value ? (uint32_t)(now - counter->held) : now;
    counter->held = now;
    counter->has_value = true;
    return (double)counter->total;
}

double ntapi_boot_seconds(void)
{
    struct nt_time_of_day times;
    if (ntapi_query(NT_TIME_OF_DAY, &times, sizeof times, NULL) != 0 || times.boot_time == 0)
        return 0;
    return (double)(times.boot_time - NT_TICKS_TO_UNIX) / NT_TICKS_A_SECOND;
}
