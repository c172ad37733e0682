#include "proto/base/random.h"

#include <windows.h>

#include <ntsecapi.h>

#include "proto/base/error.h"

/* RtlGenRandom(), documented as SystemFunction036 of advapi32.dll: the system's own generator,
 * without a provider to open. */
int random_fill(void *to, size_t size)
{
    while (size > 0) {
        ULONG part = size > 65536 ? 65536 : (ULONG)size;
        if (!RtlGenRandom(to, part))
            return ERR_IO;
        to = (char *)to + part;
        size -= part;
    }
    return 0;
}
